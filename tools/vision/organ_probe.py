"""A linear probe of radiology images' organ on frozen EfficientNet-Lite0 features; `anyprefer build radiology_index` trains it."""

from __future__ import annotations

from anyprefer.core.records import Candidate
from anyprefer.core.task import Task
from anyprefer.models.local.built import INDEX
from anyprefer.tools.base import Finding, tool
from anyprefer.tools.vision.radiology_kinds import ORGAN
from anyprefer.tools.vision.radiology_seen import probed, radiology_index


@tool(alone=True)
def organ_probe(task: Task, candidate: Candidate, *, model: str = INDEX) -> Finding:
    """Tells which part of the body a radiology image shows (chest, abdomen or head), and whether an answer about that agrees."""
    return probed(ORGAN, task, candidate, model)


@organ_probe.preparation
def _load(*, model: str = INDEX) -> None:
    radiology_index(model)
