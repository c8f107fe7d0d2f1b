"""Values checked by the settings class they are for, with errors that name the setting and the fix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from anyprefer.core.errors import TrainingError, near

_Kind = TypeVar("_Kind", bound=BaseModel)


def checked(kind: type[_Kind], values: Mapping[str, Any], what: str) -> _Kind:
    """The settings; values that are None are left out. `what` names one of them in errors: "training setting".

    Raises `TrainingError` for a name it does not have, with the near one, and for a value out of range.
    """
    for name in values:
        if name not in kind.model_fields:
            raise TrainingError(f"unknown {what} {name!r}; {near(name, kind.model_fields)}")
    try:
        return kind(**{name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        said = f"{name!r}: {first['msg']} (got {first['input']!r})" if name else first["msg"]
        raise TrainingError(f"{what} {said}") from None
