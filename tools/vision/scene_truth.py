"""What really is in a rendered scene, from the task's reference: the upper bound for tools that look.

Pairs made with it measure how good a tool could be, not how good one is; whoever reports them names them so.
"""

from __future__ import annotations

from collections.abc import Mapping

from anyprefer.core.pictures import opened
from anyprefer.core.records import Candidate
from anyprefer.core.regions import regions_in
from anyprefer.core.scene_labels import SCENES
from anyprefer.core.task import Task
from anyprefer.tools.base import Finding, ToolFailure, tool
from anyprefer.tools.vision.compared import Seen, compared
from anyprefer.tools.vision.looks import picture_of
from anyprefer.tools.vision.questions import asks_presence, says_present


@tool
def scene_truth(task: Task, candidate: Candidate) -> Finding:
    """Compares an answer with what was drawn in the scene: ground truth, an upper bound for tools that look."""
    gold = task.reference
    if gold in ("yes", "no"):
        return _answered(task, candidate, gold == "yes")
    if not isinstance(gold, Mapping):
        raise ToolFailure("the task has no ground truth of a scene")
    known = regions_in({"regions": gold.get("objects"), "size": opened(picture_of(task)).size})
    if known is None:
        raise ToolFailure("the task's reference lists no objects of a scene")
    return compared(task, candidate, Seen(*known, by="the ground truth"), SCENES)


def _answered(task: Task, candidate: Candidate, there: bool) -> Finding:
    said = says_present(candidate.text, asks_presence(task.question, SCENES) or "", SCENES)
    right = None if said is None else said == there
    text = {True: "agrees with", False: "does not agree with", None: "says neither yes nor no beside"}[right]
    return Finding(f"The answer {text} the ground truth.", verdict=None if right is None else float(right))
