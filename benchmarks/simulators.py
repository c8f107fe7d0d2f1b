"""The embedded simulator: what the expert does in it, control steps a CPU second, trajectories a minute.

    OMP_NUM_THREADS=1 python -m benchmarks.simulators --trials 50 --json simulators.json
    OMP_NUM_THREADS=1 python -m benchmarks.simulators --policy small --json rollouts.json

Steps are timed in CPU seconds of this process, without what the expert thinks; `best` is the fastest episode, which
says what a core can do when others leave it alone.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

from anyprefer.models.policies.lock_step import AT_ONCE, Episode
from anyprefer.models.rollouts import Rollouts
from anyprefer.models.simulators import expert
from anyprefer.models.simulators.by_name import simulator
from anyprefer.models.simulators.mujoco_scenes import MujocoSimulator
from anyprefer.models.simulators.scene_table import SCENES


def expert_figures(scene: str, trials: int, pixels: bool) -> dict[str, Any]:
    """The expert's trials from the starts 0 and on."""
    played = simulator(f"mujoco:{scene}", pixels)
    assert isinstance(played, MujocoSimulator)
    played.reset(seed=0)  # the first picture of a process costs a quarter of a second
    done = [episode(played, seed) for seed in range(trials)]
    played.close()
    return {
        "success": sum(one.success for one in done),
        "grasp": sum(one.grasp for one in done),
        "trials": trials,
        "mean steps": round(sum(one.steps for one in done) / trials, 1),
        "steps/CPU s": round(sum(one.steps for one in done) / sum(one.seconds for one in done)),
        "best": round(max(one.steps / one.seconds for one in done)),
    }


class Trial(NamedTuple):
    steps: int
    success: bool
    grasp: bool
    """At any step."""
    seconds: float
    """CPU time of the steps."""


def episode(played: MujocoSimulator, seed: int) -> Trial:
    observation, info = played.reset(seed=seed)
    steps, grasp, ended, seconds = 0, False, False, 0.0
    while not ended:
        action = expert.action(played.scene, observation, info)
        began = time.process_time()
        observation, _, done, cut, info = played.step(action)
        seconds += time.process_time() - began
        steps, grasp, ended = steps + 1, grasp or info["is_grasped"], done or cut
    return Trial(steps, bool(info["is_success"]), grasp, seconds)


def rollout_figures(policy: str, workers: int) -> dict[str, float]:
    """Trajectories a minute of wall time; processes and simulators are there already when the clock starts."""
    rollouts = Rollouts(policy, workers)
    episodes = [
        Episode(f"mujoco:{name}", 40_000 + at, scene.instructions[0], at)
        for name, scene in SCENES.items()
        for at in range(2 * AT_ONCE)
    ]
    rollouts.play(episodes, 1.0)
    began = time.perf_counter()
    played = rollouts.play(episodes, 1.0)
    minutes = (time.perf_counter() - began) / 60
    rollouts.close()
    return {"trajectories": len(played), "trajectories/minute": round(len(played) / minutes, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--policy", default="", help="times its rollouts with 1 and 2 workers instead")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    found: dict[str, Any] = {}
    if asked.policy:
        found = {f"{workers} workers": rollout_figures(asked.policy, workers) for workers in (1, 2)}
    else:
        for scene in SCENES:
            for name, pixels in (("state only", False), ("224x168", True)):
                found[f"{scene}, {name}"] = expert_figures(scene, asked.trials, pixels)
                print(scene, name, found[f"{scene}, {name}"], flush=True)
    print(json.dumps(found, indent=1))
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
