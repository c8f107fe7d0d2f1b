"""The detector of rendered scenes that `anyprefer build scene_detector` trains: it knows better than the target.

`scene_detector` compares what a candidate names with what the detector sees; `scene_objects` tells the judge once.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from anyprefer.core.records import Candidate
from anyprefer.core.regions import Region
from anyprefer.core.scene_labels import SCENES
from anyprefer.core.task import Task
from anyprefer.tools.base import Finding, tool
from anyprefer.tools.vision.compared import Seen, compared, listed
from anyprefer.tools.vision.looks import Looks, loaded_once, picture_of
from anyprefer.tools.vision.served import served

MODEL = "scene_detector"


@tool(alone=True)
def scene_detector(task: Task, candidate: Candidate, *, model: str = MODEL, device: str = "", url: str = "") -> Finding:
    """Compares the shapes that an answer names with those that a trained detector sees in the picture."""
    if url:
        return served(url, "scene_detector", task, candidate)
    return compared(task, candidate, _loaded(model, device)(picture_of(task)), SCENES)


@tool(alone=True)
def scene_objects(task: Task, *, model: str = MODEL, device: str = "", url: str = "") -> Finding:
    """Lists the coloured shapes that a trained detector sees in the picture, and where."""
    return served(url, "scene_objects", task) if url else listed(_loaded(model, device)(picture_of(task)))


@scene_detector.preparation
@scene_objects.preparation
def _load(*, model: str = MODEL, device: str = "", url: str = "") -> None:
    if not url:
        _loaded(model, device)


@loaded_once
def _loaded(model: str, device: str) -> Looks[Seen]:
    from anyprefer.models.local.built import built_folder
    from anyprefer.models.local.scene_detector import load_detector

    detector = load_detector(built_folder(model) if model == MODEL else Path(model))
    if device:
        detector = detector.to(device)

    def look(picture: Image.Image) -> Seen:
        found = [Region(one.label, one.box, one.score) for one in detector.detect(picture)]
        return Seen(found, picture.size, "the detector")

    return Looks(look)
