"""LoRA in the number format of the weights beside it, as under autocast.

peft casts what every adapted layer reads to the adapter's float32 and its answer back, which in a small model of bfloat16
is a fifth of a step. Here the matrices are cast for each product; they and their gradients stay float32.
"""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora.layer import Linear
from torch.nn.functional import linear

from anyprefer.training.trainers.processes import is_sharded


def lora_in_base_format(model: torch.nn.Module) -> None:
    """Changes how a peft model's adapted linear layers compute; those of other kinds stay as they are, as do sharded
    ones, whose weights are there only while their own layer runs."""
    for layer in [] if is_sharded() else model.modules():
        if type(layer) is Linear:
            layer.__class__ = _InBaseFormat


class _InBaseFormat(Linear):  # type: ignore[misc, unused-ignore]
    """y = W x + s B A x."""

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """As peft's."""
        plain = not (args or kwargs or self.disable_adapters or self.merged or len(self.active_adapters) > 1)
        name = self.active_adapters[0] if plain else ""
        if name not in self.lora_A or not self._is_plain(name):
            known: torch.Tensor = super().forward(x, *args, **kwargs)
            return known
        matrices: Any = (self.lora_A[name], self.lora_B[name])
        down, up = (one.weight.to(x.dtype) for one in matrices)
        answered: torch.Tensor = self.base_layer(x)
        return answered + linear(linear(x, down), up * self.scaling[name])

    def _is_plain(self, name: str) -> bool:
        """Without what LoRA's relatives add."""
        without_dropout = isinstance(self.lora_dropout[name], torch.nn.Identity)
        return without_dropout and name not in self.lora_variant and not self.lora_bias[name]
