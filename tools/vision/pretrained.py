"""A transformers model with its processor, loaded for a tool: safetensors alone, no remote code, one device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from anyprefer.core.errors import ModelSetupError


@dataclass(frozen=True)
class Pretrained:
    """The model in eval mode, and what makes its inputs."""

    model: Any
    processor: Any
    """None for a class whose pixels the tool prepares itself."""

    @classmethod
    def load(cls, architecture: str, name: str, device: str, dtype: str, processor: bool = True) -> Pretrained:
        """`architecture` is the class in transformers, `name` a hub id or a folder; an empty `device` is cuda, else mps,
        else cpu, an empty `dtype` float32 on a CPU and what the device multiplies natively elsewhere.

        Raises `ModelSetupError` for what cannot be loaded, and for weights that do not fit.
        """
        import torch
        import transformers

        from anyprefer.models.local.weights import default_device, default_dtype

        place = device or default_device()
        kind = dtype or ("float32" if place.startswith("cpu") else default_dtype(place))
        auto: Any = transformers.AutoProcessor  # its from_pretrained has no annotations
        head = getattr(transformers, architecture)
        if (there := cls.kind(name)) not in (head.config_class.model_type, f"{head.config_class.model_type}_video"):
            raise ModelSetupError(f"{name!r} is no {architecture}: it is a model of type {there}")
        try:
            made = auto.from_pretrained(name, trust_remote_code=False) if processor else None
            loaded, report = head.from_pretrained(
                name, dtype=getattr(torch, kind), use_safetensors=True, output_loading_info=True
            )
        except (torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:  # a broken folder makes it raise a dozen types
            raise _unloadable(name, architecture, error) from error
        if missing := sorted(map(str, report["missing_keys"])):
            raise ModelSetupError(f"{name!r} is no {architecture}: it has no trained {', '.join(missing[:3])}")
        return cls(loaded.to(place).eval(), made)

    @staticmethod
    def kind(name: str) -> str:
        """The `model_type` of a checkpoint's configuration. Raises `ModelSetupError` where there is none."""
        from transformers import AutoConfig

        try:
            return str(AutoConfig.from_pretrained(name, trust_remote_code=False).model_type)
        except Exception as error:  # as in `load`
            raise _unloadable(name, "a model", error) from error

    def inputs(self, **given: Any) -> Any:
        """The processor's tensors on the model's device; pixels in its number format."""
        return self.placed(self.processor(**given, return_tensors="pt"))

    def placed(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Tensors on the model's device; those of real numbers in its number format."""
        kind = {True: {"dtype": self.model.dtype}, False: {}}
        return {name: one.to(self.model.device, **kind[one.is_floating_point()]) for name, one in inputs.items()}

    def run(self, **inputs: Any) -> Any:
        """One forward pass without gradients."""
        import torch

        with torch.inference_mode():
            return self.model(**inputs)

    def generate(self, inputs: Any, **sampling: Any) -> Any:
        """Token ids (B, L), not sampled: the same picture gives the same answer."""
        import torch

        with torch.inference_mode():
            return self.model.generate(**inputs, do_sample=False, **sampling)


def _unloadable(name: str, what: str, error: Exception) -> ModelSetupError:
    said = (str(error).strip().splitlines() or [""])[0][:200]
    return ModelSetupError(
        f"cannot load {name!r} as {what}: it is neither a folder with its safetensors weights nor a model the Hugging "
        f"Face hub gives us ({type(error).__name__}: {said})"
    )
