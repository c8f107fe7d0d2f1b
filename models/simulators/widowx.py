"""The WidowX-250s arm as MJCF, and its inverse kinematics.

Joint origins, axes, limits and masses are those of Interbotix's published description (interbotix_xsarm_descriptions,
wx250s.urdf); the looks are plain capsules and boxes, so nothing is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

JOINTS = 6
PINCH = 0.096
"""From the wrist's turning joint to the point between the fingertips (m)."""
OPEN, CLOSED, TOUCHING = 0.036, 0.006, 0.010
"""Finger commands, and the position at which the fingers meet (m from the middle)."""


@dataclass(frozen=True)
class Link:
    """A link with the joint that carries it: where, about which axis, limits (rad), and how hard it is driven."""

    name: str
    at: str
    axis: str
    limits: tuple[float, float]
    mass: float
    centre: str
    stiffness: float
    effort: float
    look: str


_DARK = 'rgba=".16 .16 .18 1"'
LINKS = (
    Link("shoulder", "0 0 .072", "0 0 1", (-3.1416, 3.1416), 0.481, "0 0 .0066", 350, 35,
         f'<geom class="look" type="cylinder" size=".045 .025" {_DARK}/>'),
    Link("upper_arm", "0 0 .03865", "0 1 0", (-1.885, 1.9897), 0.431, "0 .0172 .1913", 350, 57,
         f'<geom class="look" type="capsule" size=".026" fromto="0 0 0 0 0 .25" {_DARK}/>'
         f'<geom class="look" type="capsule" size=".024" fromto="0 0 .25 .05 0 .25" {_DARK}/>'),
    Link("upper_forearm", ".04975 0 .25", "0 1 0", (-2.1468, 1.6057), 0.235, ".108 0 0", 350, 25,
         f'<geom class="look" type="capsule" size=".024" fromto="0 0 0 .15 0 0" {_DARK}/>'),
    Link("lower_forearm", ".175 0 0", "1 0 0", (-3.1416, 3.1416), 0.221, ".0374 0 0", 250, 15,
         f'<geom class="look" type="capsule" size=".022" fromto="0 0 0 .075 0 0" {_DARK}/>'),
    Link("wrist", ".075 0 0", "0 1 0", (-1.7453, 2.1468), 0.085, ".0424 0 .0106", 250, 15,
         f'<geom class="look" type="capsule" size=".02" fromto="0 0 0 .045 0 0" {_DARK}/>'),
    Link("gripper", ".065 0 0", "1 0 0", (-3.1416, 3.1416), 0.112, ".03 0 .005", 250, 15,
         f'<geom class="look" type="cylinder" size=".02 .018" pos=".022 0 0" euler="0 1.5708 0" {_DARK}/>'
         '<geom name="palm" type="box" size=".008 .045 .010" pos=".054 0 0" contype="3" conaffinity="3" rgba=".25 .25 .28 1"/>'),
)  # fmt: skip

DEFAULTS = f"""
<default>
  <joint damping="1" armature="0.1"/>
  <default class="look"><geom contype="0" conaffinity="0" mass="0"/></default>
  <default class="finger">
    <joint type="slide" range="{TOUCHING} .037" armature="0.05" damping="5"/>
    <position kp="800" dampratio="1" forcerange="-5 5" ctrlrange="{CLOSED} {OPEN}"/>
  </default>
</default>"""


def arm(friction: float) -> str:
    """The arm's body; `friction` is the finger pads' coefficient of sliding friction."""
    inner = f'<site name="pinch" pos="{PINCH} 0 0" group="4"/>{_finger("left", 1, friction)}{_finger("right", -1, friction)}'
    for link in reversed(LINKS):
        inner = _link(link, inner)
    return f"""
<body name="base">
  <geom class="look" type="cylinder" size=".055 .036" pos="0 0 .036" {_DARK}/>
  {inner}
</body>"""


def _link(link: Link, inner: str) -> str:
    low, high = link.limits
    return f"""
<body name="{link.name}" pos="{link.at}" gravcomp="1">
  <joint name="{link.name}" axis="{link.axis}" range="{low} {high}"/>
  <inertial pos="{link.centre}" mass="{link.mass}" diaginertia=".0006 .0006 .0006"/>
  {link.look}{inner}
</body>"""


def _finger(name: str, side: int, friction: float) -> str:
    return f"""
<body name="{name}_finger" pos=".066 0 0" gravcomp="1">
  <joint name="{name}" class="finger" axis="0 {side} 0"/>
  <inertial pos=".02 0 0" mass=".0162" diaginertia="5e-6 5e-6 5e-6"/>
  <geom name="{name}_pad" type="box" size=".016 .004 .009" pos=".028 {-side * 0.006} 0" rgba=".1 .1 .1 1"
    condim="4" friction="{friction} .03 .001" priority="1" solref=".01 1" contype="3" conaffinity="3" solimp=".95 .99 .001"/>
  <geom class="look" type="box" size=".012 .005 .007" pos=".008 {side * 0.002} 0" {_DARK}/>
</body>"""


def actuators() -> str:
    """One position servo a joint, the right finger bound to the left."""
    servos = "".join(
        f'<position joint="{link.name}" kp="{link.stiffness}" dampratio="1" forcerange="-{link.effort} {link.effort}"/>'
        for link in LINKS
    )
    return f"""
<contact><exclude body1="left_finger" body2="right_finger"/></contact>
<equality><joint joint1="left" joint2="right"/></equality>
<actuator>{servos}<position joint="left" class="finger"/><position joint="right" class="finger"/></actuator>"""


class InverseKinematics:
    """Joint angles that bring the pinch point to a pose, by damped least squares."""

    damping, enough, iterations = 0.02, 1e-4, 15

    def __init__(self, mujoco: Any, model: Any) -> None:
        self._mujoco, self._model = mujoco, model
        self._data = mujoco.MjData(model)
        self._site = model.site("pinch").id
        self._jacobian, self._damped = np.zeros((6, model.nv)), self.damping**2 * np.eye(6)
        self._low, self._high = (np.array([link.limits[end] for link in LINKS]) for end in (0, 1))

    def solve(self, start: Array, position: Array, rotation: Array) -> Array:
        """(6,) angles near the pose (position in m, rotation (3, 3)), from the angles `start`."""
        angles = start.copy()
        for _ in range(self.iterations):
            error = self._error(angles, position, rotation)
            if np.abs(error).max() < self.enough:
                break
            jacobian = self._jacobian[:, :JOINTS]
            angles = angles + jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + self._damped, error)
            angles = np.minimum(np.maximum(angles, self._low), self._high)
        return angles

    def _error(self, angles: Array, position: Array, rotation: Array) -> Array:
        mujoco, model, data = self._mujoco, self._model, self._data
        data.qpos[:JOINTS] = angles
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_jacSite(model, data, self._jacobian[:3], self._jacobian[3:], self._site)
        reached = data.site_xmat[self._site].reshape(3, 3)
        return np.concatenate([position - data.site_xpos[self._site], _rotation_vector(rotation @ reached.T)])


def _rotation_vector(rotation: Array) -> Array:
    """Axis times the sine of the angle, enough for the small steps of the solver."""
    axis: Array = np.array([
        rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1],
    ]) / 2  # fmt: skip
    return axis


def turned(vector: Array) -> Array:
    """(3, 3) rotation about the vector's axis by its length in rad (Rodrigues' formula)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-9:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    found: Array = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return found
