"""How large a shift must be to leave a policy a success of .3 to .5: bisects on development starts, writes `shifts.toml`.

    python -m benchmarks.shifts camera --policy small --trials 24 --write

Success is taken to fall as the shift grows. Starts are 40000 and on, T = 1; nothing that is evaluated is looked at.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import tomlkit

from anyprefer.models.policies.lock_step import Episode
from anyprefer.models.rollouts import Rollouts
from anyprefer.models.simulators import shifts
from anyprefer.models.simulators.scene_table import SCENES

WANTED, FIRST_START, TRIES = (0.3, 0.5), 40_000, 8
Success = Callable[[float], float]


class Found(NamedTuple):
    size: float
    success: float


def bisected(success: Success, most: float, wanted: tuple[float, float] = WANTED, tries: int = TRIES) -> Found:
    """The first size met, halving 0 to `most`, that leaves what is wanted. Raises `ValueError` where none does."""
    low, high, seen = 0.0, most, []
    for _ in range(tries):
        size = float(f"{(low + high) / 2:.3g}")
        left = success(size)
        seen.append(f"{size}: {left:.3f}")
        if wanted[0] <= left <= wanted[1]:
            return Found(size, left)
        low, high = (size, high) if left > wanted[1] else (low, size)
    raise ValueError(f"no size up to {most} leaves a success of {wanted[0]} to {wanted[1]}; seen {', '.join(seen)}")


def policy_success(rollouts: Rollouts, kind: str, trials: int) -> Success:
    """By size: the share of `trials` starts of each of the four scenes that the policy does."""

    def success(size: float) -> float:
        episodes = [
            Episode(f"mujoco:{name}@{kind}={size}", FIRST_START + trial, scene.instructions[0], trial)
            for name, scene in SCENES.items()
            for trial in range(trials)
        ]
        played = rollouts.play(episodes, temperature=1.0)
        rollouts.close()  # simulators of another size are of no use
        left = sum(bool(one.success) for one in played) / len(played)
        print(f"{kind} {size}: success {left:.3f} of {len(played)}", flush=True)
        return left

    return success


def write(file: Path, kind: str, found: Found, policy: str, trials: int) -> None:
    """Puts the size and what it leaves into the table, beside the others."""
    table = tomlkit.parse(file.read_text(encoding="utf-8"))
    table[kind] = {
        "size": found.size,
        "success": round(found.success, 3),
        "trials": trials * len(SCENES),
        "policy": policy,
    }
    file.write_text(tomlkit.dumps(table), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=sorted(shifts.KINDS))
    parser.add_argument("--policy", default="small")
    parser.add_argument("--trials", type=int, default=24, help="starts of each scene")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="into shifts.toml")
    asked = parser.parse_args()
    rollouts = Rollouts(asked.policy, asked.workers)
    found = bisected(policy_success(rollouts, asked.kind, asked.trials), shifts.KINDS[asked.kind].most)
    print(f"{asked.kind} = {found.size} leaves {found.success:.3f}")
    if asked.write:
        write(shifts.FILE, asked.kind, found, asked.policy, asked.trials)


if __name__ == "__main__":
    main()
