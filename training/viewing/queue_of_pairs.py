"""The pairs that people review, in an order that says nothing of how they ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from anyprefer.core.errors import InputError
from anyprefer.core.marks import Mark
from anyprefer.core.records import Row
from anyprefer.core.values import stable_hash
from anyprefer.graph.runs.marks import FILE, Marks
from anyprefer.training.analysis.agreement import Reviewed, left_is_chosen
from anyprefer.training.viewing.entries import Entries
from anyprefer.training.viewing.folders import Shown
from anyprefer.training.viewing.pictures import Pictures


class Waiting(NamedTuple):
    """A row with a pair, and the place of its run."""

    row: Row
    part: int


class Queue:
    """Pairs of accepted and rejected rows, mixed by a hash: a longer queue begins as a shorter one does."""

    def __init__(self, parts: Sequence[Shown], most: int) -> None:
        """Raises `InputError` for runs without a pair."""
        self.parts = parts
        self.marks = [Marks(part.part.folder / FILE) for part in parts]
        found = [Waiting(row, place) for place, part in enumerate(parts) for row in part.rows() if _can_wait(row)]
        if not found:
            raise InputError("no row of the run formed a pair, so there is nothing to review")
        self.pairs = sorted(found, key=lambda one: stable_hash(["review", one.part, one.row.id]))[:most]

    def shown(self, at: int, by: str) -> dict[str, Any]:
        """What the page shows of a pair: two answers by side, and how it was judged once the person said which is better."""
        one, mark = self.pairs[at], self.mark(at, by)
        pictures = Pictures(50_000_000)
        entry = Entries(pictures).of(one.row, one.part, self.parts[one.part].image_roots())
        sides = ("chosen", "rejected") if left_is_chosen(one.row.id) else ("rejected", "chosen")
        blind = {name: entry[name] for name in ("prompt", "system", "images")}
        left, right = (_unnamed(entry[side]) for side in sides)
        told = {"entry": entry} if mark.better else {}
        return {"id": one.row.id, **blind, "left": left, "right": right, "pictures": pictures.urls, **told}

    def mark(self, at: int, by: str) -> Mark:
        """What the person says of it so far."""
        one = self.pairs[at]
        return self.marks[one.part].current().get((by, one.row.id), Mark())

    def say(self, at: int, by: str, field: str, value: str) -> None:
        """Marks a pair; `better` may be `left` or `right`, and is said once, before the judge's choice is shown.
        Raises as `Marks.add` does."""
        one = self.pairs[at]
        if field == "better" and self.mark(at, by).better:
            raise InputError("the judge's choice was shown already; undo takes a mark back")
        if field == "better" and value in ("left", "right"):
            value = "chosen" if (value == "left") == left_is_chosen(one.row.id) else "rejected"
        self.marks[one.part].add(by, one.row.id, field, value)

    def undo(self, by: str) -> int | None:
        """Takes the person's last act back, of all runs; the place of its pair."""
        newest = max(self.marks, key=lambda marks: marks.last(by))
        row = newest.undo(by)
        part = self.marks.index(newest)
        return next((at for at, one in enumerate(self.pairs) if (one.part, one.row.id) == (part, row)), None)

    def said(self, by: str) -> list[dict[str, Any] | None]:
        """The person's marks by place, None where there is none; which side was called better, not which answer."""
        current = [marks.current() for marks in self.marks]
        found = [current[one.part].get((by, one.row.id)) for one in self.pairs]
        return [_sided(mark, one.row.id) if mark else None for mark, one in zip(found, self.pairs, strict=True)]

    def reviewed(self) -> list[Reviewed]:
        """Everybody's marks of these pairs."""
        known = {(one.part, one.row.id): one for one in self.pairs}
        return [
            Reviewed.of(one.row, by, mark)
            for part, marks in enumerate(self.marks)
            for (by, row), mark in marks.current().items()
            if (one := known.get((part, row)))
        ]


def _can_wait(row: Row) -> bool:
    return row.task is not None and row.pair_round is not None and row.outcome != "failed"


def _unnamed(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "index"}


def _sided(mark: Mark, row: str) -> dict[str, Any]:
    sides = {"chosen": "left", "rejected": "right"} if left_is_chosen(row) else {"chosen": "right", "rejected": "left"}
    return {**mark.model_dump(), "better": sides.get(mark.better or "", mark.better)}
