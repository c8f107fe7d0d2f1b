"""From an input's row to a task: which column is which field, conversations, images, ids.

| a row has | the task's prompt is |
|---|---|
| the column mapped to `prompt`, or `prompt` | that text or conversation |
| else `messages`, `conversations` or `conversation` | that conversation |

A column `image` is the task's images where there is no `images` and it holds what an image may be written as (`images.py`).
A conversation that ends with the assistant's answer is asked without it. A column that has a task field's name and
another type of content (`meta` a text, `system` a number) is kept in `Task.meta`. Both are said once.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from anyprefer.core.conversation import normal, turns
from anyprefer.core.delimited import BadRecord
from anyprefer.core.errors import InputError
from anyprefer.core.images import images_of, may_be_image
from anyprefer.core.task import Task

log = logging.getLogger("anyprefer")

FIELDS = Task.model_fields
"""Looked up once: pydantic makes every look-up on the class a search."""
CONVERSATIONS = ("messages", "conversations", "conversation")
"""Columns a conversation is looked for in where there is no prompt."""
SHOWN = 10_000
"""Characters kept of a line that is no row."""
_VALIDATOR = TypeAdapter(Task)
_EXACT = (-(2**63), 2**63 - 1)


@dataclass(frozen=True)
class BadRow:
    """An input row that is no task. All texts are valid Unicode, whatever the row held."""

    id: str
    error: str
    """Names the input, the row and the fix."""
    text: str = ""
    """What the row says, where that is text which could not be read as a row."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", printable(self.text[:SHOWN]))
        object.__setattr__(self, "id", printable(self.id))
        object.__setattr__(self, "error", printable(self.error))


