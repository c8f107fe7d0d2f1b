"""A prompt as a model reads it: token ids and, where it has pictures, what the processor made of them.

A prompt's tensors are made once and are the same whichever prompts share the batch; `padded` joins those of several.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass(frozen=True)
class Prompt:
    """Token ids with their pictures. Prompts with equal ids and pictures are equal, and read once."""

    ids: tuple[int, ...]
    pictures: tuple[str, ...] = ()
    """What tells its pictures from others, in order."""
    inputs: Mapping[str, torch.Tensor] = field(default_factory=dict, compare=False, repr=False)
    """What the model reads beside the ids, for this prompt alone: `pixel_values`, `image_grid_thw`, …"""
    closed: int = field(default=0, compare=False)
    """Tokens up to the last one that stands for a picture: a beginning that is read alone has these."""

    def beginning(self, length: int) -> Prompt:
        """The first `length` tokens, ≥ `closed`, with all pictures."""
        inputs = {name: tensor[:, :length] if _along(tensor, self) else tensor for name, tensor in self.inputs.items()}
        return Prompt(self.ids[:length], self.pictures, inputs, self.closed)


def padded(prompts: Sequence[Prompt], pad: int) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Ids (B, S), attention mask (B, S), both filled up on the left, and the other inputs of all prompts.

    Of these, what runs along the tokens becomes (B, S, …), zero where a prompt has none; everything else is laid one
    behind the other, filled up with zeros to the largest, as processors do for a batch.
    """
    ids, mask = filled([prompt.ids for prompt in prompts], pad)
    names = dict.fromkeys(name for prompt in prompts for name in prompt.inputs)
    return ids, mask, {name: _joined(name, prompts, ids.shape[1]) for name in names}


def filled(rows: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask (B, S) of rows of different length, filled up on the left."""
    width = max(len(row) for row in rows)
    ids = [[pad] * (width - len(row)) + list(row) for row in rows]
    mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
    return torch.tensor(ids), torch.tensor(mask)


def _along(tensor: torch.Tensor, prompt: Prompt) -> bool:
    """Whether an input has a value a token; pictures are fewer than tokens."""
    return tensor.dim() > 1 and tensor.shape[:2] == (1, len(prompt.ids))


def _joined(name: str, prompts: Sequence[Prompt], width: int) -> torch.Tensor:
    given = [(row, prompt, prompt.inputs[name]) for row, prompt in enumerate(prompts) if name in prompt.inputs]
    if all(_along(tensor, prompt) for _, prompt, tensor in given):
        first = given[0][2]
        whole = first.new_zeros(len(prompts), width, *_largest([tensor for _, _, tensor in given])[1:])
        for row, prompt, tensor in given:
            whole[(row, slice(width - len(prompt.ids), width), *_corner(tensor[0, 0]))] = tensor[0]
        return whole
    tensors = [tensor for _, _, tensor in given]
    whole = tensors[0].new_zeros(sum(map(len, tensors)), *_largest(tensors))
    start = 0
    for tensor in tensors:
        whole[(slice(start, start + len(tensor)), *_corner(tensor[0]))] = tensor
        start += len(tensor)
    return whole


def _largest(tensors: Sequence[torch.Tensor]) -> list[int]:
    """The largest size in each dimension behind the first."""
    return [max(sizes) for sizes in zip(*(tensor.shape[1:] for tensor in tensors), strict=True)]


def _corner(tensor: torch.Tensor) -> tuple[Any, ...]:
    return tuple(slice(0, size) for size in tensor.shape)
