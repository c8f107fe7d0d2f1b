"""Is the judgment of trajectories right? AUC of their cost against the simulator's success, within a start state.

    python -m benchmarks.cost_judge                     # of an expert that mis-sees the objects by 1.4 to 5 cm
    python -m benchmarks.cost_judge --rows RUN_FOLDER   # of the candidates of a finished run
    python -m benchmarks.cost_judge --seen              # and by keypoints from masks and depth: 0.2 s a trajectory more

A row of the table is a variant of the judge: what it is given (poses, the same with noise, frozen at the first frame)
and which specification (the one that ships, without its third stage, the last distance alone). 1 is a judge that costs
every failure more than every success of its start, 0.5 one that tosses a coin. Intervals resample start states.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from anyprefer.core.cost_spec import HAND, CostSpec
from anyprefer.core.costs import costs_of, default_spec
from anyprefer.core.keypoint_tracks import Tracks
from anyprefer.core.records import Candidate, Row
from anyprefer.core.task import Task
from anyprefer.core.trajectories import Trajectory
from anyprefer.core.values import derive_seed
from anyprefer.tools.control.keypoints import keypoints

TASKS = ("carrot", "spoon", "stack", "eggplant")
MISSEEN = (0.014, 0.05)
"""Metres in the plane by which the expert mis-sees an object, drawn evenly."""
SEED, RESAMPLES = 20_000, 2000


@dataclass(frozen=True)
class Played:
    """A trajectory and the start state that it shares with others."""

    start: str
    simulator: str
    seed: int
    trajectory: Trajectory


def mis_seen(task: str, starts: int, each: int, first: int) -> Iterator[Played]:
    """Episodes of the scripted expert, who sees both objects beside where they are."""
    from anyprefer.models.simulators.by_name import simulator
    from anyprefer.models.simulators.expert import action

    world = simulator(f"mujoco:{task}", pixels=False)
    for seed in range(first, first + starts):
        for number in range(each):
            offsets = _offsets(world.objects, np.random.default_rng([seed, number]))
            observation, info = world.reset(seed=seed)
            infos, states, actions = [info], [observation["agent_pos"].tolist()], list[list[float]]()
            done = False
            while not done:
                seen = {name: pose[:3] + offsets.get(name, np.zeros(3)) for name, pose in _arrays(info).items()}
                poses = {name: [*seen[name], *info["poses"][name][3:]] for name in seen}
                chosen = action(world.scene, observation, {**info, "poses": poses})
                observation, _, success, cut, info = world.step(chosen)
                infos.append(info)
                states.append(observation["agent_pos"].tolist())
                actions.append(chosen.tolist())
                done = success or cut
            yield Played(f"{task}-{seed}", f"mujoco:{task}", seed, _recorded(states, actions, infos))


def _arrays(info: Mapping[str, dict[str, Sequence[float]]]) -> dict[str, np.ndarray]:
    return {name: np.array(pose) for name, pose in info["poses"].items()}


def _offsets(names: Iterable[str], rng: np.random.Generator) -> dict[str, np.ndarray]:
    found = {}
    for name in names:
        angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(*MISSEEN)
        found[name] = np.array([far * np.cos(angle), far * np.sin(angle), 0.0])
    return found


def _recorded(states: list, actions: list, infos: list) -> Trajectory:
    return Trajectory(
        states=states,
        actions=actions,
        success=bool(infos[-1]["is_success"]),
        grasped=[info["is_grasped"] for info in infos],
        poses={name: [info["poses"][name] for info in infos] for name in infos[0]["poses"]},
    )


def of_rows(folder: Path) -> Iterator[Played]:
    """Every candidate of a run's rows that tells whether it succeeded."""
    for file in sorted(folder.glob("rows*.jsonl")):
        for line in file.read_text(encoding="utf-8").split("\n"):
            row = Row.model_validate_json(line) if line else None
            for candidate in (one for played in (row.rounds if row else ()) for one in played.candidates):
                trajectory = Trajectory.of(candidate.content)
                if trajectory.success is not None and trajectory.poses:
                    yield Played(row.id, row.task.start["simulator"], row.task.start["seed"], trajectory)


def tracks_of(played: Played, noise: float = 0.0, hand_too: bool = False, felt: bool = True) -> Tracks:
    """The recorded poses as keypoints; objects with Gaussian noise of that standard deviation (m) on each axis."""
    rng = np.random.default_rng(derive_seed(played.start, played.trajectory.actions))
    points = {}
    for name, poses in played.trajectory.poses.items():
        track = np.array(poses)[:, :3]
        points[name] = track + rng.normal(0, noise, track.shape) * (hand_too or name != HAND)
    return Tracks(points, np.array(played.trajectory.grasped) if felt else None)


def seen(played: Played, noise: float = 0.0) -> Tracks:
    """Keypoints as the tool `keypoints` finds them, by replaying the trajectory; `noise` in m."""
    task = Task(id=played.start, prompt="-", start={"simulator": played.simulator, "seed": played.seed})
    candidate = Candidate(index=0, content=played.trajectory.model_dump(mode="json"), seed=0)
    return Tracks.of(keypoints.function(task, candidate, noise=1000 * noise).data)


def frozen(tracks: Tracks) -> Tracks:
    """What GRAPE's code sees: objects stay where they were at first."""
    points = {
        name: track if name == HAND else np.repeat(track[:1], len(track), 0) for name, track in tracks.points.items()
    }
    return replace(tracks, points=points)


