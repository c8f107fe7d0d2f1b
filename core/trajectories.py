"""What a policy did, as the content of a candidate."""

from __future__ import annotations

from typing import Any, Self

from pydantic import ValidationError, model_validator

from anyprefer.core.errors import InputError
from anyprefer.core.task import Record

Vector = tuple[float, ...]


class Trajectory(Record):
    """States and the actions between them. Rows and pairs keep it as `{"states": [[…], …], "actions": [[…], …]}`."""

    states: tuple[Vector, ...]
    """s_0 … s_T, from the start state on."""
    actions: tuple[Vector, ...]
    """a_0 … a_{T-1}; a_t leads from s_t to s_{t+1}."""

    @model_validator(mode="after")
    def _in_turn(self) -> Self:
        if len(self.states) != len(self.actions) + 1:
            raise ValueError(f"{len(self.actions)} actions lead through one state more, not {len(self.states)}")
        return self

    @classmethod
    def of(cls, content: Any) -> Trajectory:
        """A candidate's content as the trajectory that it is. Raises `InputError` for any other content."""
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise InputError(
                f"the content is no trajectory of states and actions: {error.errors()[0]['msg']}"
            ) from None
