"""A linear probe of radiology images' modality on frozen EfficientNet-Lite0 features; `anyprefer build radiology_index` trains it."""

from __future__ import annotations

from anyprefer.core.records import Candidate
from anyprefer.core.task import Task
from anyprefer.models.local.built import INDEX
from anyprefer.tools.base import Finding, tool
from anyprefer.tools.vision.radiology_kinds import MODALITY
from anyprefer.tools.vision.radiology_seen import probed, radiology_index


@tool(alone=True)
def modality_probe(task: Task, candidate: Candidate, *, model: str = INDEX) -> Finding:
    """Tells how a radiology image was made (CT, MRI or X-ray), and whether an answer about that agrees."""
    return probed(MODALITY, task, candidate, model)


@modality_probe.preparation
def _load(*, model: str = INDEX) -> None:
    radiology_index(model)
