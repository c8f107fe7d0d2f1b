"""Rows packed into the page: compressed in pieces that the browser opens when they are looked at, within a budget.

Where they do not fit, long texts are cut and candidates outside of the pair left out, as little as is needed, and the page
says so.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

PIECE = 50
"""Rows of one piece; `browse.js` has the same number."""


class Level(NamedTuple):
    """What is left of a row."""

    cut: int
    """Characters that a text may have."""
    whole: bool
    """Whether all candidates are there, or the pair's two alone."""


LEVELS = (
    Level(50_000, True), Level(8_000, True), Level(2_500, True), Level(8_000, False), Level(2_500, False),
    Level(900, False), Level(300, False), Level(120, False), Level(50, False),
)  # fmt: skip
"""The first that fits is taken."""
_SAMPLE = 100
_ROOM = 0.9
"""Of the budget, what a guess from a sample may fill."""


@dataclass(frozen=True)
class Packed:
    """The pieces as base64 of gzip of a JSON list, in order."""

    pieces: list[str]
    level: Level


def packed(entries: Sequence[bytes], budget: int) -> Packed:
    """Entries (JSON) in pieces of at most `budget` characters together, if the last level fits at all."""
    for level in LEVELS:
        if _guess(entries, level) > budget * _ROOM and level != LEVELS[-1]:
            continue
        pieces = [squeezed(_left(entries[at : at + PIECE], level)) for at in range(0, len(entries), PIECE)]
        if sum(map(len, pieces)) <= budget or level == LEVELS[-1]:
            break
    return Packed(pieces, level)


def squeezed(value: Any) -> str:
    """A JSON value as base64 of gzip; the same value gives the same text."""
    return base64.b64encode(gzip.compress(orjson.dumps(value), 6, mtime=0)).decode()


def shortened(value: Any, cut: int) -> Any:
    """A JSON value whose texts have at most so many characters; how many went stands behind them."""
    if isinstance(value, str) and len(value) > cut:
        return f"{value[:cut]}… ({len(value) - cut} more)"
    if isinstance(value, list):
        return [shortened(one, cut) for one in value]
    if isinstance(value, dict):
        return {name: shortened(one, cut) for name, one in value.items()}
    return value


def pairs_alone(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry with the pair's two candidates of each round, and what was found about them or the task."""
    return {**entry, "rounds": [_pair_alone(played) for played in entry["rounds"]]}


def _pair_alone(played: dict[str, Any]) -> dict[str, Any]:
    two = (played["chosen"], played["rejected"])
    candidates = [one for one in played["candidates"] if one["index"] in two]
    found = [one for one in played["found"] if one["candidate"] is None or one["candidate"] in two]
    return {**played, "candidates": candidates, "found": found, "context": ""}


def _guess(entries: Sequence[bytes], level: Level) -> float:
    step = max(1, len(entries) // (_SAMPLE * PIECE) + 1)
    # in runs of neighbours, which compress as a piece does
    some = [entry for at in range(0, len(entries), PIECE * step) for entry in entries[at : at + PIECE]][: _SAMPLE * 4]
    return len(squeezed(_left(some, level))) * len(entries) / max(1, len(some))


def _left(entries: Sequence[bytes], level: Level) -> list[Any]:
    read = map(orjson.loads, entries)
    return [shortened(one if level.whole else pairs_alone(one), level.cut) for one in read]
