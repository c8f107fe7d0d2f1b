"""Start states of the four tasks of visuo-motor control, a family for each change of the scene (paper §3.1, A.5).

The tasks take turns, and each start has a wording of its task's instruction. What seeds stand for, so that no two uses
ever share a start state:

| seeds | starts of |
|---|---|
| 7000 to 19999 | evaluation |
| 20000 to 39999 | candidates |
| 40000 to 59999 | dev: what settings are chosen on |
| 100000 and more | demonstrations |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from anyprefer.core.errors import InputError, near
from anyprefer.core.results import Metric, ratio
from anyprefer.core.task import Task
from anyprefer.core.trajectories import Trajectory
from anyprefer.models.simulators.by_name import scene_named
from anyprefer.models.simulators.scene_table import SCENES
from anyprefer.training.evaluation.family import Make, Split

SEEDS: Mapping[str, tuple[int, int]] = {"heldout": (7_000, 13_000), "train": (20_000, 20_000), "dev": (40_000, 20_000)}
"""By split, the first seed and how many there are."""
DEMONSTRATIONS = 100_000
"""The first seed of demonstrations."""
APART = 1_000
"""Between the first start states of two seeds of a run; more in a task, and they share some."""
SHIFTS = {"control": "camera", "control_friction": "friction", "control_object": "object", "control_unshifted": ""}
"""By family, what differs from the scenes that the embedded policy learnt in (`models/simulators/shifts.toml`). The camera
is the one that settings were chosen on; friction and object are held out: looked at when all else was settled."""
SIMPLER = "control_simpler"
"""The family of SIMPLER's own scenes."""
TRIALS = 50
"""Of each task, where no number is given (Appendix B.4)."""


def starts(simulator: str, shift: str, n: int, seed: int, split: Split) -> list[Task]:
    """n start states of a simulator, of each task in turn. Raises `InputError` for more than the split has."""
    if split not in SEEDS:
        raise InputError(f"there is no split {split!r}; {near(split, SEEDS)}")
    first, count = SEEDS[split]
    if not 1 <= n <= count * len(SCENES):
        raise InputError(f"split {split!r} has 1 to {count * len(SCENES)} start states, not {n}")
    numbers = [divmod(at, len(SCENES)) for at in range(n)]
    names = list(SCENES)
    return [
        _task(f"{simulator}:{names[kind]}{shift and f'@{shift}'}", first + (seed * APART + at) % count)
        for at, kind in numbers
    ]


def _task(simulator: str, seed: int) -> Task:
    """The wordings take turns too: the instruction is where p_t begins, the others are what it may become."""
    wordings = scene_named(simulator).instructions
    return Task(
        id=f"{simulator.partition(':')[2]}-{seed}",
        prompt=wordings[seed % len(wordings)],
        start={"simulator": simulator, "seed": seed},
        meta={"wordings": list(wordings)},
    )


def scene_of(simulator: str) -> str:
    """The task's name in a simulator's: `carrot` of `mujoco:carrot@camera`."""
    return simulator.partition(":")[2].partition("@")[0]


def counted(task: Task, walk: Trajectory) -> dict[str, float]:
    """What a trial counts, in all and for its task."""
    scene = scene_of(task.start["simulator"])
    held: dict[str, float] = {"trials": 1, "grasp": float(grasped(walk)), "success": float(bool(walk.success))}
    return {**held, **{f"{name} {scene}": value for name, value in held.items()}, "steps": len(walk.actions)}


def grasped(walk: Trajectory) -> bool:
    """Whether the object was held in any step (SIMPLER's partial success)."""
    return any(walk.grasped)


def _metrics() -> dict[str, Metric]:
    kinds = ("", *(f" {scene}" for scene in SCENES))
    return {f"{what}{kind}": ratio(f"{what}{kind}", f"trials{kind}") for what in ("success", "grasp") for kind in kinds}


METRICS = _metrics()
"""Success and grasp rates of all trials, and of each task."""


@dataclass(frozen=True)
class ActedFamily:
    """Start states that can be made in any number, and where they are."""

    name: str
    make: Make
    description: str


def _family(name: str, simulator: str, shift: str, where: str) -> ActedFamily:
    what = f"grasp and success of four pick-and-place tasks {where}, {TRIALS} seeded starts of each"
    return ActedFamily(name, partial(starts, simulator, shift), what)


_WHERE = {"": "as the embedded policy learnt them", "camera": "seen by a camera that was moved"}
CONTROL = {
    **{
        name: _family(name, "mujoco", shift, _WHERE.get(shift, f"with another {shift}"))
        for name, shift in SHIFTS.items()
    },
    SIMPLER: _family(SIMPLER, "simpler", "", "in SIMPLER's own scenes"),
}
"""By name."""
