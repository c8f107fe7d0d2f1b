"""The processor of a model that sees: its tokenizer, its image processor and how pictures stand in a chat.

Image processors are those of Pillow and NumPy; torchvision is not needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import CONFIG_MAPPING, PROCESSOR_MAPPING, AutoProcessor, ProcessorMixin

from anyprefer.core.errors import ModelSetupError
from anyprefer.models.local.configurations import config_at, is_original_llava, named_errors
from anyprefer.models.local.llava_chats import default_template


def processor_at(spec: str, source: Path | str, trust_remote_code: bool) -> Any:
    """The processor whose files are in `source`; its tokenizer fills up on the left.

    Raises `ModelSetupError` naming the model where it is not whole.
    """
    config = config_at(spec, source)
    with named_errors(spec):
        if is_original_llava(config):
            from anyprefer.models.local.llava_original import processor_of  # imports a second of transformers' models

            processor = processor_of(config, source)
        else:
            processor = _class(config).from_pretrained(source, trust_remote_code=trust_remote_code)
    if not (hasattr(processor, "tokenizer") and hasattr(processor, "image_processor")):
        raise ModelSetupError(
            f"model {spec!r} sees, and its folder has no whole processor (processor_config.json or "
            "preprocessor_config.json, and a tokenizer); save the processor beside the model"
        )
    tokenizer = processor.tokenizer
    tokenizer.padding_side = "left"
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    processor.chat_template = processor.chat_template or default_template(config)
    return processor


def _class(config: dict[str, Any]) -> Any:
    kind = str(config.get("model_type"))
    own = PROCESSOR_MAPPING.get(CONFIG_MAPPING[kind], None) if kind in CONFIG_MAPPING else None
    return without_films(own) if own and _of_films(own) else AutoProcessor


def _of_films(kind: Any) -> list[str]:
    return [name for name in kind.get_attributes() if "video" in name]


def without_films(kind: Any) -> Any:
    """The processor class with None for its video processor: those of transformers need torchvision, and without it no
    processor of Qwen-VL or SmolVLM would load."""
    films = _of_films(kind)
    parts = [name for name in kind.get_attributes() if name not in films]

    class WithoutFilms(kind):  # type: ignore[misc]
        apply_chat_template = ProcessorMixin.apply_chat_template  # SmolVLM's own asks its video processor

        @classmethod
        def get_attributes(cls) -> list[str]:
            return parts

        @classmethod
        def _get_arguments_from_pretrained(cls, *where: Any, **about: Any) -> list[Any]:
            made = iter(super()._get_arguments_from_pretrained(*where, **about))
            return [None if name in films else next(made) for name in kind.get_attributes()]

    WithoutFilms.__name__ = kind.__name__  # as it is saved
    return WithoutFilms
