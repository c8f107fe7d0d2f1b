"""What tools of radiology share: the index, loaded once, and what a probe says of an answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from anyprefer.core.records import Candidate
from anyprefer.core.task import Task
from anyprefer.models.local.built import INDEX
from anyprefer.tools.base import Finding
from anyprefer.tools.vision.looks import loaded_once, picture_of
from anyprefer.tools.vision.radiology_kinds import Kind

if TYPE_CHECKING:
    from anyprefer.models.local.radiology_index import RadiologyIndex


def probed(kind: Kind, task: Task, candidate: Candidate, model: str) -> Finding:
    """The probe's label, and a verdict of 1 or 0 where the question asks for it and the answer states it."""
    index = radiology_index(model)
    label, share = index.probed(kind.name, index.look(picture_of(task)))
    agrees = kind.agrees(task.question, candidate.text, label)
    said = {True: "The answer agrees.", False: "The answer does not agree.", None: ""}[agrees]
    return Finding(
        f"The {kind.name} is {label} ({share:.2f}), as a probe of the image tells. {said}".strip(),
        verdict=None if agrees is None else float(agrees),
        data={"label": label, "share": round(share, 4)},
    )


def radiology_index(model: str) -> RadiologyIndex:
    """The index in a folder, or the one that was built here. Raises `ModelSetupError` where there is none."""
    from anyprefer.models.local.built import built_folder

    return _loaded(built_folder(INDEX) if model == INDEX else Path(model))


@loaded_once
def _loaded(folder: Path) -> RadiologyIndex:
    from anyprefer.models.local.radiology_index import load_index

    return load_index(folder)
