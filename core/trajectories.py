"""What a policy did, as the content of a candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer, model_validator

from anyprefer.core.errors import InputError
from anyprefer.core.task import Record
from anyprefer.core.values import as_text

Vector = tuple[float, ...]


class Trajectory(Record):
    """States and the actions between them, and what was recorded beside them.

    Rows and pairs keep it as `{"states": [[…], …], "actions": [[…], …], …}`; what was not recorded is left out.
    """

    states: tuple[Vector, ...]
    """s_0 … s_T, from the start state on: what the policy is told of itself beside pictures."""
    actions: tuple[Vector, ...]
    """a_0 … a_{T-1}; a_t leads from s_t to s_{t+1}."""
    instruction: str = ""
    """What the policy was told to do: p_t."""
    success: bool | None = None
    """What the simulator says in the end; None where nobody knows."""
    grasped: tuple[bool, ...] = ()
    """For each state, whether the gripper holds the right object."""
    poses: dict[str, tuple[Vector, ...]] = Field(default_factory=dict)
    """By object, for each state x, y, z in metres and the quaternion w, x, y, z; `hand` is where the fingers meet."""
    keypoints: dict[str, tuple[Vector | None, ...]] = Field(default_factory=dict)
    """By object, for each state x, y, z in metres as seen in the picture; None where it was not looked for or not seen."""
    tokens: tuple[tuple[int, ...], ...] = ()
    """For each action the tokens that it was decoded from."""
    logprobs: tuple[Vector, ...] = ()
    """For each action ln p of each of its tokens, as the policy that acted had it."""
    inputs: str = ""
    """The file of what the policy was given at each action, to be trained on (`models/policies/kept_inputs.py`)."""
    frames: str = ""
    """The file of its video, a frame for each state."""

    @model_validator(mode="after")
    def _in_turn(self) -> Self:
        steps = len(self.actions)
        if len(self.states) != steps + 1:
            raise ValueError(f"{steps} actions lead through one state more, not {len(self.states)}")
        tracks: dict[str, tuple[Sequence[Any], int]] = {
            name: (track, steps + 1) for name, track in (*self.poses.items(), *self.keypoints.items())
        }
        beside: dict[str, tuple[Sequence[Any], int]] = {
            "grasped": (self.grasped, steps + 1),
            "tokens": (self.tokens, steps),
            "logprobs": (self.logprobs, steps),
        }
        tracks |= {name: one for name, one in beside.items() if one[0]}
        for name, (track, needed) in tracks.items():
            if len(track) != needed:
                raise ValueError(f"{name!r} is recorded {len(track)} times, and {needed} are needed")
        return self

    @model_serializer(mode="wrap")
    def _recorded(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if name in self.model_fields_set}

    @classmethod
    def of(cls, content: Any) -> Trajectory:
        """A candidate's content as the trajectory that it is. Raises `InputError` for any other content."""
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise InputError(
                f"the content is no trajectory of states and actions: {error.errors()[0]['msg']}"
            ) from None


_SHOWN = ("instruction", "states", "actions")


def readable(content: Any) -> str:
    """A candidate's content as models and text tools read it: text as it is, of a trajectory its instruction, states and
    actions to 4 decimals, any other value as JSON.

    What was recorded of the policy (tokens) would fill a prompt, and what the simulator knows (success, poses) is for those
    to tell whose knowledge it is: the tools.
    """
    if (
        isinstance(content, Mapping)
        and isinstance(content.get("states"), list)
        and isinstance(content.get("actions"), list)
    ):
        return as_text({name: _rounded(content[name]) for name in _SHOWN if name in content})
    return as_text(content)


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return round(value, 4) if isinstance(value, float) else value
