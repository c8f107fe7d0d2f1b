"""OpenVLA as a policy: `openvla:ID-or-folder`, a whole model or a LoRA adapter's folder.

    policy = OpenVLAPolicy.load("models/openvla")
    policy.act([observation], ["put carrot on plate"], seeds=[0], temperature=1.0)

Bins of actions are the last 256 tokens of the vocabulary; no other token is sampled, and log probabilities are of the
bins alone. The picture is all that it sees, and the prompt is OpenVLA's own. As SIMPLER's adapter has it, the gripper is
open above one half and closed below (`simpler_env/policies/openvla`), and its number goes from 0 to 1.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from anyprefer.core.errors import ModelSetupError
from anyprefer.models.local.adapters import adapter_base, with_adapter
from anyprefer.models.local.model_files import model_source
from anyprefer.models.local.weights import default_device, default_dtype
from anyprefer.models.policies.action_tokens import BINS, ActionTokens
from anyprefer.models.policies.base import DIMENSIONS, Acted, Floats, Inputs, Observation, uniforms
from anyprefer.models.policies.openvla_model import OpenVLA, OpenVLAConfig
from anyprefer.models.policies.openvla_published import is_published, load_published
from anyprefer.models.policies.small import sampled

PROMPT = "In: What action should the robot take to {}?\nOut:"
EMPTY = "▁"
"""The token behind the prompt that training had there, Llama's 29871."""
DATA_SET = "bridge_orig"
"""Whose statistics scale actions, where a model has several: SIMPLER's WidowX tasks are of this one."""


