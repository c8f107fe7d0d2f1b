"""What a trajectory costs, as data: stages of terms over the places of a scene's objects. A judge writes it as JSON.

It is read, checked and bounded here, and evaluated by `costs.py`; nothing of it is ever executed. Everything is chosen
from closed lists, so what is not in them has no meaning: there are no expressions. In the sense of GRAPE
(arXiv 2411.19309), whose judge writes Python instead: path, grasp and collision costs of each stage of a manipulation.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from anyprefer.core.errors import InputError, near

HAND = "hand"
"""The keypoint between the fingers, which every scene has."""
LONGEST, DEEPEST = 20_000, 8
"""Characters of a specification, and brackets within each other."""
PAIRS: Mapping[str, bool] = {
    "distance": True, "xy_distance": True, "height_difference": True, "below": True, "moved": False,
    "not_grasped": False, "not_released": False,
}  # fmt: skip
"""The measures, and whether they are of two keypoints or of one."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.-]{0,79}$")]
Metres = Annotated[float, Field(ge=-2, le=2)]
Of = Annotated[tuple[Name, ...], Field(min_length=1, max_length=2)]


class _Part(BaseModel):
    """Strict: no number is read out of a text or a boolean, none is infinite, no field is unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Point(_Part):
    """A place that moves with an object."""

    of: Name
    offset: tuple[Metres, Metres, Metres] = (0.0, 0.0, 0.0)
    """Metres along x, y and z (upwards) of the scene."""


class Until(_Part):
    """What ends a stage."""

    event: Literal["lifted", "released", "over"]
    """`lifted`: the object is held above where it began; `released`: it is not held any more; `over`: the first of two
    is within `within` of the second in the plane."""
    of: Of
    within: Annotated[float, Field(gt=0, le=2)] = 0.05

    @model_validator(mode="after")
    def _of_enough(self) -> Self:
        _count(self.event, 2 if self.event == "over" else 1, self.of)
        return self


class Term(_Part):
    """weight · (value - threshold) / (limit - threshold), cut to 0..weight; lower is better."""

    kind: Literal["path", "grasp", "collision"]
    measure: Literal[
        "distance", "xy_distance", "height_difference", "below", "moved", "not_grasped", "not_released"
    ]  # fmt: skip
    """Metres between two (in space, in the plane, upwards), by which the first is lower than the second, of one from where
    it began; 1 or 0 where it is not held, where it is still held."""
    of: Of
    over: Literal["final", "min", "max", "mean"] = "mean"
    """How a stage's states become one value; the mean of 1 and 0 is the share of states."""
    threshold: Annotated[float, Field(ge=0, le=2)] = 0.0
    """The value up to which nothing is to be paid."""
    limit: Annotated[float, Field(gt=0, le=4)] = 1.0
    """The value at which all of it is."""
    weight: Annotated[float, Field(gt=0, le=10)] = 1.0

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.limit <= self.threshold:
            raise ValueError(f"limit {self.limit:g} must be above threshold {self.threshold:g}")
        _count(self.measure, 1 + PAIRS[self.measure], self.of)
        return self


class Stage(_Part):
    """States from the end of the stage before to what ends this one, and what they cost. One that is never begun costs
    all of its weights."""

    name: Name
    until: Until | None = None
    """None for the last stage alone, which ends with the trajectory."""
    terms: Annotated[tuple[Term, ...], Field(min_length=1, max_length=8)]


class CostSpec(_Part):
    """Stages in order, such as reach, move and place, over a scene's objects and points of them."""

    points: Annotated[dict[Name, Point], Field(max_length=8)] = Field(default_factory=dict)
    """Further names that terms may use."""
    stages: Annotated[tuple[Stage, ...], Field(min_length=1, max_length=6)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise ValueError(f"stages need different names: {', '.join(names)}")
        for stage in self.stages[:-1]:
            if stage.until is None:
                raise ValueError(f"stage {stage.name!r} needs `until`: only the last one ends with the trajectory")
        if self.stages[-1].until is not None:
            raise ValueError(f"the last stage, {names[-1]!r}, ends with the trajectory and takes no `until`")
        if HAND in self.points:
            raise ValueError(f"point {HAND!r} would hide the robot's hand; choose another name")
        return self

    def objects(self) -> set[str]:
        """The keypoints of the scene that it is about."""
        named = {name for stage in self.stages for part in _named(stage) for name in part}
        return {point.of for point in self.points.values()} | (named - self.points.keys())

    def of_scene(self, known: Collection[str]) -> Self:
        """The same. Raises `InputError` for an object that is not among the `known` ones."""
        for name in sorted(self.objects()):
            if name != HAND and name not in known:
                raise InputError(f"the scene has no object {name!r}; {near(name, {*known, HAND, *self.points})}")
        return self


def _named(stage: Stage) -> Iterator[tuple[str, ...]]:
    yield from (term.of for term in stage.terms)
    if stage.until:
        yield stage.until.of


def _count(what: str, needed: int, of: tuple[str, ...]) -> None:
    if len(of) != needed:
        raise ValueError(f"{what} is of {needed} keypoint{'s' if needed > 1 else ''}, not {len(of)}")
    if len(set(of)) < len(of):
        raise ValueError(f"{what} is of two different keypoints, not twice of {of[0]!r}")


def read_spec(text: str, known: Collection[str]) -> CostSpec:
    """The specification that a JSON text holds, for a scene with these objects.

    Raises `InputError` saying what cannot be used: text of more than `LONGEST` characters, JSON that is broken, nested
    too deep or gives a name twice, what is in none of the lists, numbers out of their ranges, unknown objects.
    """
    if len(text) > LONGEST:
        raise InputError(f"a cost specification has at most {LONGEST:,} characters, not {len(text):,}")
    if (depth := _depth(text)) > DEEPEST:
        raise InputError(f"a cost specification is nested at most {DEEPEST} deep, not {depth}")
    try:
        json.loads(text, object_pairs_hook=_once, parse_int=_short)
        return CostSpec.model_validate_json(text).of_scene(known)
    except ValidationError as error:
        raise InputError(_first(error)) from None
    except ValueError as error:  # json's, for broken JSON; `_once`'s, `_short`'s
        raise InputError(f"no JSON of a cost specification: {str(error)[:200]}") from None


_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?')


def _depth(text: str) -> int:
    """Brackets within each other, strings left out; linear, and unlike a parser without recursion."""
    deepest = now = 0
    for mark in re.findall(r"[\[{]|[\]}]", _STRING.sub("", text)):
        now += 1 if mark in "[{" else -1
        deepest = max(deepest, now)
    return deepest


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"{twice[:80]!r} is given twice")
    return made


def _short(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _first(error: ValidationError) -> str:
    """Where the first fault lies, what stands there and what may."""
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"])) or "the specification"
    given = "" if isinstance(first["input"], dict | list) else f" is {str(first['input'])[:80]!r}"
    return f"{where}{given}: {first['msg'].removeprefix('Value error, ')}"[:400]
