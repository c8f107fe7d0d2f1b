"""Rules of colour and contour that find the objects of rendered scenes (`shape_rules.py`): a tool that is often wrong.

What tools are worth shows beside it: a judge with this one knows little more than the target does.
"""

from __future__ import annotations

from PIL import Image

from anyprefer.core.records import Candidate
from anyprefer.core.scene_labels import SCENES
from anyprefer.core.task import Task
from anyprefer.tools.base import Finding, tool
from anyprefer.tools.vision.compared import Seen, compared
from anyprefer.tools.vision.looks import Looks, picture_of
from anyprefer.tools.vision.shape_rules import coloured_shapes


def _look(picture: Image.Image) -> Seen:
    return Seen(coloured_shapes(picture), picture.size, "a set of rules")


_LOOKS = Looks(_look)


@tool
def scene_rules(task: Task, candidate: Candidate) -> Finding:
    """Compares the shapes that an answer names with those that rules of colour and contour find in the picture."""
    return compared(task, candidate, _LOOKS(picture_of(task)), SCENES)
