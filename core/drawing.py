"""Draws regions into a picture, for judges that see and for people: boxes, masks, numbers and labels.

A small picture is enlarged first, so that a label can be read beside an object of twenty pixels. Numbers are the places
of the regions in their list, from 1, as findings count them in words.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from anyprefer.core.regions import Box, Region, clipped, decoded

LEAST_SIDE = 512
"""Pixels of the longer side that a smaller picture is enlarged to."""
_COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#999999")
"""Okabe and Ito's colours, which people with any colour vision tell apart."""
_AGREES, _MISSED = "#00b050", "#ff5a00"
_MASK, _EDGE = 64, 255
"""Opacity of a mask and of its edge, 0..255: what is below keeps its colour."""
_LONGEST = 40


def drawn(picture: Image.Image, regions: Sequence[Region], named: Collection[str] | None = None) -> Image.Image:
    """The picture (RGB) with its regions. Boxes are in the picture's own pixels.

    With `named`, the labels that an answer names, every label says whether the answer names it (green, "named") or
    not (orange, "not named"); without, each label has a colour of its own.
    """
    grown = max(1.0, LEAST_SIDE / max(picture.size))
    canvas = _enlarged(picture.convert("RGB"), grown)
    colours = [_colour(region, regions, named) for region in regions]
    for region, colour in zip(regions, colours, strict=True):
        _shade(canvas, picture.size, region, colour)
    pen = _Pen(canvas)
    for region, colour in zip(regions, colours, strict=True):
        pen.box(_scaled(region, picture.size, grown), colour)
    for number, (region, colour) in enumerate(zip(regions, colours, strict=True), 1):
        pen.tag(_scaled(region, picture.size, grown), _words(number, region, named), colour)
    return canvas


def _enlarged(picture: Image.Image, grown: float) -> Image.Image:
    if grown == 1:
        return picture.copy()
    size = tuple(max(1, round(side * grown)) for side in picture.size)
    return picture.resize((size[0], size[1]), Image.Resampling.BICUBIC)


def _colour(region: Region, regions: Sequence[Region], named: Collection[str] | None) -> str:
    if named is not None:
        return _AGREES if region.label in named else _MISSED
    labels = list(dict.fromkeys(one.label for one in regions))
    return _COLOURS[labels.index(region.label) % len(_COLOURS)]


def _words(number: int, region: Region, named: Collection[str] | None) -> str:
    label = " ".join(region.label.split())
    short = label if len(label) <= _LONGEST else label[: _LONGEST - 1] + "…"
    sure = "" if region.score is None else f" {region.score:.2f}"
    said = "" if named is None else ", named" if region.label in named else ", not named"
    return f"{number} {short}{sure}{said}"


def _scaled(region: Region, size: tuple[int, int], grown: float) -> Box:
    x0, y0, x1, y1 = (at * grown for at in clipped(region.box, size))
    return x0, y0, x1, y1


def _shade(canvas: Image.Image, size: tuple[int, int], region: Region, colour: str) -> None:
    """Lays a region's mask over the canvas; one of another size than the picture is none of it."""
    if region.mask is None or list(region.mask["size"]) != [size[1], size[0]]:
        return
    whole = Image.fromarray(decoded(region.mask)).convert("L").resize(canvas.size, Image.Resampling.NEAREST)
    edge = whole.filter(ImageFilter.FIND_EDGES).filter(ImageFilter.MaxFilter(3))
    cover = ImageChops.lighter(whole.point(lambda on: _MASK if on else 0), edge.point(lambda on: _EDGE if on else 0))
    canvas.paste(Image.new("RGB", canvas.size, colour), mask=cover)


class _Pen:
    """Draws boxes and tags on one canvas; tags do not cover each other where there is room."""

    def __init__(self, canvas: Image.Image) -> None:
        self._canvas = canvas
        self._draw = ImageDraw.Draw(canvas)
        self._line = max(2, round(max(canvas.size) / 300))
        self._font: Any = ImageFont.load_default(max(12, round(max(canvas.size) / 36)))
        self._taken: list[Box] = []

    def box(self, box: Box, colour: str) -> None:
        """An outline with a dark edge, to be seen on any ground."""
        self._draw.rectangle(box, outline="black", width=self._line + 2)
        self._draw.rectangle(box, outline=colour, width=self._line)

    def tag(self, box: Box, words: str, colour: str) -> None:
        """The words above the box, else below or inside it, within the canvas."""
        left, top, right, bottom = self._draw.textbbox((0, 0), words, font=self._font)
        pad = self._line
        wide, high = right - left + 2 * pad, bottom - top + 2 * pad
        x, y = self._place(box, wide, high)
        self._taken.append((x, y, x + wide, y + high))
        self._draw.rectangle((x, y, x + wide, y + high), fill=colour)
        self._draw.text((x + pad - left, y + pad - top), words, fill="black", font=self._font)

    def _place(self, box: Box, wide: float, high: float) -> tuple[float, float]:
        x = min(max(box[0], 0), max(0, self._canvas.width - wide))
        rows = [box[1] - high, box[3], box[1], box[3] - high, *(box[3] + step * high for step in range(1, 8))]
        inside = [y for y in rows if 0 <= y <= self._canvas.height - high]
        free = (y for y in inside if not any(_meet((x, y, x + wide, y + high), other) for other in self._taken))
        return x, next(free, max(0, min(box[1], self._canvas.height - high)))


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
