"""A cost specification (`cost_spec.py`) applied to a trajectory's keypoints: what each stage and term of it costs.

The stages follow each other: reach until the object is first lifted, move until it is released, place until the end.
Departures from GRAPE's code (its paper's, arXiv 2411.19309, section 4.2 and appendix): keypoints are tracked where it keeps those of
the first frame, the third stage is reached where its `elif` cannot be, and costs are means, minima or last values where
it sums over steps, so that a longer trajectory costs no more for its length.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyprefer.core.cost_spec import CostSpec, Term, Until, read_spec
from anyprefer.core.errors import InputError
from anyprefer.core.keypoint_tracks import Flags, Track, Tracks

LAST = 3
"""States over which a stage's final value is averaged: keypoints are noisy."""


@dataclass(frozen=True)
class TermCost:
    """What one term came to."""

    term: Term
    cost: float
    """0 .. the term's weight."""
    over_time: NDArray[np.float64]
    """(T + 1,), what it costs at each state; NaN outside of its stage."""


@dataclass(frozen=True)
class StageCost:
    """What one stage came to."""

    name: str
    span: tuple[int, int]
    """The first of its states and the one after its last, at which the next begins; equal where it was never begun."""
    terms: tuple[TermCost, ...]

    @property
    def cost(self) -> float:
        """The sum of its terms."""
        return sum(term.cost for term in self.terms)


@dataclass(frozen=True)
class Costs:
    """What a trajectory costs."""

    stages: tuple[StageCost, ...]

    @property
    def total(self) -> float:
        """0 (nothing to be paid) .. 1 (every term in full): the terms' sum over the sum of their weights."""
        weights = sum(term.term.weight for stage in self.stages for term in stage.terms)
        return sum(stage.cost for stage in self.stages) / weights

    def over_time(self) -> NDArray[np.float64]:
        """(T + 1,), what the state's stage costs there, the earlier one's where two meet."""
        whole = np.full_like(self.stages[0].terms[0].over_time, np.nan)
        for stage in reversed(self.stages):
            paid = np.sum([term.over_time for term in stage.terms], axis=0)
            whole = np.where(np.isnan(paid), whole, paid)
        return whole

    def told(self) -> dict[str, Any]:
        """As JSON: by stage its states and what its terms cost."""
        return {
            stage.name: {
                "states": list(stage.span),
                **{_label(term.term): round(term.cost, 4) for term in stage.terms},
            }
            for stage in self.stages
        }


def costs_of(spec: CostSpec, tracks: Tracks) -> Costs:
    """What a trajectory with these keypoints costs. Raises `InputError` where a keypoint is missing."""
    spec.of_scene(tracks.points)
    places = {name: tracks.points[point.of] + np.array(point.offset) for name, point in spec.points.items()}
    scene = _Scene(tracks, {**tracks.points, **places}, {name: point.of for name, point in spec.points.items()})
    found, begin = list[StageCost](), 0
    for stage in spec.stages:
        begun = scene.end(stage.until, begin)
        end = min(begun + 1, tracks.length) if begin < tracks.length else begin
        terms = tuple(_cost(term, scene.values(term), begin, end) for term in stage.terms)
        found.append(StageCost(stage.name, (begin, end), terms))
        begin = begun
    return Costs(tuple(found))


@dataclass(frozen=True)
class _Scene:
    tracks: Tracks
    places: Mapping[str, Track]
    """Keypoints and the specification's points."""
    owners: Mapping[str, str]
    """Which keypoint a point moves with."""

    def values(self, term: Term) -> NDArray[np.float64]:
        """(T + 1,), what the term measures at each state."""
        return _MEASURES[term.measure](self, *term.of).astype(float)

    def end(self, until: Until | None, begin: int) -> int:
        """The state at which the next stage begins, which is the last of this one: the first at which its event has come;
        T + 1 where it does not."""
        if until is None:
            return self.tracks.length
        come = np.flatnonzero(_EVENTS[until.event](self, until)[begin:])
        return begin + int(come[0]) if come.size else self.tracks.length

    def apart(self, one: str, other: str) -> Track:
        return self.places[one] - self.places[other]

    def held(self, name: str) -> Flags:
        return self.tracks.held(self.owners.get(name, name))

    def kept(self, name: str) -> Flags:
        """Where it is not let go: held, or near the hand where nothing tells what the gripper feels."""
        if self.tracks.grasped is not None:
            return self.held(name)
        return self.tracks.near(self.owners.get(name, name))


_MEASURES: Mapping[str, Callable[..., NDArray[Any]]] = {
    "distance": lambda scene, one, other: np.linalg.norm(scene.apart(one, other), axis=1),
    "xy_distance": lambda scene, one, other: np.linalg.norm(scene.apart(one, other)[:, :2], axis=1),
    "height_difference": lambda scene, one, other: np.abs(scene.apart(one, other)[:, 2]),
    "below": lambda scene, one, other: np.maximum(-scene.apart(one, other)[:, 2], 0),
    "moved": lambda scene, one: np.linalg.norm(scene.places[one] - scene.places[one][0], axis=1),
    "not_grasped": lambda scene, one: ~scene.held(one),
    "not_released": lambda scene, one: scene.kept(one),
}
_EVENTS: Mapping[str, Callable[[_Scene, Until], Flags]] = {
    "lifted": lambda scene, until: scene.held(until.of[0]) & scene.tracks.lifted(scene.owners.get(until.of[0], until.of[0])),
    "released": lambda scene, until: ~scene.kept(until.of[0]),
    "over": lambda scene, until: np.linalg.norm(scene.apart(*until.of)[:, :2], axis=1) < until.within,
}  # fmt: skip
_WHOLE: Mapping[str, Callable[[NDArray[np.float64]], float]] = {
    "final": lambda values: float(values[-LAST:].mean()),
    "min": lambda values: float(values.min()),
    "max": lambda values: float(values.max()),
    "mean": lambda values: float(values.mean()),
}


def _cost(term: Term, values: NDArray[np.float64], begin: int, end: int) -> TermCost:
    over_time = np.full(len(values), np.nan)
    if begin >= end:
        return TermCost(term, term.weight, over_time)
    over_time[begin:end] = _paid(term, values[begin:end])
    return TermCost(term, float(_paid(term, np.array(_WHOLE[term.over](values[begin:end])))), over_time)


def _paid(term: Term, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 .. weight."""
    return term.weight * np.clip((values - term.threshold) / (term.limit - term.threshold), 0, 1)


def _label(term: Term) -> str:
    return f"{term.kind}: {term.over} {term.measure}({', '.join(term.of)})"


def default_spec(objects: Collection[str]) -> CostSpec:
    """The specification that ships for the four WidowX tasks: the one of the scene that has these objects.

    Raises `InputError` where none is about them.
    """
    for text, needed in _defaults():
        if needed <= set(objects):
            return read_spec(text, objects)
    raise InputError(
        f"no cost specification ships for a scene of {', '.join(sorted(objects)) or 'nothing'}; "
        "write one (judge = 'costs:FILE.json') or let a model write it (judge_form = 'written_costs')"
    )


@cache
def _defaults() -> Sequence[tuple[str, set[str]]]:
    data = tomllib.loads(files("anyprefer.core").joinpath("default_costs.toml").read_text(encoding="utf-8"))
    texts = [json.dumps({"points": points, "stages": data["stages"]}) for points in data["scenes"].values()]
    return [
        (text, {point["of"] for point in points.values()})
        for text, points in zip(texts, data["scenes"].values(), strict=True)
    ]
