"""The state of the graph: what a task is played on, and what belongs to the round being played."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict  # pydantic needs this one for a schema on Python 3.11

from anyprefer.core.records import Candidate, Judgment, Knowledge, PreferencePair, Prompts, Round, Selection
from anyprefer.core.task import NewTask, Task


class GameInput(TypedDict):
    """What a graph is invoked with."""

    task: NewTask


class GameState(TypedDict, total=False):
    """The LangGraph state. `invoke` needs `task` only; keys below the first block belong to the
    current round; `FRESH` empties them for the next."""

    task: Task
    prompts: Prompts
    rounds: list[Round]
    outcome: Literal["accepted", "rejected", "again"]

    selected: list[Selection]
    candidates: list[Candidate]
    task_knowledge: list[Knowledge]
    candidate_knowledge: list[Knowledge]
    context: str
    judgments: list[Judgment]
    pair: PreferencePair | None


FRESH: GameState = {
    "selected": [],
    "candidates": [],
    "task_knowledge": [],
    "candidate_knowledge": [],
    "context": "",
    "judgments": [],
    "pair": None,
}
"""The current round's keys before it begins."""
