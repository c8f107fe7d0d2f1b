"""What is changed in a scene without the policy being told: by kind and size, the greater the harder.

`shifts.toml` holds each kind's size, and the success that it left of the shipped policy when `benchmarks/shifts.py`
looked for it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from anyprefer.core.errors import SettingsError, near
from anyprefer.models.simulators.scene_table import Part, Thing, Triple

FILE = Path(__file__).with_name("shifts.toml")
OTHER: Triple = (0.2, 0.3, 0.85)
"""The colour that a changed object takes on."""
GROWN = 0.1
"""By how much an object has grown where its colour has changed wholly."""


@dataclass(frozen=True)
class Conditions:
    """What a shift may change, as it is without one."""

    aside: float = 0.0
    """How far the camera stands to its right of where the calibration has it (m)."""
    friction: float = 1.6
    """Sliding friction of the finger pads."""
    changed: float = 0.0
    """How far the object to be moved has another colour (0 to 1) and size."""
    light: float = 1.0
    """Share of the light."""


@dataclass(frozen=True)
class Kind:
    """A kind of shift: the greatest size that makes sense, and the conditions that a size makes."""

    most: float
    conditions: Callable[[float], Conditions]


KINDS = {
    "camera": Kind(0.06, lambda size: Conditions(aside=size)),
    "friction": Kind(0.99, lambda size: Conditions(friction=1.6 * (1 - size))),
    "object": Kind(1.0, lambda size: Conditions(changed=size)),
    "light": Kind(0.95, lambda size: Conditions(light=1 - size)),
}
"""camera: metres to the side. friction: share of the grip's friction that is lost. object: how far its colour has gone to
another, growing by 10% on the way there. light: share that is gone."""


def shift(text: str) -> Conditions:
    """`camera` as `shifts.toml` has it, or `camera=0.014` in a size of one's own; "" is no shift.

    Raises `SettingsError` for an unknown kind and for a size out of its range.
    """
    if not text:
        return Conditions()
    kind, _, size = text.partition("=")
    if kind not in KINDS:
        raise SettingsError(f"no shift is called {kind!r}; {near(kind, KINDS)}")
    return KINDS[kind].conditions(_size(kind, size))


def _size(kind: str, text: str) -> float:
    if not text:
        if kind not in shipped():
            raise SettingsError(
                f"shift {kind!r} has no size yet: `python -m benchmarks.shifts {kind} --write` finds it, or give one, as "
                f"{kind}={KINDS[kind].most / 4:g}"
            )
        return float(shipped()[kind]["size"])
    try:
        size = float(text)
    except ValueError:
        size = -1.0
    if not 0 <= size <= KINDS[kind].most:
        raise SettingsError(f"shift {kind}={text!r} is no size between 0 and {KINDS[kind].most}")
    return size


@cache
def shipped() -> dict[str, dict[str, Any]]:
    """The shifts with their sizes, and what they leave, from `shifts.toml`."""
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def changed(thing: Thing, much: float) -> Thing:
    """The object in another colour and larger, as much as that."""
    if not much:
        return thing
    scale, share = 1 + GROWN * much, min(much, 1.0)
    return replace(
        thing,
        half=_scaled(thing.half, scale),
        rgb=_mixed(thing.rgb, share),
        solid=tuple(_part(part, scale, share) for part in thing.solid),
        look=tuple(_part(part, scale, share) for part in thing.look),
        grasp=thing.grasp * scale,
    )


def _part(part: Part, scale: float, share: float) -> Part:
    size = tuple(one * scale for one in part.size)
    return replace(part, size=size, at=_scaled(part.at, scale), rgb=part.rgb and _mixed(part.rgb, share))


def _scaled(triple: Triple, scale: float) -> Triple:
    x, y, z = triple
    return x * scale, y * scale, z * scale


def _mixed(rgb: Triple, share: float) -> Triple:
    red, green, blue = (own + (other - own) * share for own, other in zip(rgb, OTHER, strict=True))
    return red, green, blue
