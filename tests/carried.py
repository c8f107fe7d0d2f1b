"""Trajectories made by hand: a hand that reaches for a carrot and, as far as it gets, carries it to a plate."""

from __future__ import annotations

from itertools import pairwise

from anyprefer.core.trajectories import Trajectory

CARROT, PLATE, HOME = (0.30, -0.05, 0.016), (0.30, 0.10, 0.004), (0.27, 0.0, 0.16)
GOAL = (0.30, 0.10, 0.0235)
ENDS = ("placed", "dropped beside", "kept in the hand", "never touched")
"""Best first."""


def carried(end: str, **recorded: object) -> Trajectory:
    """Six steps to the carrot, eight to the plate, six away; `end` is how far it gets."""
    hand, carrot, held = [], [], []
    last = GOAL if end == "placed" else (0.30, 0.02, 0.016)
    for state in range(21):
        reached, along, away = min(state / 6, 1), min(max(state - 6, 0) / 8, 1), max(state - 14, 0) / 6
        arch = (0, 0, 0.3 * along * (1 - along))
        if end == "never touched":
            goal, carrot_at = (CARROT[0], CARROT[1] - 0.06, 0.02), CARROT
        else:
            kept = end == "kept in the hand"
            goal = _sum(_between(CARROT, GOAL if kept else last, along), arch)
            carrot_at = _sum(goal, (0, 0, 0.05 * along)) if kept else goal
            goal = carrot_at
        held.append(end != "never touched" and state >= 7 and (state <= 14 or end == "kept in the hand"))
        hand.append(_sum(_between(HOME, goal, reached), (0, 0, 0 if end == "kept in the hand" else 0.12 * away)))
        carrot.append(carrot_at)
    poses = {"hand": hand, "carrot": carrot, "plate": [PLATE] * 21}
    return Trajectory(
        states=hand,
        actions=[_sum(after, before, -1) for before, after in pairwise(hand)],
        success=end == "placed",
        grasped=held,
        poses={name: [(*place, 1.0, 0.0, 0.0, 0.0) for place in track] for name, track in poses.items()},
        **recorded,
    )  # fmt: skip


def _between(one, other, share):
    return tuple(a + (b - a) * share for a, b in zip(one, other, strict=True))


def _sum(one, other, times=1):
    return tuple(a + times * b for a, b in zip(one, other, strict=True))
