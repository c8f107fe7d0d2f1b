"""Distributions for the card: a few numbers, and a histogram in text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from anyprefer.core.results import wilson

_BINS = 10


@dataclass(frozen=True)
class Distribution:
    """Of n finite values: least, quartiles, most, and how many lie in each of ten equal bins from least to most."""

    name: str
    n: int
    least: float
    quartiles: tuple[float, float, float]
    most: float
    bins: tuple[int, ...]

    @property
    def bars(self) -> str:
        """The bins as a line of bars."""
        top = max(self.bins)
        return "".join(_BARS[math.ceil(one / top * (len(_BARS) - 1))] for one in self.bins)


_BARS = "·▁▂▃▄▅▆▇█"


def distribution(name: str, values: Iterable[float | None]) -> Distribution | None:
    """None where no value is known."""
    known = np.array([value for value in values if value is not None and math.isfinite(value)], dtype=float)
    if not known.size:
        return None
    low, mid, high = (float(one) for one in np.percentile(known, [25, 50, 75]))
    least, most = float(known.min()), float(known.max())
    bins = np.histogram(known, _BINS, (least, most))[0] if most > least else np.array([known.size])
    return Distribution(name, int(known.size), least, (low, mid, high), most, tuple(int(one) for one in bins))


@dataclass(frozen=True)
class Share:
    """k of n with Wilson's 95% interval."""

    k: float
    n: int

    def __str__(self) -> str:
        if not self.n:
            return "not measured"
        low, high = wilson(self.k, self.n)
        return f"{self.k / self.n:.1%} (95% interval {low:.1%} to {high:.1%}, n = {self.n:,})"


def longer(pairs: Sequence[tuple[int, int]]) -> Share:
    """In how many pairs the first is longer; equal lengths count half."""
    return Share(sum((a > b) + (a == b) / 2 for a, b in pairs), len(pairs))
