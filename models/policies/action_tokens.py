"""Actions as tokens: each dimension in one of 256 bins, as RT-2 and OpenVLA have it (arXiv 2406.09246, §3.2).

Bins follow OpenVLA's `ActionTokenizer`: 256 edges from -1 to 1 and the 255 middles between them, so that 0 is a middle
and the last bin shares its middle with the one before. Statistics follow its `norm_stats`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from anyprefer.core.errors import ModelSetupError, near
from anyprefer.models.policies.base import DIMENSIONS, Floats, Tokens

BINS = 256
EDGES = np.linspace(-1.0, 1.0, BINS)
MIDDLES = (EDGES[:-1] + EDGES[1:]) / 2


@dataclass(frozen=True)
class ActionTokens:
    """Actions (…, 7) to bins and back."""

    low: tuple[float, ...]
    """What -1 stands for, of every dimension: OpenVLA's 1st percentile."""
    high: tuple[float, ...]
    """What 1 stands for: its 99th percentile."""
    scaled: tuple[bool, ...] = (True,) * DIMENSIONS
    """False where the policy's number is the action's own, as OpenVLA's gripper."""

    @classmethod
    def of_statistics(cls, statistics: Mapping[str, Any], key: str = "") -> Self:
        """OpenVLA's `norm_stats` of the data set called `key`, its `unnorm_key`; empty where there is one alone.

        Raises `ModelSetupError` naming the data sets, and for statistics that are not of seven numbers.
        """
        if not key and len(statistics) == 1:
            [key] = statistics
        if key not in statistics:
            raise ModelSetupError(f"the policy's norm_stats have no data set {key!r}; {near(key, statistics)}")
        try:
            action = statistics[key]["action"]
            low, high = (tuple(float(value) for value in action[name]) for name in ("q01", "q99"))
            mask = tuple(bool(one) for one in action.get("mask", [True] * len(low)))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelSetupError(f"norm_stats of {key!r} hold no action.q01 and action.q99 of numbers") from error
        if not len(low) == len(high) == len(mask) == DIMENSIONS:
            raise ModelSetupError(f"norm_stats of {key!r} are of {len(low)} dimensions; a policy here has {DIMENSIONS}")
        return cls(low, high, mask)

    def tokens(self, actions: ArrayLike) -> Tokens:
        """The bins; what lies outside the limits is in the first or last one."""
        low, high = np.array(self.low), np.array(self.high)
        given = np.asarray(actions, dtype=float)
        scaled = np.where(self.scaled, 2 * (given - low) / (high - low + 1e-8) - 1, given)
        bins: Tokens = np.digitize(np.clip(scaled, -1, 1), EDGES).astype(np.int64) - 1
        return bins

    def actions(self, tokens: ArrayLike) -> Floats:
        """The middles of bins 0..255."""
        low, high = np.array(self.low), np.array(self.high)
        middle = MIDDLES[np.clip(np.asarray(tokens, dtype=np.int64), 0, BINS - 2)]
        return np.where(self.scaled, (middle + 1) / 2 * (high - low + 1e-8) + low, middle)


def limits(reach: Sequence[float]) -> ActionTokens:
    """±`reach` in every dimension."""
    return ActionTokens(tuple(-one for one in reach), tuple(reach))
