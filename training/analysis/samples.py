"""Preference pairs of any data set in one shape, to be compared.

    samples = read_samples("runs/first")                  # a run folder: its accepted rows, with candidates and scores
    samples = read_samples("harmless_base_test.jsonl")    # or a file of pairs; hub:ID works too

| row of a file | known as |
|---|---|
| `prompt`, `chosen`, `rejected`: texts or messages | TRL |
| `chosen`, `rejected` alone, each the whole dialogue: text with `\\n\\nAssistant:`, or messages | HH-RLHF, TRL's implicit prompt |
| `conversations` of {from, value}, `chosen` and `rejected` of {from, value} | ShareGPT, LLaMA-Factory |
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from anyprefer.graph.errors import InputError
from anyprefer.graph.folder import read_rows
from anyprefer.graph.inputs import located_rows
from anyprefer.graph.state import Row, Task, as_text
from anyprefer.training.pairs import pair_files

_TURN = "\n\nAssistant:"


@dataclass(frozen=True)
class Sample:
    """One preference pair with what is known about how it was made."""

    task: Task
    """Its prompt is the whole dialogue before the answers."""
    chosen: str
    rejected: str
    margin: float | None = None
    """Judge score of chosen minus that of rejected; None where either was not scored."""
    reward: float | None = None
    """R of the pair, 1..10."""
    candidates: tuple[str, ...] = ()
    """All answers of the round the pair was formed in; empty where they are not kept."""


def read_samples(source: str | Path) -> list[Sample]:
    """The pairs of a run folder, a file or `hub:ID`, in order.

    Raises `InputError` naming file and line for a row that is no pair, and for a source without pairs.
    """
    path = Path(source)
    if path.is_dir() and any(path.glob("rows*.*")):
        samples = [_of_row(row) for row in read_rows(path) if row.outcome == "accepted"]
    else:
        files: Sequence[str | Path] = pair_files(path) if path.is_dir() else [source]
        samples = [_of_file(where, row) for file in files for where, row in located_rows(file)]
    if not samples:
        raise InputError(f"{source} holds no pairs, so there is nothing to analyse")
    return samples


def draw(samples: Sequence[Sample], n: int, seed: int) -> list[Sample]:
    """So many of them without replacement, all when there are fewer; the same ones for the same seed."""
    return random.Random(seed).sample(list(samples), min(n, len(samples)))


def _of_row(row: Row) -> Sample:
    if row.task is None or row.pair is None:
        raise InputError(f"row {row.id} is accepted without a task or a pair; the run folder is damaged")
    return Sample(
        task=row.task,
        chosen=as_text(row.pair.chosen),
        rejected=as_text(row.pair.rejected),
        margin=row.pair.margin,
        reward=row.reward,
        candidates=tuple(candidate.text for candidate in row.rounds[-1].candidates) if row.rounds else (),
    )


def _of_file(where: str, row: Any) -> Sample:
    if isinstance(row, InputError):
        raise InputError(f"{where}: {row}")
    if not isinstance(row, Mapping) or not {"chosen", "rejected"} <= row.keys():
        there = ", ".join(map(str, row)) if isinstance(row, Mapping) else type(row).__name__
        raise InputError(f"{where}: a pair needs columns chosen and rejected; it has: {there}")
    try:
        prompt, chosen, rejected = _texts(row)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{where}: no pair in a known form (see training/analysis/samples.py): {error!r}") from error
    best, worst = row.get("chosen_score"), row.get("rejected_score")
    return Sample(
        task=Task(id=str(row.get("id") or where), prompt=prompt, reference=row.get("reference")),
        chosen=chosen,
        rejected=rejected,
        margin=best - worst if isinstance(best, int | float) and isinstance(worst, int | float) else None,
        reward=row.get("reward"),
    )


def _texts(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """Prompt, chosen and rejected as text."""
    if prompt := row.get("conversations") or row.get("prompt"):
        return _said(prompt), _said(row["chosen"]), _said(row["rejected"])
    chosen, rejected = row["chosen"], row["rejected"]
    same = sum(1 for _ in takewhile(lambda two: two[0] == two[1], zip(chosen, rejected, strict=False)))
    if isinstance(chosen, str):
        same = chosen[:same].rfind(_TURN) + len(_TURN) if _TURN in chosen[:same] else 0
    return _said(chosen[:same]).removesuffix(_TURN.strip()).strip(), _said(chosen[same:]), _said(rejected[same:])


def _said(content: Any) -> str:
    """Text as it is, one message's text, or a dialogue with its roles."""
    if isinstance(content, Mapping):
        content = [content]
    if isinstance(content, str) or not isinstance(content, Sequence):
        return as_text(content).strip()
    turns = list(_turns(content))
    return turns[0][1] if len(turns) == 1 else "\n\n".join(f"{role}: {text}" for role, text in turns)


def _turns(messages: Sequence[Any]) -> Iterator[tuple[str, str]]:
    for message in messages:
        role, text = ("from", "value") if "from" in message else ("role", "content")
        yield str(message[role]), as_text(message[text]).strip()
