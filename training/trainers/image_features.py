"""Image features once: what a frozen vision tower makes of each distinct image is computed before the first step and
used for chosen, rejected, reference and every epoch.

A model's `get_image_features` runs the tower and then the projector, which may be trained. What the projector is given
is kept, one safetensors file an image, and later given to the model in the place of pixel values: `get_image_features`
is then the projector alone. Where the projector is not trained, what it gives is kept instead. Whether both ways come to
the same logits is tried on the first pair with an image; where they do not, the tower runs at every step, and the log
says so. Tried: LLaVA, Qwen2-VL, Qwen2.5-VL and Idefics3 (SmolVLM) are remembered; LLaVA-NeXT, whose tiles are put
together behind the projector, and Qwen3-VL, which gives features of several depths, are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers.modeling_outputs import BaseModelOutputWithPooling

from anyprefer.core.pictures import opened

PROJECTORS = ("multi_modal_projector", "connector", "merger", "language_projection")
"""What transformers' architectures call the layers between tower and language model."""
AT_ONCE = 8
"""Images the tower sees at once, where the features of several are one tensor."""
Tensors = dict[str, torch.Tensor]


def projector_name(model: Any) -> str:
    """The projector's full name in the model; empty where it has none of a known name."""
    return next((name for name, _ in model.named_modules() if name.rpartition(".")[2] in PROJECTORS), "")


class FromPixels:
    """Batches of images as a model takes them: pixel values, made at every step."""

    def __init__(self, processor: Any, sources: Mapping[str, str], dtype: torch.dtype) -> None:
        """`sources`: each image by the hash of its content."""
        self._processor, self._sources, self._dtype = processor, sources, dtype

    def batch(self, rows: Sequence[Sequence[str]]) -> dict[str, Any]:
        """The model's inputs for the rows' images, twice: for the chosen answers, then for the rejected ones."""
        shown = [[opened(self._sources[picture]) for picture in row] for row in rows if row]
        return dict(self._processor(images=shown * 2, return_tensors="pt").to(self._dtype)) if shown else {}


class Remembered:
    """The same from features in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def batch(self, rows: Sequence[Sequence[str]]) -> dict[str, Any]:
        """A list of each image's features, once, as `pixel_values`, and what the language model reads beside, twice."""
        found = [load_file(self._file(picture)) for row in rows for picture in row]
        if not found:
            return {}
        beside = {name: torch.cat([one[name] for one in found] * 2) for name in found[0] if name != "features"}
        return {"pixel_values": [one["features"] for one in found], **beside}

    def keep(self, picture: str, tensors: Tensors) -> None:
        """One image's."""
        save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, self._file(picture))

    def _file(self, picture: str) -> Path:
        return self._folder / f"{picture}.safetensors"


def remember(model: Any, processor: Any, sources: Mapping[str, str], projector: str, folder: Path) -> Remembered:
    """Features of all sources: before the projector of that name; without one, as the language model gets them."""
    kept, left, at_once = Remembered(folder), list(sources), AT_ONCE
    while left:
        group = left[:at_once]
        found = _compute(model, processor, [sources[picture] for picture in group], projector)
        if not found:
            at_once = 1
            continue
        for picture, tensors in zip(group, found, strict=True):
            kept.keep(picture, tensors)
        left = left[at_once:]
    return kept


@torch.no_grad()
def _compute(model: Any, processor: Any, pictures: Sequence[str], projector: str) -> list[Tensors]:
    """Each picture's `features` and what is read beside; nothing where those of several cannot be parted."""
    inputs = processor(images=[opened(picture) for picture in pictures], return_tensors="pt")
    inputs = inputs.to(model.device, model.dtype)
    beside = {name: value for name, value in inputs.items() if not name.startswith("pixel")}
    features = _before(model, inputs, projector) if projector else _behind(model, inputs)
    if len(pictures) == 1:
        return [{"features": features, **beside}]
    if features.dim() != 3 or any(len(tensor) != len(pictures) for tensor in (features, *beside.values())):
        return []
    parts = {name: tensor.split(1) for name, tensor in {"features": features, **beside}.items()}
    return [{name: parts[name][at] for name in parts} for at in range(len(pictures))]


def _before(model: Any, inputs: Any, projector: str) -> torch.Tensor:
    """What the projector is given: (N, tokens, width), or (tokens, width) of all pictures one behind the other."""
    given: list[torch.Tensor] = []
    hook = model.get_submodule(projector).register_forward_pre_hook(lambda _, args: given.append(args[0]))
    try:
        model.get_image_features(**inputs, return_dict=True)
    finally:
        hook.remove()
    return given[0]


def _behind(model: Any, inputs: Any) -> torch.Tensor:
    """What the language model gets: (N, tokens, width), or (tokens, width) where pictures differ in their tokens."""
    made = list(model.get_image_features(**inputs, return_dict=True).pooler_output)
    alike = all(one.shape == made[0].shape for one in made)
    return torch.stack(made) if alike else torch.cat(made)


def read_features(model: Any, projector: str) -> None:
    """From now on this model takes a list of features in the place of pixel values, each picture's once for both halves
    of a batch, chosen and rejected; pixel values as before."""
    inner = model.model if hasattr(model.model, "get_image_features") else model
    stock, listed = inner.get_image_features, True

    def get_image_features(pixel_values: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal listed
        if not isinstance(pixel_values, list):
            made = stock(pixel_values, *args, **kwargs)
            listed = not isinstance(made.pooler_output, torch.Tensor)
            return made
        twice = _projected(model.get_submodule(projector) if projector else None, pixel_values) * 2
        given: Any = twice if listed else torch.stack(twice)  # a list where the model's own output is one
        return BaseModelOutputWithPooling(pooler_output=given)

    inner.get_image_features = get_image_features


def _projected(projector: Any, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Each picture's (tokens, width) for the language model; equal shapes go through the projector at once."""
    if projector is None:
        made = list(features)
    elif features[0].dim() == 3 and all(one.shape == features[0].shape for one in features):
        made = list(projector(torch.cat(list(features))))
    else:
        made = [projector(one) for one in features]
    return [one.reshape(-1, one.shape[-1]) for one in made]
