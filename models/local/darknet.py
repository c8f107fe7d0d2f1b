"""YOLOv3 (arXiv 1804.02767) from darknet's own files: a `.cfg` that lists the layers and a `.weights` file.

Only the layers that YOLOv3 and its tiny form need; numbers are read, nothing is executed.

    network = load_darknet(Path("yolov3-tiny.cfg"), Path("yolov3-tiny.weights"))
    network.boxes(picture, threshold=0.25)          # [(class, score, (x0, y0, x1, y1)), …] in the picture's pixels
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from anyprefer.core.errors import ModelSetupError

Section = dict[str, str]
Found = tuple[int, float, tuple[float, float, float, float]]
_OVERLAP = 0.45
"""Of two boxes of a class that share more than this of their union the less sure one goes (darknet's `nms`)."""
_GREY = 128


def load_darknet(config: Path, weights: Path) -> Darknet:
    """The network with its weights, in eval mode. Raises `ModelSetupError` for files that are missing, name a layer that
    is unknown here, or do not fit each other."""
    try:
        network = Darknet(_sections(config.read_text(encoding="utf-8")))
        network.read(numpy.fromfile(weights, dtype="<f4"))
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise ModelSetupError(f"{config} with {weights} is no YOLOv3 of darknet: {error}") from error
    return network.eval()


def _sections(text: str) -> list[tuple[str, Section]]:
    found: list[tuple[str, Section]] = []
    for line in (line.partition("#")[0].strip() for line in text.splitlines()):
        if line.startswith("["):
            found.append((line.strip("[]"), {}))
        elif line:
            name, _, value = line.partition("=")
            found[-1][1][name.strip()] = value.strip()
    return found


class Darknet(nn.Module):
    """Layers in the file's order; a route names others by their place."""

    def __init__(self, sections: list[tuple[str, Section]]) -> None:
        super().__init__()
        (_, net), *self._plan = sections
        self.side = int(net["width"])
        """Pixels of the square that a picture is fitted into."""
        self.layers = nn.ModuleList()
        channels: list[int] = []
        for place, (kind, given) in enumerate(self._plan):
            wide = channels[-1] if channels else int(net["channels"])
            layer, out = _layer(kind, given, wide, [channels[at] for at in _routed(kind, given, place)])
            self.layers.append(layer)
            channels.append(out)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Pixels (B, 3, S, S) of 0..1 to each yolo layer's raw map (B, A * (5 + classes), h, w)."""
        outputs: list[Tensor] = []
        for place, ((kind, given), layer) in enumerate(zip(self._plan, self.layers, strict=True)):
            before = outputs[-1] if outputs else pixels
            routed = _routed(kind, given, place)
            outputs.append(torch.cat([outputs[at] for at in routed], 1) if routed else layer(before))
        return [output for output, (kind, _) in zip(outputs, self._plan, strict=True) if kind == "yolo"]

    @torch.inference_mode()
    def boxes(self, picture: Image.Image, threshold: float) -> list[Found]:
        """Class, score and box in the picture's pixels, surest first."""
        pixels, scale, left, top = _fitted(picture, self.side)
        device = next(self.parameters()).device
        yolos = [given for kind, given in self._plan if kind == "yolo"]
        maps = [raw[0].float().cpu() for raw in self(pixels.to(device))]
        found = [
            one for raw, given in zip(maps, yolos, strict=True) for one in _decoded(raw, given, self.side, threshold)
        ]
        whole = [(kind, score, _unfitted(box, scale, left, top)) for kind, score, box in _without_doubles(found)]
        return sorted(whole, key=lambda one: -one[1])

    def read(self, numbers: NDArray[Any]) -> None:
        """Darknet's weights in the order of its file: a header of 5 words, then of each convolution its bias or batch
        norm and its kernel. Raises `ValueError` where they are too few, too many or not finite."""
        rest = torch.from_numpy(numbers[5:].copy())
        for layer in self.layers:
            for part in _weights_of(layer):
                if part.numel() > len(rest):
                    raise ValueError("the weights are too few")
                part.data.copy_(rest[: part.numel()].view_as(part))
                rest = rest[part.numel() :]
        if len(rest) or not all(bool(one.isfinite().all()) for one in self.parameters()):
            raise ValueError("the weights are too many or not finite")


def _routed(kind: str, given: Section, place: int) -> list[int]:
    """The places whose outputs a route joins."""
    if kind != "route":
        return []
    layers = [int(one) for one in given["layers"].split(",")]
    return [at if at >= 0 else place + at for at in layers]


def _layer(kind: str, given: Section, wide: int, routed: list[int]) -> tuple[nn.Module, int]:
    """The layer and how many channels it gives."""
    if kind == "convolutional":
        return _convolution(given, wide), int(given["filters"])
    if kind == "maxpool":
        return _MaxPool(int(given["size"]), int(given["stride"])), wide
    if kind == "upsample":
        return nn.Upsample(scale_factor=int(given["stride"]), mode="nearest"), wide
    if kind in ("route", "yolo"):
        return nn.Identity(), sum(routed) or wide
    raise ValueError(f"layer [{kind}] is unknown")


def _convolution(given: Section, wide: int) -> nn.Sequential:
    size, normed = int(given["size"]), given.get("batch_normalize") == "1"
    pad = size // 2 if given.get("pad") == "1" else 0
    layers: list[nn.Module] = [nn.Conv2d(wide, int(given["filters"]), size, int(given["stride"]), pad, bias=not normed)]
    layers += [nn.BatchNorm2d(int(given["filters"]))] * normed
    layers += [nn.LeakyReLU(0.1)] * (given["activation"] == "leaky")
    return nn.Sequential(*layers)


class _MaxPool(nn.Module):
    """Darknet pads by size - 1 in all, the odd one to the right and below: a pool of size 2 and stride 1 keeps the size."""

    def __init__(self, size: int, stride: int) -> None:
        super().__init__()
        self._size, self._stride = size, stride

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, ceil(H / stride), ceil(W / stride))."""
        before, after = (self._size - 1) // 2, self._size // 2
        padded = functional.pad(x, (before, after, before, after), value=float("-inf"))
        return functional.max_pool2d(padded, self._size, self._stride)


def _weights_of(layer: nn.Module) -> list[Tensor]:
    if not isinstance(layer, nn.Sequential):
        return []
    convolution: Any = layer[0]
    norm: Any = next((one for one in layer if isinstance(one, nn.BatchNorm2d)), None)
    if norm is not None:
        return [norm.bias, norm.weight, norm.running_mean, norm.running_var, convolution.weight]
    return [convolution.bias, convolution.weight]


def _fitted(picture: Image.Image, side: int) -> tuple[Tensor, float, int, int]:
    """The picture in the middle of a grey square, as (1, 3, S, S) of 0..1; its scale, and its left and top there."""
    scale = side / max(picture.size)
    wide, high = (max(1, round(length * scale)) for length in picture.size)
    square = Image.new("RGB", (side, side), (_GREY,) * 3)
    left, top = (side - wide) // 2, (side - high) // 2
    square.paste(picture.resize((wide, high), Image.Resampling.BILINEAR), (left, top))
    values = torch.from_numpy(numpy.asarray(square, dtype=numpy.float32) / 255)
    return values.permute(2, 0, 1)[None], scale, left, top


def _unfitted(box: tuple[float, ...], scale: float, left: int, top: int) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box
    return (x0 - left) / scale, (y0 - top) / scale, (x1 - left) / scale, (y1 - top) / scale


def _decoded(raw: Tensor, given: Section, side: int, threshold: float) -> list[Found]:
    """Boxes of one yolo map (A * (5 + classes), h, w), in pixels of the square; arXiv 1612.08242, §2."""
    sizes = torch.tensor([float(one) for one in given["anchors"].split(",")]).view(-1, 2)
    anchors = sizes[[int(one) for one in given["mask"].split(",")]]
    raw = raw.view(len(anchors), 5 + int(given["classes"]), *raw.shape[1:])
    scores = raw[:, 4:5].sigmoid() * raw[:, 5:].sigmoid()  # (A, classes, h, w)
    step, found = side / raw.shape[-1], list[Found]()
    for anchor, kind, row, column in (scores > threshold).nonzero().tolist():
        x, y, wide, high = raw[anchor, :4, row, column].tolist()
        centre = [(at + torch.tensor(value).sigmoid().item()) * step for at, value in ((column, x), (row, y))]
        half = [
            float(anchors[anchor, axis]) * torch.tensor(value).exp().item() / 2
            for axis, value in ((0, wide), (1, high))
        ]
        corners = (centre[0] - half[0], centre[1] - half[1], centre[0] + half[0], centre[1] + half[1])
        found.append((kind, float(scores[anchor, kind, row, column]), corners))
    return found


def _without_doubles(found: list[Found]) -> list[Found]:
    kept: list[Found] = []
    for one in sorted(found, key=lambda one: -one[1]):
        if not any(one[0] == other[0] and _shared(one[2], other[2]) > _OVERLAP for other in kept):
            kept.append(one)
    return kept


def _shared(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Intersection over union."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    both = max(0.0, wide) * max(0.0, high)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return both / (sum(areas) - both) if both else 0.0
