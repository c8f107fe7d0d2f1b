"""Masks of boxes by SAM or SAM 2, as transformers has them.

SAM 2's image processor needs torchvision (transformers 5.23: its module imports it), which this project does without;
what it does is little, so it is done here: the picture at 1024 x 1024, scaled by ImageNet's mean and deviation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from anyprefer.core.regions import Box, Rle, encoded
from anyprefer.tools.vision.pretrained import Pretrained

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Segmenter:
    """One mask a box, at the picture's size."""

    weights: Pretrained

    @classmethod
    def load(cls, name: str, device: str, dtype: str) -> Segmenter:
        """A folder or hub id of a SAM or SAM 2 checkpoint; the architecture is read from its configuration. Raises
        `ModelSetupError` for any other."""
        kind = Pretrained.kind(name)
        if kind in ("sam2", "sam2_video"):
            return cls(Pretrained.load("Sam2Model", name, device, dtype, processor=False))
        return cls(Pretrained.load("SamModel", name, device, dtype))

    def masks(self, picture: Image.Image, boxes: Sequence[Box]) -> list[Rle]:
        """The masks of boxes given in the picture's pixels; none for none."""
        if not boxes:
            return []
        logits = self._sam(picture, boxes) if self.weights.processor else self._sam2(picture, boxes)
        return [encoded(mask) for mask in (logits > 0).cpu().numpy()]

    def _sam(self, picture: Image.Image, boxes: Sequence[Box]) -> Any:
        """Logits (N, H, W)."""
        inputs = self.weights.processor(picture, input_boxes=[[list(box) for box in boxes]], return_tensors="pt")
        placed = self.weights.placed({"pixel_values": inputs["pixel_values"], "input_boxes": inputs["input_boxes"]})
        found = self.weights.run(**placed, multimask_output=False).pred_masks
        sizes = inputs["original_sizes"], inputs["reshaped_input_sizes"]
        whole = self.weights.processor.image_processor.post_process_masks(found.float().cpu(), *sizes, binarize=False)
        return whole[0][:, 0]

    def _sam2(self, picture: Image.Image, boxes: Sequence[Box]) -> Any:
        """Logits (N, H, W)."""
        import torch

        side = self.weights.model.config.vision_config.backbone_config.image_size[0]
        across, down = side / picture.width, side / picture.height
        scaled = [[x0 * across, y0 * down, x1 * across, y1 * down] for x0, y0, x1, y1 in boxes]
        placed = self.weights.placed({"pixel_values": _pixels(picture, side), "input_boxes": torch.tensor([scaled])})
        found = self.weights.run(**placed, multimask_output=False).pred_masks[0]  # (N, 1, h, w)
        size = (picture.height, picture.width)
        return torch.nn.functional.interpolate(found.float(), size, mode="bilinear", align_corners=False)[:, 0]


def _pixels(picture: Image.Image, side: int) -> Any:
    """(1, 3, side, side)."""
    import numpy
    import torch

    small = picture.resize((side, side), Image.Resampling.BILINEAR)
    values = (numpy.asarray(small, dtype=numpy.float32) / 255 - _MEAN) / _DEVIATION
    return torch.tensor(values, dtype=torch.float32).permute(2, 0, 1)[None]