def without_place(spec: CostSpec) -> CostSpec:
    """The specification whose third stage is never reached, as in GRAPE's code."""
    reach, move, _ = spec.stages
    return CostSpec(points=spec.points, stages=(reach, move.model_copy(update={"until": None})))


def evenly(spec: CostSpec) -> CostSpec:
    """All weights equal."""
    stages = [
        stage.model_copy(update={"terms": tuple(term.model_copy(update={"weight": 1.0}) for term in stage.terms)})
        for stage in spec.stages
    ]
    return spec.model_copy(update={"stages": tuple(stages)})


Variant = Callable[[Played, CostSpec], float]


def _cost(spec: CostSpec, tracks: Tracks) -> float:
    return costs_of(spec, tracks).total


def _last_distance(played: Played, spec: CostSpec) -> float:
    tracks, goal = tracks_of(played), spec.points["goal"]
    source = tracks.points[spec.points["source"].of]
    return float(np.linalg.norm(source[-1] - tracks.points[goal.of][-1] - goal.offset))


VARIANTS: Mapping[str, Variant] = {
    "tracked poses, 3 stages": lambda one, spec: _cost(spec, tracks_of(one)),
    "the same, all weights equal": lambda one, spec: _cost(evenly(spec), tracks_of(one)),
    "the same, grasp told from keypoints": lambda one, spec: _cost(spec, tracks_of(one, felt=False)),
    "15 mm noise on objects": lambda one, spec: _cost(spec, tracks_of(one, 0.015)),
    "15 mm noise on objects and hand": lambda one, spec: _cost(spec, tracks_of(one, 0.015, hand_too=True)),
    "15 mm noise, grasp told from keypoints": lambda one, spec: _cost(spec, tracks_of(one, 0.015, felt=False)),
    "without stage 3": lambda one, spec: _cost(without_place(spec), tracks_of(one)),
    "keypoints frozen at the first frame": lambda one, spec: _cost(spec, frozen(tracks_of(one))),
    "frozen and without stage 3 (GRAPE's code)": lambda one, spec: _cost(without_place(spec), frozen(tracks_of(one))),
    "the last distance alone": _last_distance,
    "length alone": lambda one, spec: float(len(one.trajectory.actions)),
}


SEEN: Mapping[str, Variant] = {
    "keypoints from masks and depth": lambda one, spec: _cost(spec, seen(one)),
    "the same, and 15 mm noise": lambda one, spec: _cost(spec, seen(one, 0.015)),
}


def auc(costs: np.ndarray, succeeded: np.ndarray) -> float:
    """The chance that a success costs less than a failure; ties count half."""
    good, bad = int(succeeded.sum()), int((~succeeded).sum())
    ranks = rankdata(-costs)
    return float((ranks[succeeded].sum() - good * (good + 1) / 2) / (good * bad))


def within(played: Sequence[Played], costs: np.ndarray) -> np.ndarray:
    """The AUC of each start state that has a success and a failure."""
    groups = dict[str, list[int]]()
    for place, one in enumerate(played):
        groups.setdefault(one.start, []).append(place)
    succeeded = np.array([bool(one.trajectory.success) for one in played])
    mixed = [np.array(group) for group in groups.values() if 0 < succeeded[group].sum() < len(group)]
    return np.array([auc(costs[group], succeeded[group]) for group in mixed])


def interval(values: np.ndarray) -> tuple[float, float]:
    """95% bootstrap over start states."""
    drawn = np.random.default_rng(0).choice(values, (RESAMPLES, len(values))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def table(played: Sequence[Played], variants: Mapping[str, Variant] = VARIANTS) -> list[dict[str, object]]:
    """A row a variant."""
    specs = [default_spec(one.trajectory.poses) for one in played]
    succeeded = np.array([bool(one.trajectory.success) for one in played])
    rows = []
    for name, variant in variants.items():
        costs = np.array([variant(one, spec) for one, spec in zip(played, specs, strict=True)])
        groups = within(played, costs)
        low, high = interval(groups)
        rows.append(
            {
                "judge": name,
                "within": groups.mean(),
                "low": low,
                "high": high,
                "mixed": len(groups),
                "all": auc(costs, succeeded),
            }
        )
    return rows


def shown(played: Sequence[Played], rows: Sequence[Mapping[str, object]]) -> str:
    """The table in Markdown."""
    starts, done = len({one.start for one in played}), sum(bool(one.trajectory.success) for one in played)
    head = f"{len(played)} trajectories of {starts} start states, success {done / len(played):.3f}; {rows[0]['mixed']} starts are mixed."
    lines = [
        f"| {row['judge']} | {row['within']:.3f} [{row['low']:.3f}, {row['high']:.3f}] | {row['all']:.3f} |"
        for row in rows
    ]
    return "\n".join([head, "", "| judge | AUC within a start | AUC over all |", "|---|---|---|", *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, help="a run folder; without it the expert is played")
    parser.add_argument("--seen", action="store_true", help="by keypoints from masks and depth too")
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--starts", type=int, default=40, help="start states a task")
    parser.add_argument("--each", type=int, default=5, help="trajectories a start state")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.rows:
        played = list(of_rows(given.rows))
    else:
        played = [one for task in given.tasks for one in mis_seen(task, given.starts, given.each, given.seed)]
    rows = table(played, {**VARIANTS, **(SEEN if given.seen else {})})
    print(shown(played, rows))
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
