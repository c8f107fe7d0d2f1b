"""Florence-2 (arXiv 2311.06242): objects with boxes, captions, and text in a picture, from one model.

transformers' own class, no remote code: checkpoints in its form are `florence-community/Florence-2-large` (0.77B) and
`…-base` (0.23B); `microsoft/Florence-2-large` is in the authors' form, which needs their code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from PIL import Image

from anyprefer.core.regions import Region, clipped
from anyprefer.core.task import Task
from anyprefer.tools.base import Finding, tool
from anyprefer.tools.vision.compared import Seen, listed
from anyprefer.tools.vision.looks import Looks, loaded_once, picture_of
from anyprefer.tools.vision.pretrained import Pretrained
from anyprefer.tools.vision.served import served

What = Literal["objects", "regions", "caption", "details", "text"]
MODEL = "florence-community/Florence-2-large"
_ASKED: dict[str, str] = {
    "objects": "<OD>",
    "regions": "<DENSE_REGION_CAPTION>",
    "caption": "<CAPTION>",
    "details": "<MORE_DETAILED_CAPTION>",
    "text": "<OCR>",
}
_LONGEST = 512
"""New tokens of an answer; a box takes four."""


@tool(alone=True)
def florence(
    task: Task, what: What = "objects", *, model: str = MODEL, device: str = "", dtype: str = "", url: str = ""
) -> Finding:
    """Looks at the picture with Florence-2: finds objects with their places (what="objects"), describes regions
    ("regions"), describes the whole in a sentence ("caption") or in detail ("details"), or reads text ("text")."""
    if url:
        return served(url, "florence", task, what=what)
    return _loaded(model, device, dtype)(picture_of(task), what)


@florence.preparation
def _load(*, model: str = MODEL, device: str = "", dtype: str = "", url: str = "") -> None:
    if not url:
        _loaded(model, device, dtype)


@loaded_once
def _loaded(model: str, device: str, dtype: str) -> Looks[Finding]:
    return Looks(_Florence(Pretrained.load("Florence2ForConditionalGeneration", model, device, dtype)).look)


@dataclass(frozen=True)
class _Florence:
    weights: Pretrained

    def look(self, picture: Image.Image, what: str) -> Finding:
        """What it says, with boxes where it was asked for objects or regions."""
        asked, size = _ASKED[what], picture.size
        inputs = self.weights.inputs(text=asked, images=picture)
        ids = self.weights.generate(inputs, max_new_tokens=_LONGEST, num_beams=3)
        text = self.weights.processor.batch_decode(ids, skip_special_tokens=False)[0]
        answer = self.weights.processor.post_process_generation(text, task=asked, image_size=size)[asked]
        if isinstance(answer, str):
            return Finding(f"Florence-2 ({what}): {answer or 'nothing'}")
        return listed(Seen(_regions(answer, size), size, "Florence-2"))


def _regions(answer: dict[str, Any], size: tuple[int, int]) -> list[Region]:
    return [Region(label, clipped(box, size)) for label, box in zip(answer["labels"], answer["bboxes"], strict=True)]
