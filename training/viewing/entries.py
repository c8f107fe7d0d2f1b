"""Rows as the page shows them: plain JSON with what a reader looks at, pictures by their keys (`pictures.py`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from anyprefer.core.errors import InputError
from anyprefer.core.records import Candidate, Judgment, Knowledge, Round, Row, Selection
from anyprefer.core.task import Task
from anyprefer.core.values import as_text
from anyprefer.training.viewing.counts import source_of, why_not
from anyprefer.training.viewing.filmstrips import Films, filmstrip
from anyprefer.training.viewing.lineage import between
from anyprefer.training.viewing.pictures import Pictures

if TYPE_CHECKING:
    from anyprefer.core.costs import Costs

SNIPPET = 140
"""Characters of the prompt in the list of rows."""
MOST_FINDINGS = 200
"""Findings of a round that are shown."""
MOST_FILMS = 60
"""Trajectories whose frames are shown, two a pair; their paths and costs always are."""


class Entries:
    """Makes them, with one set of pictures for all."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._films = Films(MOST_FILMS)

    def of(self, row: Row, part: int, roots: list[Path]) -> dict[str, Any]:
        """A row of the run with that place among the shown ones."""
        task = row.task
        last = row.pair_round
        return {
            "id": row.id,
            "part": part,
            "outcome": row.outcome,
            "reason": row.reason,
            "reward": row.reward if row.reward is not None else last.reward.score if last and last.reward else None,
            "margin": last.pair.margin if last and last.pair else None,
            "source": source_of(task),
            "prompt": task.text if task else "",
            "system": (task.system or "") if task else "",
            "reference": as_text(task.reference)[:2000] if task and task.reference is not None else "",
            "images": self._pictures.of_task(task, roots) if task else [],
            "chosen": self._answer(row, last, "chosen", roots) if last else None,
            "rejected": self._answer(row, last, "rejected", roots) if last else None,
            "rounds": [self._round(played, task, roots) for played in row.rounds],
            "rewrites": [between(one, after) for one, after in zip(row.rounds, row.rounds[1:], strict=False)],
            "trace": row.trace,
            "tokens": sum(used.input_tokens + used.output_tokens for used in row.usage.values()),
        }

    def _answer(
        self, row: Row, played: Round, role: Literal["chosen", "rejected"], roots: list[Path]
    ) -> dict[str, Any]:
        content, index = getattr(played.pair, role), getattr(played.pair, f"{role}_index")
        shown = _content(content, played, index)
        if film := shown.get("film"):
            film["frames"] = [self._pictures.of_frame(one) for one in self._films.of(content, row.task, roots)]
        return {"index": index, **shown}

    def _round(self, played: Round, task: Task | None, roots: list[Path]) -> dict[str, Any]:
        judged = {one.candidate: one for one in played.judgments}
        return {
            "number": played.number,
            "reward": played.reward.score if played.reward else None,
            "analysis": played.reward.analysis if played.reward else why_not(played),
            "context": played.context,
            "chosen": played.pair.chosen_index if played.pair else None,
            "rejected": played.pair.rejected_index if played.pair else None,
            "selected": [_selected(one) for one in played.selected],
            "candidates": [_candidate(one, judged.get(one.index), played) for one in played.candidates],
            "found": [self._finding(one, played, task, roots) for one in played.knowledge[:MOST_FINDINGS]],
            "more": max(0, len(played.knowledge) - MOST_FINDINGS),
            "updates": [{"prompt": one.prompt, "changed": one.changed, "note": one.note} for one in played.updates],
        }

    def _finding(self, item: Knowledge, played: Round, task: Task | None, roots: list[Path]) -> dict[str, Any]:
        pair = played.pair
        seen = item.candidate is None or pair is None or item.candidate in (pair.chosen_index, pair.rejected_index)
        return {
            "tool": item.tool,
            "candidate": item.candidate,
            "arguments": _short(item.arguments),
            "text": item.text,
            "verdict": item.verdict,
            "error": item.error,
            "seconds": round(item.seconds, 3),
            "images": self._pictures.of_finding(item, task, roots) if task and seen else [],
        }


def index_of(entry: dict[str, Any]) -> list[Any]:
    """What the list of rows needs of an entry, in the order in which `browse.js` names it."""
    both = [len(one["text"]) if one else None for one in (entry["chosen"], entry["rejected"])]
    snippet = " ".join(entry["prompt"].split())[:SNIPPET]
    names = ("id", "part", "outcome", "reward", "margin", "source")
    return [*(entry[name] for name in names), len(entry["rounds"]), snippet, *both]


def _candidate(one: Candidate, judged: Judgment | None, played: Round) -> dict[str, Any]:
    return {
        "index": one.index,
        **_content(one.content, played, one.index),
        "score": judged.score if judged else None,
        "spread": judged.spread if judged else 0,
        "analysis": judged.analysis if judged else "",
        "ended": "" if one.complete else one.refusal or one.ended,
        "thoughts": one.thoughts,
    }


def _content(content: Any, played: Round, index: int | None) -> dict[str, Any]:
    """A text as it is; a trajectory also as the strip that is drawn of it."""
    if isinstance(content, str):
        return {"text": content}
    film = filmstrip(content, _costs(played, index))
    return {"text": film["told"] if film else as_text(content), **({"film": film} if film else {})}


def _costs(played: Round, index: int | None) -> Costs | None:
    if index is None or not played.context:
        return None
    from anyprefer.nodes.judges.costs import costs_in

    try:
        return costs_in(played, index)
    except InputError:  # a tool's data that are no keypoints
        return None


def _selected(one: Selection) -> str:
    return " ".join(part for part in (one.tool, _short(one.arguments), one.note and f"({one.note})") if part)


def _short(arguments: dict[str, Any]) -> str:
    return json.dumps(arguments, ensure_ascii=False)[:500] if arguments else ""
