"""Answers of which it is known how good they are, for measuring a judge: `read_gold("test.jsonl")`.

| a row has | right | wrong |
|---|---|---|
| a preference pair in any form of `training/pair_data/preference_rows.py` | chosen | rejected |
| prompt, candidates (texts), correct (true or false for each) | as said | as said |
| question, and objects with `solution` and `is_correct` (GSM8K's model solutions) | as said | as said |

Candidates are shown in an order drawn by seed and id: the source's own order would tell a judge with a
liking for a place which is right. Which are right is kept apart from the task, where no tool can see it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from random import Random
from typing import Any

from anyprefer.core.conversation import Message
from anyprefer.core.errors import InputError
from anyprefer.core.input_files import Source
from anyprefer.core.task import Task
from anyprefer.core.values import derive_seed
from anyprefer.training.pair_data.preference_rows import (
    columns_of,
    preference_file,
    prompt_of,
    read_preference,
    readable,
    task_of,
)

Marked = list[tuple[str, bool]]
"""Answers, and whether each is right."""


@dataclass(frozen=True)
class Gold:
    """One task with its answers."""

    task: Task
    """`meta["candidates"]` holds the answers in the order they are shown."""
    right: dict[str, bool]
    """Whether each answer is right, by its text."""

    @property
    def tells(self) -> bool:
        """Whether there are right and wrong ones; without both nothing about a judge can be told."""
        return len(set(self.right.values())) == 2


def read_gold(source: Source, limit: int | None = None, seed: int = 0) -> list[Gold]:
    """The first `limit` rows, all by default. Raises `InputError` naming the row that has none of the forms above."""
    seen = set[str]()
    numbers = count(1)

    def read(where: str, row: Any) -> Gold:
        number, row = next(numbers), columns_of(where, row)
        identifier = str(row.get("id") or f"row-{number:06d}")
        if identifier in seen:
            raise InputError(f"{where}: id {identifier!r} occurs twice; give every row an id of its own")
        seen.add(identifier)
        return _gold(where, row, identifier, seed)

    found = list(islice(readable(preference_file(source), read), limit))
    if not found:
        raise InputError(f"{source} holds no rows")
    return found


def _gold(where: str, row: Mapping[str, Any], identifier: str, seed: int) -> Gold:
    prompt, marked = _solved(where, row) or _marked(where, row) or _preferred(where, row)
    right = {text.strip(): good for text, good in marked if text.strip()}
    shown = sorted(right)
    Random(derive_seed(seed, identifier)).shuffle(shown)
    return Gold(task_of(where, identifier, prompt, meta={"candidates": shown}), right)


def _solved(where: str, row: Mapping[str, Any]) -> tuple[Sequence[Message], Marked] | None:
    """GSM8K's form, where the row has it."""
    solved = [value for value in row.values() if isinstance(value, Mapping) and "is_correct" in value]
    if not solved:
        return None
    if not all(isinstance(one.get("solution"), str) for one in solved):
        raise InputError(f"{where}: every object with `is_correct` needs a `solution` text")
    return _asked(where, row), [(one["solution"], bool(one["is_correct"])) for one in solved]


def _marked(where: str, row: Mapping[str, Any]) -> tuple[Sequence[Message], Marked] | None:
    """Candidates with their marks, where the row has them."""
    if "candidates" not in row:
        return None
    texts, marks = row["candidates"], row.get("correct")
    if not isinstance(texts, list) or not isinstance(marks, list) or len(texts) != len(marks):
        raise InputError(f"{where}: `candidates` and `correct` must be lists of the same length")
    if not all(isinstance(text, str) for text in texts):
        raise InputError(f"{where}: every one of the `candidates` must be a text")
    return _asked(where, row), [(text, bool(good)) for text, good in zip(texts, marks, strict=True)]


def _preferred(where: str, row: Mapping[str, Any]) -> tuple[Sequence[Message], Marked]:
    pair = read_preference(where, row)
    return pair.prompt, [(pair.chosen, True), (pair.rejected, False)]


def _asked(where: str, row: Mapping[str, Any]) -> Sequence[Message]:
    try:
        prompt = prompt_of(row)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error
    if not prompt:
        raise InputError(f"{where}: there is no prompt; it has: {', '.join(map(str, row))}")
    return prompt
