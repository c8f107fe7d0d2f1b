"""The key-value cache of a batch whose rows are copied, dropped and grown one token at a time."""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import DynamicLayer

ROOM = 64
"""Tokens of room made at a time."""


class RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """A layer's cache with room to grow: a step writes one column instead of copying the whole layer."""

    keys: Any
    values: Any

    def __init__(self, layer: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.dtype, self.device = layer.keys.dtype, layer.keys.device
        self.keys, self.values, self.is_initialized = layer.keys, layer.values, True
        self._room: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """key_states and value_states: (B, H, new, D) → all keys and values, (B, H, length, D)."""
        start = self.keys.shape[2]
        end = start + key_states.shape[2]
        if self._room is None or end > self._room[0].shape[2]:
            self._room = (_grown(self.keys, end), _grown(self.values, end))
        for room, states in zip(self._room, (key_states, value_states), strict=True):
            room[:, :, start:end] = states
        self.keys, self.values = (room[:, :, :end] for room in self._room)
        return self.keys, self.values

    def reorder_cache(self, beam_idx: Any) -> None:
        """Rows `beam_idx` (B,), in that order; a row may be named more than once."""
        super().reorder_cache(beam_idx)
        self._room = None


def _grown(states: torch.Tensor, end: int) -> torch.Tensor:
    batch, heads, length, size = states.shape
    room = states.new_empty(batch, heads, end + ROOM, size)
    room[:, :, :length] = states
    return room


def with_room(cache: Any) -> None:
    """Give every plain layer of a filled cache room to grow; sliding windows and other kinds keep their own ways."""
    layers = getattr(cache, "layers", [])
    for at, layer in enumerate(layers):
        if type(layer) is DynamicLayer and layer.get_seq_length() > 0:
            layers[at] = RoomyLayer(layer)


def select_rows(cache: Any, rows: torch.Tensor) -> bool:
    """Make the cache hold rows `rows` (B,) of what it held, repeats allowed; False, and nothing done, when it cannot."""
    if not hasattr(cache, "reorder_cache"):
        return False
    cache.reorder_cache(rows)
    return True
