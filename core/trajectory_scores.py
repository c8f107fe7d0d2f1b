"""What a trajectory is worth in 1..10, and the parts that this is made of, each visible on its own."""

from __future__ import annotations

import math
from dataclasses import dataclass

from anyprefer.core.trajectories import Trajectory

STEPS = 12
"""Steps at the beginning over which the likelihood is taken. All trajectories have about as many: over all of its steps it
would tell a short one, which succeeded, from a long one (GRAPE's sum over the episode does)."""
WEIGHTS = {"costs": 1.0, "success": 1.0, "likelihood": 0.1}
"""How much each part counts. GRAPE's README tunes them to be alike; the likelihood hardly ranks trajectories of one policy."""


def mean_log_probability(trajectory: Trajectory) -> float | None:
    """ln p a token over the first `STEPS` actions, at most 0; None where it was not recorded."""
    told = [value for action in trajectory.logprobs[:STEPS] for value in action if math.isfinite(value)]
    return min(0.0, sum(told) / len(told)) if told else None


@dataclass(frozen=True)
class Parts:
    """The parts of a score, each 0..1, higher is better; None where it is not known."""

    costs: float | None = None
    """1 - what it costs (`Costs.total`)."""
    success: float | None = None
    """What the simulator says in the end."""
    likelihood: float | None = None
    """exp of the mean log-probability: how likely the policy was to choose each token, in the geometric mean."""

    @property
    def score(self) -> float:
        """1..10: 1 + 9 times the weighted mean of the parts that are known. Raises `ValueError` where none is."""
        known: dict[str, float] = {name: part for name in WEIGHTS if (part := getattr(self, name)) is not None}
        if not known:
            raise ValueError("no part of the score is known")
        return 1 + 9 * sum(WEIGHTS[name] * part for name, part in known.items()) / sum(WEIGHTS[name] for name in known)

    def told(self) -> dict[str, float]:
        """As JSON."""
        return {name: round(part, 4) for name in WEIGHTS if (part := getattr(self, name)) is not None}


def likelihood_of(trajectory: Trajectory) -> float | None:
    """exp of `mean_log_probability`, 0..1."""
    mean = mean_log_probability(trajectory)
    return None if mean is None else math.exp(mean)