class OpenVLAPolicy:
    """A policy of `openvla_model.OpenVLA`."""

    def __init__(self, model: Any, tokenizer: Any, folder: str) -> None:
        """`model` is an `OpenVLA`, or what peft made of it. Raises `ModelSetupError` for one without statistics."""
        self.module, self._tokenizer, self._folder = model, tokenizer, folder
        self.name = self.checkpoint = f"openvla:{folder}"
        statistics = model.config.norm_stats or {}
        self._scale = ActionTokens.of_statistics(statistics, DATA_SET if DATA_SET in statistics else "")

    @classmethod
    def load(cls, folder: str) -> Self:
        """Raises `ModelSetupError` for what is no OpenVLA, neither in transformers' classes nor as published."""
        from transformers import AutoTokenizer

        base = adapter_base(folder)
        source = str(model_source(base or folder))
        device = default_device()
        model = _model(source, getattr(torch, default_dtype(device)))
        model = with_adapter(model, folder, merge=False) if base else model
        tokenizer = AutoTokenizer.from_pretrained(source, config=model.config.text_config, trust_remote_code=False)
        return cls(model.to(device).eval(), tokenizer, folder)

    def save(self, folder: Path) -> str:
        """The adapter where there is one, else the whole model."""
        folder.mkdir(parents=True, exist_ok=True)
        if hasattr(self.module, "peft_config"):
            base = adapter_base(self._folder) or self._folder
            self.module.peft_config["default"].base_model_name_or_path = base
            self.module.save_pretrained(str(folder), save_embedding_layers=False)
        else:
            self.module.save_pretrained(str(folder))
            self._tokenizer.save_pretrained(str(folder))
        return f"openvla:{folder}"

    def with_lora(self, rank: int, alpha: int) -> None:
        """See `base.TrainablePolicy`; GRAPE's: beside all linear layers, with Gaussian starts."""
        from peft import LoraConfig, get_peft_model

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # the libraries' words to each other
            self.module.gradient_checkpointing_enable({"use_reentrant": False})
            if not hasattr(self.module, "peft_config"):
                config = LoraConfig(r=rank, lora_alpha=alpha, target_modules="all-linear", init_lora_weights="gaussian")
                self.module = get_peft_model(self.module, config)
        self.module.train()  # no dropout; what is computed twice is so while training alone

    def inputs(self, observation: Observation) -> Inputs:
        """The picture (S, S, 3) as the model is given it."""
        from PIL import Image

        side = self._model.side
        picture = Image.fromarray(observation["pixels"]).resize((side, side), Image.Resampling.BICUBIC)
        return {"pixels": np.asarray(picture, dtype=np.uint8)}

    def log_probabilities(self, inputs: Sequence[Inputs], instructions: Sequence[str], tokens: Tensor) -> Tensor:
        """See `base.TrainablePolicy`."""
        given = self._prompted(inputs, instructions)
        bins = tokens.to(given["input_ids"].device)
        read = self._model.tokens - 1 - bins[:, :-1]
        given["input_ids"] = torch.cat([given["input_ids"], read], dim=1)
        given["attention_mask"] = torch.cat([given["attention_mask"], torch.ones_like(read)], dim=1)
        logits = self._bins(self.module(**given, use_cache=False, logits_to_keep=DIMENSIONS).logits)
        return logits.log_softmax(-1).gather(-1, bins[..., None])[..., 0]

    @torch.inference_mode()
    def act(
        self,
        observations: Sequence[Observation],
        instructions: Sequence[str],
        seeds: Sequence[int],
        temperature: float,
    ) -> Acted:
        """See `base.Policy`."""
        self.module.eval()
        given = self._prompted([self.inputs(one) for one in observations], instructions)
        out = self.module(**given, use_cache=True, logits_to_keep=1)
        mask = given["attention_mask"].new_ones(len(seeds), 0)
        drawn, tokens, told = torch.from_numpy(uniforms(seeds)), list[Tensor](), list[Tensor]()
        prompts = given["attention_mask"].sum(1, keepdim=True) + self._patches
        width = given["attention_mask"].shape[1] + self._patches
        before = (torch.arange(width, device=mask.device) >= width - prompts).to(mask.dtype)
        for at in range(DIMENSIONS):
            logits = self._bins(out.logits[:, -1]).float().cpu()
            tokens.append(sampled(logits, drawn[:, at], temperature))
            told.append(logits.log_softmax(-1).gather(-1, tokens[-1][:, None])[:, 0])
            if at + 1 < DIMENSIONS:
                mask = torch.cat([mask, mask.new_ones(len(seeds), 1)], dim=1)
                out = self._model.language_model(
                    input_ids=(self._model.tokens - 1 - tokens[-1])[:, None].to(mask.device),
                    attention_mask=torch.cat([before, mask], dim=1),
                    position_ids=prompts + at,
                    past_key_values=out.past_key_values,
                    use_cache=True,
                )
        found = torch.stack(tokens, dim=1).numpy()
        return Acted(self._actions(found), found, torch.stack(told, dim=1).double().numpy())

    @property
    def _model(self) -> OpenVLA:
        under: Any = self.module.get_base_model() if hasattr(self.module, "peft_config") else self.module
        return under  # type: ignore[no-any-return]

    @property
    def _patches(self) -> int:
        vision = self._model.config.siglip_config
        return int((vision.image_size // vision.patch_size) ** 2)

    def _prompted(self, inputs: Sequence[Inputs], instructions: Sequence[str]) -> dict[str, Tensor]:
        """What the network is given, prompts padded on the left."""
        empty = self._tokenizer.convert_tokens_to_ids(EMPTY)
        rows = [self._tokenizer.encode(PROMPT.format(text.lower())) for text in instructions]
        rows = [row if row[-1] == empty else [*row, empty] for row in rows]
        longest, device = max(map(len, rows)), self._model.device
        return {
            "pixels": torch.from_numpy(np.stack([one["pixels"] for one in inputs])).to(device),
            "input_ids": torch.tensor([[0] * (longest - len(row)) + row for row in rows], device=device),
            "attention_mask": torch.tensor(
                [[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=device
            ),
        }

    def _bins(self, logits: Tensor) -> Tensor:
        """(…, vocabulary) to (…, 256): those of the bins 0, 1, …"""
        last = self._model.tokens
        return logits[..., last - BINS : last].flip(-1)

    def _actions(self, bins: Any) -> Floats:
        actions = self._scale.actions(bins)
        actions[:, -1] = np.where(actions[:, -1] > 0.5, 1.0, -1.0)
        return actions


def _model(source: str, dtype: torch.dtype) -> Any:
    """The whole model of a folder or hub id, in either layout."""
    from transformers import AutoConfig, AutoModelForImageTextToText

    if is_published(source):
        return load_published(source, dtype)
    config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    if not isinstance(config, OpenVLAConfig):
        raise ModelSetupError(
            f"{source} is a {config.model_type}, not an OpenVLA as published or in transformers' classes "
            f"({OpenVLAConfig.model_type}); see docs/control.md, OpenVLA"
        )
    return AutoModelForImageTextToText.from_pretrained(source, dtype=dtype, trust_remote_code=False)
