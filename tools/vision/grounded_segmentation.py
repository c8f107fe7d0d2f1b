"""Looks in the picture for what is named, by Grounding DINO (arXiv 2303.05499), and marks its pixels by SAM
(arXiv 2304.02643) or SAM 2 (arXiv 2408.00714): Grounded SAM.

Two tools: `grounded_segmentation` looks for what a candidate names, `grounded_objects` for what the judge asks for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from PIL import Image

from anyprefer.core.coco_labels import COCO
from anyprefer.core.records import Candidate
from anyprefer.core.regions import regions_data
from anyprefer.core.task import Task
from anyprefer.tools.base import Finding, ToolFailure, tool
from anyprefer.tools.vision.compared import Seen, compared, listed
from anyprefer.tools.vision.looks import Looks, loaded_once, picture_of
from anyprefer.tools.vision.phrase_detector import MOST_PHRASES, PhraseDetector
from anyprefer.tools.vision.questions import asks_presence
from anyprefer.tools.vision.segmenter import Segmenter
from anyprefer.tools.vision.served import served

MODEL, SEGMENTER = "IDEA-Research/grounding-dino-base", "facebook/sam-vit-base"


@tool(alone=True)
def grounded_segmentation(
    task: Task,
    candidate: Candidate,
    *,
    model: str = MODEL,
    segmenter: str = SEGMENTER,
    device: str = "",
    dtype: str = "",
    url: str = "",
) -> Finding:
    """Looks in the picture for each thing that an answer names, or that the question asks for, and says which it finds."""
    if url:
        return served(url, "grounded_segmentation", task, candidate)
    look = _loaded(model, segmenter, device, dtype)
    if (asked := asks_presence(task.question, COCO)) is not None:
        return compared(task, candidate, look(picture_of(task), asked), COCO)
    named = list(dict.fromkeys(COCO.named(candidate.text)))[:MOST_PHRASES]
    if not named:
        return Finding("The answer names nothing that could be looked for.")
    seen = look(picture_of(task), *sorted(named))
    found = [label for label in named if any(region.label == label for region in seen.regions)]
    gone = [label for label in named if label not in found]
    text = f"Found: {', '.join(found) or 'nothing'}. Named, but not found: {', '.join(gone) or 'nothing'}."
    # what was not looked for may be there too: this is the mentions' precision alone
    return Finding(
        text, verdict=len(found) / len(named), data={**regions_data(seen.regions, seen.size), "named": named}
    )


@tool(alone=True)
def grounded_objects(
    task: Task,
    query: str,
    *,
    model: str = MODEL,
    segmenter: str = SEGMENTER,
    device: str = "",
    dtype: str = "",
    url: str = "",
) -> Finding:
    """Looks in the picture for the things named in the query, separated by commas, and says where they are."""
    if url:
        return served(url, "grounded_objects", task, query=query)
    phrases = phrases_of(query)
    if not phrases or query == task.text:
        raise ToolFailure("name the things to look for in the query, separated by commas")
    return listed(_loaded(model, segmenter, device, dtype)(picture_of(task), *phrases))


@grounded_segmentation.preparation
@grounded_objects.preparation
def _load(*, model: str = MODEL, segmenter: str = SEGMENTER, device: str = "", dtype: str = "", url: str = "") -> None:
    if not url:
        _loaded(model, segmenter, device, dtype)


@loaded_once
def _loaded(model: str, segmenter: str, device: str, dtype: str) -> Looks[Seen]:
    return Looks(GroundedSam.load(model, segmenter, device, dtype).look)


@dataclass(frozen=True)
class GroundedSam:
    """Grounding DINO, and the segmenter that its boxes are given to."""

    finder: PhraseDetector
    segmenter: Segmenter | None
    """None where `segmenter = ""`: boxes without masks."""

    @classmethod
    def load(cls, model: str, segmenter: str, device: str, dtype: str) -> GroundedSam:
        """Raises `ModelSetupError` for what is no such model."""
        finder = PhraseDetector.load(model, device, dtype)
        return cls(finder, Segmenter.load(segmenter, device, dtype) if segmenter else None)

    def look(self, picture: Image.Image, *phrases: str) -> Seen:
        """The phrases' regions with their masks."""
        regions = self.finder.find(picture, phrases)
        if self.segmenter is not None:
            masks = self.segmenter.masks(picture, [region.box for region in regions])
            regions = [replace(region, mask=mask) for region, mask in zip(regions, masks, strict=True)]
        return Seen(regions, picture.size, "Grounding DINO")


def phrases_of(query: str) -> list[str]:
    """The things that a query names, separated by commas, as many as are looked for at once."""
    given = query[:1000].replace(".", ",").split(",")
    return [phrase for one in given if (phrase := one.strip().casefold())][:MOST_PHRASES]
