"""Rows packed into the page: compressed in pieces that the browser opens when they are looked at, within a budget.

Where they do not fit, their long texts are cut, as little as is needed, and the page says so.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

PIECE = 50
"""Rows of one piece."""
CUTS = (50_000, 8_000, 2_500, 900, 300, 120)
"""Characters that a text may have, the first that fits."""
_SAMPLE = 100
_ROOM = 0.85
"""Of the budget, what a guess from a sample may fill."""


@dataclass(frozen=True)
class Packed:
    """The pieces as base64 of gzip of a JSON list, in order."""

    pieces: list[str]
    cut: int
    """Longest text."""


def packed(entries: Sequence[bytes], budget: int) -> Packed:
    """Entries (JSON) in pieces of at most `budget` characters together, if the shortest texts fit at all."""
    for cut in CUTS:
        if _guess(entries, cut) > budget * _ROOM and cut != CUTS[-1]:
            continue
        pieces = [squeezed(_cut_all(entries[at : at + PIECE], cut)) for at in range(0, len(entries), PIECE)]
        if sum(map(len, pieces)) <= budget or cut == CUTS[-1]:
            break
    return Packed(pieces, cut)


def squeezed(value: Any) -> str:
    """A JSON value as base64 of gzip; the same value gives the same text."""
    return base64.b64encode(gzip.compress(orjson.dumps(value), 6, mtime=0)).decode()


def shortened(value: Any, cut: int) -> Any:
    """A JSON value whose texts have at most so many characters; how many went stands behind them."""
    if isinstance(value, str) and len(value) > cut and not value.startswith("data:image/"):
        return f"{value[:cut]}… ({len(value) - cut} more characters in the run folder)"
    if isinstance(value, list):
        return [shortened(one, cut) for one in value]
    if isinstance(value, dict):
        return {name: shortened(one, cut) for name, one in value.items()}
    return value


def _guess(entries: Sequence[bytes], cut: int) -> float:
    step = max(1, len(entries) // _SAMPLE)
    # in runs of neighbours, which compress as a piece does
    some = [entry for at in range(0, len(entries), PIECE * step) for entry in entries[at : at + PIECE]]
    return len(squeezed(_cut_all(some, cut))) * len(entries) / max(1, len(some))


def _cut_all(entries: Sequence[bytes], cut: int) -> list[Any]:
    return [shortened(orjson.loads(entry), cut) for entry in entries]
