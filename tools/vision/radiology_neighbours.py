"""How like questions about other radiology images were answered: nearest neighbours by words and by the image.

Questions about the task's own image are left out: VQA-RAD asks about an image several times, and its own other questions
would give the answer away.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from anyprefer.core.records import Candidate
from anyprefer.core.task import Task
from anyprefer.models.local.built import INDEX
from anyprefer.tools.base import Finding, tool
from anyprefer.tools.knowledge_search import STOPWORDS
from anyprefer.tools.reference import tokens
from anyprefer.tools.vision.looks import picture_of
from anyprefer.tools.vision.radiology_seen import radiology_index

if TYPE_CHECKING:
    from anyprefer.models.local.radiology_index import Neighbour

_SHOWN = 5
_YES_NO = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)


@tool(alone=True)
def radiology_neighbours(
    task: Task, candidate: Candidate, *, model: str = INDEX, k: Annotated[int, Field(ge=1)] = 10
) -> Finding:
    """Finds like questions about other radiology images with their answers, and how far they support this answer."""
    index = radiology_index(model)
    found = index.neighbours(task.question, index.look(picture_of(task)), k)
    shown = "; ".join(f"{one.question} {one.answer}" for one in found[:_SHOWN])
    return Finding(
        f"Like questions about other images: {shown or 'none'}.",
        verdict=support(candidate.text, found),
        data={"neighbours": [{"question": one.question, "answer": one.answer} for one in found]},
    )


@radiology_neighbours.preparation
def _load(*, model: str = INDEX, k: int = 10) -> None:
    radiology_index(model)


def support(answer: str, found: Sequence[Neighbour]) -> float | None:
    """How far neighbours support an answer, 0..1, each by the square of its likeness.

    Of yes or no: the share of those that say either who say the same. Of other answers: the mean share of the two
    answers' words that they have in common (F1). None where no neighbour has an answer of that form.
    """
    said = _YES_NO.match(answer)
    alike = [one for one in found if (_YES_NO.match(one.answer) is None) == (said is None)]
    weight = sum(one.likeness**2 for one in alike)
    if not weight or not answer.strip():
        return None
    return sum(one.likeness**2 * _same(answer, one.answer, said is not None) for one in alike) / weight


def _same(answer: str, other: str, yes_no: bool) -> float:
    ours, theirs = ({*tokens(text)} - (set() if yes_no else STOPWORDS) for text in (answer, other))
    if yes_no:
        return float(_first(answer) == _first(other))
    return 2 * len(ours & theirs) / max(1, len(ours) + len(theirs))


def _first(text: str) -> str:
    said = _YES_NO.match(text)
    return said[1].lower() if said else ""
