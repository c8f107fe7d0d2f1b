"""Answers of which it is known how good they are, for measuring a judge: `read_gold("test.jsonl")`.

| a row has | right | wrong |
|---|---|---|
| prompt, chosen, rejected (TRL's preference format, with or without messages) | chosen | rejected |
| prompt, candidates (texts), correct (true or false for each) | as said | as said |
| question, and objects with `solution` and `is_correct` (GSM8K's model solutions) | as said | as said |

Candidates are shown in an order drawn by seed and id: the source's own order would tell a judge with a
liking for a place which is right. Which are right is kept apart from the task, where no tool can see it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Any

from anyprefer.graph.errors import InputError
from anyprefer.graph.inputs import Source, located_rows
from anyprefer.graph.state import Task, derive_seed

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
    read = list(islice(_read(source, seed), limit))
    if not read:
        raise InputError(f"{source} holds no rows")
    return read


def _read(source: Source, seed: int) -> Iterator[Gold]:
    seen = set[str]()
    for number, (where, row) in enumerate(located_rows(source), 1):
        if isinstance(row, InputError):
            raise InputError(f"{where}: {row}")
        if not isinstance(row, Mapping):
            raise InputError(f"{where}: a row must be an object, not {type(row).__name__}")
        identifier = str(row.get("id") or f"row-{number:06d}")
        if identifier in seen:
            raise InputError(f"{where}: id {identifier!r} occurs twice; give every row an id of its own")
        seen.add(identifier)
        try:
            system, prompt, marked = _parts(row)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise InputError(
                f"{where}: no prompt with answers that are known to be right or wrong "
                f"({type(error).__name__}: {error}); see the forms in training/gold.py"
            ) from error
        right = {text.strip(): good for text, good in marked if text.strip()}
        shown = sorted(right)
        Random(derive_seed(seed, identifier)).shuffle(shown)
        yield Gold(Task(id=identifier, prompt=prompt, system=system, meta={"candidates": shown}), right)


def _parts(row: Mapping[str, Any]) -> tuple[str | None, str, Marked]:
    """System message, prompt, answers."""
    solved = [value for value in row.values() if isinstance(value, Mapping) and "is_correct" in value]
    if solved:
        return None, row["question"], [(one["solution"], bool(one["is_correct"])) for one in solved]
    if "candidates" in row:
        marked = [(text, bool(good)) for text, good in zip(row["candidates"], row["correct"], strict=True)]
        return (*_asked(row["prompt"]), marked)
    if "prompt" not in row:
        from trl.data_utils import extract_prompt

        row = extract_prompt(row)  # type: ignore[arg-type]
    return (*_asked(row["prompt"]), [(_said(row["chosen"]), True), (_said(row["rejected"]), False)])


def _asked(prompt: Any) -> tuple[str | None, str]:
    """System message and text of a prompt; turns before the last are told with their roles."""
    if isinstance(prompt, str):
        return None, prompt
    system = next((message["content"] for message in prompt if message["role"] == "system"), None)
    turns = [message for message in prompt if message["role"] != "system"]
    if len(turns) == 1:
        return system, turns[0]["content"]
    return system, "\n\n".join(f"{message['role']}: {message['content']}" for message in turns)


def _said(answer: Any) -> str:
    """The text of an answer, which may be one assistant message."""
    if isinstance(answer, str):
        return answer
    [message] = answer
    return str(message["content"])
