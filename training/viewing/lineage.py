"""Where prompts came from: each rewrite beside what it replaced, word by word."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from anyprefer.core.records import Prompts, Round

if TYPE_CHECKING:
    from anyprefer.graph.dataset_prompts import Decision

Change = tuple[Literal["same", "out", "in"], str]
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
_MOST_WORDS = 4_000
FILE = "prompts.jsonl"


@dataclass(frozen=True)
class Version:
    """A version of the prompts that all tasks of a run share."""

    name: str
    kept: bool
    words: str
    """How it fared against the one before."""
    changes: dict[str, list[Change]]
    """By prompt, against the version that was in force; unchanged prompts are left out."""


def changes(before: str, after: str) -> list[Change]:
    """The words of both texts in order: those that stayed, went and came. Very long texts are compared as wholes."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    if len(old) + len(new) > _MOST_WORDS:
        return [("out", before), ("in", after)]
    found: list[Change] = []
    for kind, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            found.append(("same", "".join(old[i:j])))
        else:
            found += [("out", "".join(old[i:j]))] * (i < j)
            found += [("in", "".join(new[k:m]))] * (k < m)
    return found


def rewritten(before: Prompts, after: Prompts) -> dict[str, list[Change]]:
    """The prompts that differ, by name (`target`, `judge`, `tools.NAME`)."""
    names = ["target", "judge", *(f"tools.{name}" for name in after.tools if name in before.tools)]
    return {name: changes(before.of(name), after.of(name)) for name in names if before.of(name) != after.of(name)}


def between(played: Round, after: Round) -> dict[str, list[Change]]:
    """What was rewritten from one round of a task to the next."""
    return rewritten(played.prompts, after.prompts)


def versions(folder: Path) -> list[Version]:
    """The versions of a run with `prompt_scope = "dataset"`, in order; empty for any other. Damaged lines are left out."""
    if not (folder / FILE).is_file():
        return []
    decisions = [one for line in (folder / FILE).read_bytes().splitlines() if (one := _decision(line))]
    found, force = list[Version](), None
    for one in decisions:
        found.append(Version(one.version, one.kept, _fared(one), rewritten(force, one.prompts) if force else {}))
        force = one.prompts if one.kept or force is None else force
    return found


def _fared(one: Decision) -> str:
    if not one.before:
        return "the version that the run began with"
    both = [(one.before[task], one.rewards[task]) for task in one.before if task in one.rewards]
    if not both:
        return "no held-out task was played with both versions"
    then, now = (sum(column) / len(both) for column in zip(*both, strict=True))
    return f"mean R on {len(both)} held-out tasks {then:.2f} before, {now:.2f} with it; made from {one.rounds} rounds"


def _decision(line: bytes) -> Decision | None:
    from anyprefer.graph.dataset_prompts import Decision  # brings what plays

    try:
        return Decision.model_validate_json(line)
    except ValidationError:
        return None
