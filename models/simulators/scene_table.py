"""The four WidowX tasks of SIMPLER's Bridge setting, in scenes of our own: objects, places and words as data.

Lengths in metres, masses in kg. An object's origin is the centre of its bounding box.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

Triple = tuple[float, float, float]
HERTZ = 5
"""Actions and pictures a second."""


@dataclass(frozen=True)
class Part:
    """A geom: MuJoCo's type, half sizes, place and turn (Euler angles, rad), colour where it has one of its own."""

    kind: str
    size: tuple[float, ...]
    at: Triple = (0, 0, 0)
    turn: Triple = (0, 0, 0)
    rgb: Triple | None = None
    wall: bool = False
    """Whether it does not reach the table."""


@dataclass(frozen=True)
class Thing:
    """An object: what collides, what is seen, and what one must know to grasp it or to put something on it."""

    name: str
    half: Triple
    mass: float
    rgb: Triple
    solid: tuple[Part, ...]
    look: tuple[Part, ...] = ()
    """What is seen; empty: the solid parts."""
    surface: float = 0.0
    """Height above its origin at which something lies on it."""
    grasp: float = 0.0
    """Where along its x axis it is grasped."""
    period: float = pi
    """Turned by this angle it can be grasped as before."""


@dataclass(frozen=True)
class Scene:
    """A task: `source` belongs on or in `target`."""

    name: str
    source: Thing
    target: Thing
    apart: float
    """Least distance of the two at the start."""
    near: float
    """How far from the target's centre, in the plane, the source may lie."""
    level: float
    """How far its height may be off."""
    instructions: tuple[str, str, str]
    floor: float = 0.0
    """Height of what both stand on at the start, in the base frame."""

    @property
    def goal_height(self) -> float:
        """Of the source's origin above the target's when it lies there."""
        return self.target.surface + self.source.half[2]


def _box(name: str, half: Triple, mass: float, rgb: Triple, look: tuple[Part, ...] = (), **more: float) -> Thing:
    return Thing(name, half, mass, rgb, (Part("box", half),), look, **more)


ORANGE, LEAF, STEEL, PURPLE = (0.93, 0.45, 0.08), (0.2, 0.55, 0.15), (0.72, 0.74, 0.78), (0.34, 0.1, 0.42)
_LYING: Triple = (0, pi / 2, 0)

CARROT = _box(
    "carrot",
    (0.044, 0.0145, 0.0155),
    0.05,
    ORANGE,
    (Part("capsule", (0.0145, 0.030), turn=_LYING), Part("ellipsoid", (0.012, 0.009, 0.009), (-0.05, 0, 0), rgb=LEAF)),
)
_BOWL = Part("ellipsoid", (0.02, 0.013, 0.007), (0.055, 0, -0.001))
SPOON = Thing("spoon", (0.05, 0.007, 0.008), 0.042, STEEL, (Part("box", (0.05, 0.007, 0.008)), _BOWL), grasp=-0.01)
GREEN = _box("green cube", (0.016, 0.016, 0.016), 0.035, (0.12, 0.6, 0.2), period=pi / 2)
EGGPLANT = _box(
    "eggplant",
    (0.036, 0.0155, 0.0175),
    0.05,
    PURPLE,
    (Part("capsule", (0.0165, 0.021), turn=_LYING), Part("ellipsoid", (0.009, 0.01, 0.01), (-0.039, 0, 0), rgb=LEAF)),
)
PLATE = _box(
    "plate",
    (0.046, 0.046, 0.004),
    0.15,
    (0.93, 0.93, 0.9),
    (Part("cylinder", (0.055, 0.004)), Part("cylinder", (0.038, 0.0003), (0, 0, 0.004), rgb=(0.8, 0.84, 0.9))),
    surface=0.004,
)
TOWEL = _box("towel", (0.055, 0.055, 0.003), 0.2, (0.25, 0.4, 0.75), surface=0.003)
YELLOW = _box("yellow cube", (0.02, 0.02, 0.016), 0.08, (0.92, 0.8, 0.1), surface=0.016)
_WALL, _DEEP, _SIDE = 0.003, 0.022, 0.058
BASKET = Thing(
    "basket",
    (_SIDE, _SIDE, _DEEP),
    0.25,
    (0.8, 0.72, 0.55),
    (
        Part("box", (_SIDE, _SIDE, _WALL), (0, 0, _WALL - _DEEP)),
        Part("box", (_WALL, _SIDE, _DEEP), (_SIDE - _WALL, 0, 0), wall=True),
        Part("box", (_WALL, _SIDE, _DEEP), (_WALL - _SIDE, 0, 0), wall=True),
        Part("box", (_SIDE, _WALL, _DEEP), (0, _SIDE - _WALL, 0), wall=True),
        Part("box", (_SIDE, _WALL, _DEEP), (0, _WALL - _SIDE, 0), wall=True),
    ),
    surface=2 * _WALL - _DEEP,
)

SCENES = {
    scene.name: scene
    for scene in (
        Scene(
            "carrot",
            CARROT,
            PLATE,
            apart=0.125,
            near=0.055,
            level=0.01,
            instructions=("put carrot on plate", "place the carrot on the plate", "move the carrot onto the plate"),
        ),
        Scene(
            "spoon",
            SPOON,
            TOWEL,
            apart=0.125,
            near=0.055,
            level=0.01,
            instructions=("put spoon on towel", "place the spoon on the towel", "move the spoon onto the towel"),
        ),
        Scene(
            "stack",
            GREEN,
            YELLOW,
            apart=0.085,
            near=0.02,
            level=0.006,
            instructions=(
                "stack green cube on yellow cube",
                "place the green cube on the yellow cube",
                "move the green cube onto the yellow cube",
            ),
        ),
        Scene(
            "eggplant",
            EGGPLANT,
            BASKET,
            apart=0.125,
            near=0.06,
            level=0.025,
            instructions=(
                "put eggplant in basket",
                "place the eggplant in the basket",
                "move the eggplant into the basket",
            ),
        ),
    )
}
