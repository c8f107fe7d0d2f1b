"""A caption by BLIP-2 (arXiv 2301.12597). It informs the judge and takes no side: what a sentence leaves out may be
there all the same."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from anyprefer.core.task import Task
from anyprefer.tools.base import Finding, tool
from anyprefer.tools.vision.looks import Looks, loaded_once, picture_of
from anyprefer.tools.vision.pretrained import Pretrained
from anyprefer.tools.vision.served import served

MODEL = "Salesforce/blip2-opt-2.7b"
_LONGEST = 60
"""New tokens of a caption."""


@tool(alone=True)
def blip2_caption(task: Task, *, model: str = MODEL, device: str = "", dtype: str = "", url: str = "") -> Finding:
    """Describes the picture in one sentence, by the captioner BLIP-2."""
    if url:
        return served(url, "blip2_caption", task)
    return Finding(f"BLIP-2: {_loaded(model, device, dtype)(picture_of(task))}")


@blip2_caption.preparation
def _load(*, model: str = MODEL, device: str = "", dtype: str = "", url: str = "") -> None:
    if not url:
        _loaded(model, device, dtype)


@loaded_once
def _loaded(model: str, device: str, dtype: str) -> Looks[str]:
    return Looks(_Captioner(Pretrained.load("Blip2ForConditionalGeneration", model, device, dtype)).look)


@dataclass(frozen=True)
class _Captioner:
    weights: Pretrained

    def look(self, picture: Image.Image) -> str:
        """The caption, greedy."""
        ids = self.weights.generate(self.weights.inputs(images=picture), max_new_tokens=_LONGEST)
        return str(self.weights.processor.batch_decode(ids, skip_special_tokens=True)[0]).strip() or "nothing"
