"""Reads the text in a picture with `rapidocr` (PP-OCRv6, Apache-2.0), offline: the weights are in the package."""

from __future__ import annotations

import os
from typing import Any

from PIL import Image

from anyprefer.core.errors import ModelSetupError
from anyprefer.core.regions import Region, clipped, regions_data
from anyprefer.core.task import Task
from anyprefer.tools.base import Finding, tool
from anyprefer.tools.vision.compared import Seen
from anyprefer.tools.vision.looks import Looks, loaded_once, picture_of
from anyprefer.tools.vision.served import served

LEAST_SCORE = 0.8
"""Lines less sure are none: on photos without text it read false ones at .58 and .69, burnt-in marks above .9."""


@tool(alone=True)
def ocr(task: Task, *, url: str = "") -> Finding:
    """Reads the text in the picture: signs, labels, burnt-in marks."""
    if url:
        return served(url, "ocr", task)
    seen = _loaded()(picture_of(task))
    lines = [f"{number}. {region.label!r} ({region.score:.2f})" for number, region in enumerate(seen.regions, 1)]
    return Finding(f"Text in the picture: {'; '.join(lines) or 'none'}.", data=regions_data(seen.regions, seen.size))


@ocr.preparation
def _load(*, url: str = "") -> None:
    if not url:
        _loaded()


@loaded_once
def _loaded() -> Looks[Seen]:
    try:
        from rapidocr import RapidOCR
    except ImportError as error:
        raise ModelSetupError(f"the tool ocr needs rapidocr: pip install 'anyprefer[vision]' ({error})") from error
    threads = int(os.environ.get("OMP_NUM_THREADS") or -1)  # onnxruntime looks at no such variable itself
    told = {"Global.text_score": LEAST_SCORE, "Global.log_level": "error"}
    engine = RapidOCR(params={**told, "EngineConfig.onnxruntime.intra_op_num_threads": threads})

    def look(picture: Image.Image) -> Seen:
        import numpy

        found = engine(numpy.asarray(picture)[:, :, ::-1])  # it takes BGR
        return Seen(_regions(found, picture.size), picture.size, "the reader of text")

    return Looks(look)


def _regions(found: Any, size: tuple[int, int]) -> list[Region]:
    if found.boxes is None:
        return []
    rows = zip(found.boxes, found.txts, found.scores, strict=True)
    return [Region(text, _around(corners, size), float(score)) for corners, text, score in rows if score > LEAST_SCORE]


def _around(corners: Any, size: tuple[int, int]) -> Any:
    """The upright box around four corners."""
    xs, ys = [float(x) for x, _ in corners], [float(y) for _, y in corners]
    return clipped((min(xs), min(ys), max(xs), max(ys)), size)
