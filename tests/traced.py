"""Tasks whose traces tests look at: a fixed one, scripted, of three rounds with tools of which one fails."""

from __future__ import annotations

from typing import Any

from anyprefer.core.records import Finding
from anyprefer.graph import synth
from anyprefer.tools import tool
from tests.scripted import Scripted, a_task, scores

WORDS = "The answer needs some words, so that it has the length that answers have. "


@tool
def look(query: str) -> Finding:
    """Looks a thing up in a book of 1,000 pages."""
    passages = [{"text": "A passage of the book. " * 6, "page": page} for page in range(5)]
    return Finding("A passage of the book. " * 20, data=passages)


@tool
def weigh(task: Any, candidate: Any) -> Finding:
    """Weighs an answer."""
    if candidate.index == 1:
        raise ValueError("the scales are out of order")
    return Finding("seen " * 20, verdict=0.5)


def model_of_three_rounds(**script: Any) -> Scripted:
    """Answers of some length, R = 3, 4 and 5, so that the task is rejected."""
    said = "".join(f"On answer number {number}: its reasoning is sound. {WORDS * 3}\n" for number in range(1, 6))
    return Scripted(
        **{
            "sample": lambda call: f"answer {call.seed % 1000} of {call.number}: {WORDS * 3}",
            "judge": lambda call: said + scores(*range(call.shown, 0, -1)),
            "reward": [f"{score}/10 {WORDS * 3}" for score in (3, 4, 5)],
            "select_tools": '["look", "weigh"]',
            "aggregate": WORDS * 3,
            **script,
        }
    )


def rows_of(target: str, *tasks: Any, model: Any = None, **values: Any) -> list[Any]:
    """The rows of a traced run, by default of one task that is rejected after three rounds."""
    player = model or model_of_three_rounds()
    given = {"target": player, "judge": player, "tools": [look, weigh], "trace": target, **values}
    return list(synth(list(tasks) or [a_task("A question of some length. " * 10)], **given))
