"""Regions of a picture: what a detector, a segmenter or a reader of text found, and where.

`Finding.data` of a tool that sees is `{"regions": [...], "size": [width, height]}` (`regions_data`). Whatever reads it
back (`regions_in`) takes it for data: a region without a label, with a box that is none or a mask of another size is
left out, since tools and servers may write anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict, TypeGuard

if TYPE_CHECKING:
    from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels from the picture's upper left corner; x0 <= x1, y0 <= y1."""
MOST = 1000
"""Regions of one finding; more are no finding but a flood."""
LONGEST_LABEL = 200
_LONGEST_MASK = 2_000_000
_LONGEST_COUNT = 40
"""Bits of one count."""
_MOST_PIXELS = 10**8


class Rle(TypedDict):
    """A mask in COCO's run-length form, its counts as ASCII text."""

    size: list[int]
    """Height, width: COCO's order."""
    counts: str


@dataclass(frozen=True)
class Region:
    """Something that was found in a picture."""

    label: str
    box: Box
    score: float | None = None
    """0..1, how sure the finder is; None where it does not say."""
    mask: Rle | None = None
    """Which pixels belong to it, over the whole picture."""


def regions_data(regions: Iterable[Region], size: tuple[int, int]) -> dict[str, Any]:
    """The regions of a picture of `size` (width, height) as `Finding.data` holds them."""
    return {"regions": [_told(region) for region in regions], "size": list(size)}


def regions_in(data: Any) -> tuple[list[Region], tuple[int, int]] | None:
    """The regions that data hold, boxes cut to the picture, with its size (width, height); None where data is no such
    finding."""
    if not isinstance(data, Mapping) or not isinstance(data.get("regions"), list):
        return None
    size = data.get("size")
    if not (isinstance(size, list | tuple) and len(size) == 2 and all(_whole(side) for side in size)):
        return None
    width, height = size
    if width * height > _MOST_PIXELS:
        return None
    found = (_region(one, (width, height)) for one in data["regions"][:MOST])
    return [region for region in found if region], (width, height)


def clipped(box: Sequence[float], size: tuple[int, int]) -> Box:
    """The part of a box that lies in a picture of `size` (width, height); two swapped corners are put right."""
    across, down = sorted((box[0], box[2])), sorted((box[1], box[3]))
    (x0, x1), (y0, y1) = (
        [min(max(at, 0.0), float(end)) for at in side] for side, end in zip((across, down), size, strict=True)
    )
    return x0, y0, x1, y1


def encoded(mask: NDArray[Any]) -> Rle:
    """A mask (H, W), true where the thing is, as COCO's RLE."""
    import numpy
    from pycocotools import mask as coco

    rle = coco.encode(numpy.asfortranarray(mask.astype(numpy.uint8)))
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")}


def decoded(rle: Rle) -> NDArray[Any]:
    """The mask (H, W) of booleans. Raises `ValueError` for counts that do not fill its size."""
    import numpy

    (height, width), counts = rle["size"], _counts(rle["counts"])
    if counts is None or sum(counts) != height * width:
        raise ValueError(f"the counts of a mask do not fill its size {rle['size']}")
    runs: NDArray[Any] = numpy.repeat(numpy.arange(len(counts)) % 2 == 1, counts)
    return runs.reshape(width, height).T  # column by column


def _counts(text: str) -> list[int] | None:
    """The lengths of the runs, off and on by turns; None for a text that is none. Read here and not by pycocotools, whose
    C code trusts it: 5 bits a character, from the third on the difference to the run before the last (maskApi.c)."""
    found: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20 and shift < _LONGEST_COUNT:
            continue
        value |= -1 << shift if bits & 0x10 else 0
        found.append(value + found[-2] if len(found) > 2 else value)
        value = shift = 0
    return found if shift == 0 and min(found, default=0) >= 0 else None


def _told(region: Region) -> dict[str, Any]:
    told: dict[str, Any] = {"label": region.label, "box": [round(float(at), 2) for at in region.box]}
    if region.score is not None:
        told["score"] = round(float(region.score), 4)
    return {**told, "mask": dict(region.mask)} if region.mask else told


def _region(given: Any, size: tuple[int, int]) -> Region | None:
    if not isinstance(given, Mapping) or not isinstance(given.get("label"), str):
        return None
    box = given.get("box")
    if not (isinstance(box, list | tuple) and len(box) == 4 and all(_number(at) for at in box)):
        return None
    score = given.get("score")
    label = given["label"][:LONGEST_LABEL].strip()
    sure = float(score) if _number(score) and 0 <= score <= 1 else None
    return Region(label, clipped(box, size), sure, _mask(given.get("mask"), size))


def _mask(given: Any, size: tuple[int, int]) -> Rle | None:
    if not isinstance(given, Mapping) or given.get("size") not in ([size[1], size[0]], (size[1], size[0])):
        return None
    counts = given.get("counts")
    if not isinstance(counts, str) or len(counts) > _LONGEST_MASK or not all("0" <= one <= "o" for one in counts):
        return None
    runs = _counts(counts)
    return None if runs is None or sum(runs) != size[0] * size[1] else {"size": [size[1], size[0]], "counts": counts}


def _number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