class Reader:
    """Makes tasks of one input's rows."""

    def __init__(self, columns: Mapping[str, str], roots: Sequence[Path] | None, beside: Path | None) -> None:
        """`roots` and `beside`: where images may lie, as `images.images_of` takes them."""
        self.columns = columns
        self._taken = set(columns.values())
        self._images = (roots, beside)
        self._told: set[str] = set()

    def task(self, where: str, row: Any, number: int) -> Task | BadRow:
        """The task, or why there is none. `where` names the input and the row."""
        fallback = f"row-{number:06d}"
        if isinstance(row, Task):
            return row if row.id == printable(row.id) else BadRow(row.id, f"{where}: id {row.id!r} has no JSON form")
        if isinstance(row, InputError):
            return BadRow(fallback, f"{where}: {row}", row.text if isinstance(row, BadRecord) else "")
        if isinstance(row, str):
            row = {"prompt": row}
        if not isinstance(row, Mapping):
            return BadRow(fallback, f"{where}: a row must be an object with a prompt, not {type(row).__name__}")
        return self._of_columns(where, row, fallback)

    def _of_columns(self, where: str, row: Mapping[Any, Any], fallback: str) -> Task | BadRow:
        """`fallback` is the id of a row that has none."""
        prompt = self.prompt_column(row)
        if prompt is None:
            there, wanted = ", ".join(map(str, row)) or "none", self.columns.get("prompt", "prompt")
            return BadRow(fallback, f"{where}: no column {wanted!r}; it has: {there} (map one with prompt=COLUMN)")
        fields, others = self._sorted(row, prompt)
        given = fields.get("id")
        missing = given is None or (isinstance(given, float) and math.isnan(given))
        identifier = fallback if missing else str(given).strip() or fallback
        try:
            return self._made(fields, others, identifier, prompt)
        except ValidationError as error:
            first = error.errors()[0]
            return BadRow(identifier, f"{where}: column {'.'.join(map(str, first['loc']))!r}: {first['msg']}")
        except (InputError, TypeError, ValueError, RecursionError) as error:
            return BadRow(identifier, f"{where}: {error}")

    def prompt_column(self, row: Mapping[Any, Any]) -> str | None:
        """The column the prompt stands in; None where the row has none."""
        wanted = self.columns.get("prompt", "prompt")
        if wanted in row:
            return wanted
        if "prompt" in self.columns:
            return None
        return next((name for name in CONVERSATIONS if isinstance(row.get(name), list | tuple)), None)

    def _sorted(self, row: Mapping[Any, Any], prompt: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The row's task fields, and its other columns."""
        fields: dict[str, Any] = {}
        others: dict[str, Any] = {}
        for key, value in row.items():
            if key in FIELDS and key not in self._taken:
                fields[key] = value
            elif key not in self._taken and key != prompt:
                others[str(key)] = value
        if self.columns:
            fields |= {field: row[column] for field, column in self.columns.items() if column in row}
        fields["prompt"] = row[prompt]
        if fields.get("images") is None and others.get("image") is not None:
            if may_be_image(others["image"]):
                fields["images"] = others.pop("image")
            else:
                self._say("column 'image' holds no images and is kept in meta; map it with images=image if it does")
        return fields, others

    def _made(self, fields: dict[str, Any], others: dict[str, Any], identifier: str, prompt: str) -> Task:
        images = fields.pop("images", None)
        if images is not None:
            images = self._pictures(images, others)
        said = fields["prompt"]
        values = plain(fields if isinstance(said, str) else {**fields, "prompt": plain(said, _pictured)})
        if None in values.values() or "" in values.values():
            values = {field: value for field, value in values.items() if value not in (None, "")}
        if not isinstance(values.get("meta", {}), dict) or not isinstance(values.get("system", ""), str):
            self._set_aside(values, others)
        values["id"] = identifier
        if images:
            values["images"] = images
        said = values.get("prompt")
        if isinstance(said, list):
            values |= normal(self._asked(said), values.get("system"), values.get("images", ()))
            values["images"] = images_of(values["images"], *self._images) or ()
        elif not isinstance(said, str) or not said.strip():
            raise InputError(f"column {prompt!r} is empty or no text; give the row a prompt")
        if others:
            values["meta"] = {**values.get("meta", {}), **plain(others)}
        return _VALIDATOR.validate_python(values)

    def _pictures(self, given: Any, others: dict[str, Any]) -> list[str] | None:
        found = images_of(given, *self._images)
        if found is not None:
            return found
        if "images" in self.columns:
            raise InputError(f"column {self.columns['images']!r} holds no images but {type(given).__name__}")
        others["images"] = given
        self._say("column 'images' holds no images and is kept in meta; map another column with images=COLUMN")
        return None

    def _set_aside(self, values: dict[str, Any], others: dict[str, Any]) -> None:
        """Moves what has a task field's name but not its type to the other columns."""
        for field, wanted in (("meta", dict), ("system", str)):
            value = values.get(field)
            if value is None or isinstance(value, wanted):
                continue
            if field in self.columns:
                raise InputError(f"column {self.columns[field]!r}, mapped to {field}, holds {type(value).__name__}")
            others[field] = values.pop(field)
            self._say(f"column {field!r} is no {'text' if wanted is str else 'object'} and is kept in meta")

    def _asked(self, messages: Sequence[Any]) -> list[Any]:
        """The conversation up to what waits for an answer."""
        chat = turns(messages)
        end = len(chat)
        while end and chat[end - 1]["role"] == "assistant":
            end -= 1
        if 0 < end < len(chat):
            self._say("conversations that end with the assistant's answer are asked without it")
        return chat[:end] or chat

    def _say(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            log.warning("input: %s", what)


def plain(value: Any, other: Callable[[Any], Any] | None = None) -> Any:
    """The value as JSON has it: arrays become lists, dates and the like text, NaN and infinity null, and integers
    beyond 64 bits text, since readers of JSON make inexact numbers of them. `other` says what becomes of the rest.

    Raises `ValueError` or `TypeError` for what has no JSON form, half a surrogate pair among it.
    """
    if type(value) is dict and all(map(_is_plain, value.values())):
        return value
    text = json.dumps(value, default=other or _listed, ensure_ascii=False)
    return json.loads(text.encode(), parse_constant=lambda name: None, parse_int=_exact)


def _is_plain(value: Any) -> bool:
    if type(value) is int:
        return _EXACT[0] <= value <= _EXACT[1]
    return (type(value) is str and value.isascii()) or value is None or type(value) is bool


def _exact(digits: str) -> int | str:
    value = int(digits)
    return value if _EXACT[0] <= value <= _EXACT[1] else digits


def printable(text: str) -> str:
    """The text as valid Unicode; what is not is escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def _pictured(value: Any) -> Any:
    """An image that stands in a conversation as a text."""
    found = None if hasattr(value, "tolist") else images_of(value, None)
    return found[0] if found else _listed(value)


def _listed(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, bytes):  # an image in a column that nobody asked for
        return f"{len(value)} bytes"
    return None if value != value else str(value)  # pandas' missing date
