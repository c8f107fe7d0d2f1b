"""A scene as MuJoCo's XML: table, arm, camera and two objects.

Why these numbers: pyramidal cones with impratio 1, 5 N of grip and fingers that close slowly keep what they hold;
elliptic cones with impratio 10, MuJoCo's advice for grasping, threw it away at this time step.
"""

from __future__ import annotations

import numpy as np

from anyprefer.models.simulators import widowx
from anyprefer.models.simulators.base import HEIGHT, WIDTH
from anyprefer.models.simulators.camera import Camera, looking
from anyprefer.models.simulators.scene_table import Part, Scene, Thing
from anyprefer.models.simulators.shifts import Conditions, changed

FOVY = 34.0
TIMESTEP = 0.005
FRICTION = "0.9"
MOVABLE, HOLLOW = 3, 2
"""Contact bits: walls (2) touch objects and fingers (3), and not the table (1); that is most of a basket's contacts."""


def told_camera() -> Camera:
    """From the front right, where arm and objects do not hide each other."""
    return looking(np.array([0.64, -0.22, 0.36]), np.array([0.285, 0.0, 0.055]), FOVY, WIDTH, HEIGHT)


def true_camera(conditions: Conditions) -> Camera:
    """As it stands."""
    told = told_camera()
    position = told.position + conditions.aside * told.rotation[:, 0]
    return Camera(position, told.rotation, told.focal, told.width, told.height)


def scene_mjcf(scene: Scene, conditions: Conditions) -> str:
    """The model's XML."""
    light = conditions.light
    return f"""
<mujoco model="{scene.name}">
  <compiler angle="radian" autolimits="true"/>
  <option timestep="{TIMESTEP}" integrator="implicitfast" cone="pyramidal" impratio="1" iterations="30" tolerance="1e-6"/>
  <visual>
    <global offwidth="{WIDTH}" offheight="{HEIGHT}"/>
    <quality offsamples="0" shadowsize="0" numslices="14" numstacks="6" numquads="1"/>
    <headlight ambient="{_grey(0.35 * light)}" diffuse="{_grey(0.35 * light)}" specular="0 0 0"/>
  </visual>
  {widowx.DEFAULTS}
  <worldbody>
    <light pos=".3 -.6 1.4" dir="0 .4 -1" directional="true" diffuse="{_grey(0.45 * light)}" specular="0 0 0"/>
    <geom name="table" type="box" size=".6 .6 .02" pos=".35 0 -.02" rgba=".62 .5 .38 1" friction="{FRICTION}"/>
    <geom name="floor" type="plane" size="4 4 .1" pos="0 0 -.5" rgba=".5 .53 .56 1" contype="0" conaffinity="0"/>
    {_camera(true_camera(conditions))}
    {widowx.arm(conditions.friction)}
    {_object("source", changed(scene.source, conditions.changed))}
    {_object("target", scene.target)}
  </worldbody>
  {widowx.actuators()}
</mujoco>"""


def _camera(camera: Camera) -> str:
    right, down, _ = camera.rotation.T
    return f'<camera name="front" pos="{_text(camera.position)}" xyaxes="{_text([*right, *-down])}" fovy="{FOVY}"/>'


def _object(name: str, thing: Thing) -> str:
    group = 3 if thing.look else 0  # 3 is not drawn
    solid = "".join(_geom(part, thing, f'group="{group}" {_touches(part)}') for part in thing.solid)
    look = "".join(_geom(part, thing, 'class="look"') for part in thing.look)
    x, y, z = thing.half
    inertia = [thing.mass / 3 * (a * a + b * b) for a, b in ((y, z), (x, z), (x, y))]
    return f"""
<body name="{name}">
  <freejoint/>
  <inertial pos="0 0 0" mass="{thing.mass}" diaginertia="{_text(inertia)}"/>
  {solid}{look}
</body>"""


def _touches(part: Part) -> str:
    bits = HOLLOW if part.wall else MOVABLE
    return f'contype="{bits}" conaffinity="{bits}" friction="{FRICTION}"'


def _geom(part: Part, thing: Thing, more: str) -> str:
    size, at, turn, rgb = _text(part.size), _text(part.at), _text(part.turn), _text(part.rgb or thing.rgb)
    return f'<geom type="{part.kind}" size="{size}" pos="{at}" euler="{turn}" rgba="{rgb} 1" {more}/>'


def _grey(value: float) -> str:
    return _text([value] * 3)


def _text(numbers: object) -> str:
    return " ".join(f"{number:.6g}" for number in np.asarray(numbers, dtype=float).ravel())
