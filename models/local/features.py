"""What a model's tower makes of a picture, kept: a picture that is asked about again is not looked at again.

The questions of a benchmark and a judge's about each candidate show the same pictures in other prompts. The tower's
features are put into the text as transformers does it (`mm_encoder_outputs`), so a model gives the same answers with them.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from transformers.modeling_outputs import BaseModelOutputWithPooling

from anyprefer.models.local.prompts import Prompt

NAME = "features"
"""The input in which a prompt's features stand: (N, D) in the order of its tokens, or (pictures, tokens, D)."""
ROOM = 256 * 2**20
"""Bytes of features kept: some 50 pictures of LLaVA-1.5 in bfloat16, 20,000 of the embedded model."""


class Features:
    """Prompts with pixels → prompts with features, of one model. Each prompt's pictures pass the tower alone, so that
    their features do not depend on who asks beside it."""

    def __init__(self, model: Any) -> None:
        self._model = model
        look = getattr(model, "get_image_features", None)
        self._takes = inspect.signature(look).parameters.keys() if look else {}
        self._able = bool(look) and "mm_encoder_outputs" in inspect.signature(model.forward).parameters
        self._kept: OrderedDict[tuple[str, ...], torch.Tensor] = OrderedDict()
        self._size = 0

    @torch.inference_mode()
    def seen(self, prompt: Prompt) -> Prompt:
        """The prompt with features in place of pixels, where the model takes them."""
        if not (prompt.pictures and self._able):
            return prompt
        features = self._kept.get(prompt.pictures)
        if features is None:
            features = self._look(prompt)
            if features is None:
                self._able = False
                return prompt
            self._keep(prompt.pictures, features)
        self._kept.move_to_end(prompt.pictures)
        others = {name: tensor for name, tensor in prompt.inputs.items() if not name.startswith("pixel_")}
        return replace(prompt, inputs={**others, NAME: features})

    def _look(self, prompt: Prompt) -> torch.Tensor | None:
        """None where the tower says more than features, as Qwen3-VL's does, or in another form."""
        shown = {name: tensor for name, tensor in prompt.inputs.items() if name in self._takes}
        try:
            found = self._model.get_image_features(**placed(shown, self._model), return_dict=True)
            features = found.pooler_output
        except (TypeError, AttributeError):  # a model that does this in a way of its own
            return None
        if getattr(found, "deepstack_features", None) is not None:
            return None
        if isinstance(features, torch.Tensor):
            return features if features.dim() == 3 else None
        return torch.cat(list(features))

    def _keep(self, pictures: tuple[str, ...], features: torch.Tensor) -> None:
        self._kept[pictures] = features
        self._size += features.nbytes
        while self._size > ROOM and len(self._kept) > 1:
            self._size -= self._kept.popitem(last=False)[1].nbytes


def placed(inputs: Mapping[str, torch.Tensor], model: Any) -> dict[str, torch.Tensor]:
    """Inputs where the model is, pixels and features in its number format."""
    return {
        name: tensor.to(model.device, model.dtype if tensor.is_floating_point() else None)
        for name, tensor in inputs.items()
    }


def as_read(inputs: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Inputs as a forward pass takes them."""
    if NAME not in inputs:
        return dict(inputs)
    features = inputs[NAME]
    output = BaseModelOutputWithPooling(pooler_output=(features,) if features.dim() == 2 else features)  # type: ignore[arg-type]
    return {
        **{name: tensor for name, tensor in inputs.items() if name != NAME},
        "mm_encoder_outputs": {"image": output},
    }
