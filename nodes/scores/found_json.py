"""JSON in what a model said, found in time linear in the text's length.

Models wrap JSON in prose and code fences, leave a comma behind the last item, and draft before they decide. A JSON
value inside another, or in one's strings, is part of that one and not found for itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

MOST_BROKEN = 200
"""Beginnings of JSON that lead nowhere, of a text that can be read."""
MOST_FOUND = 400
"""Values in a text that can be read."""
MOST_WORK = 4
"""Characters read in vain, as a multiple of the text's length (and 10,000), of a text that can be read."""


class Unclear(Exception):
    """Why it cannot be told what a text says."""


_OPENING = re.compile(r'\{(?=\s*["}])|\[(?=\s*[\[{\]"])')
_TRAILING_COMMA = re.compile(r",(?=\s*[}\]])")


class Found(NamedTuple):
    """A JSON value and where it stands in the text."""

    value: Any
    start: int
    end: int


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; a name that is given twice with different values has none."""
    made = dict(pairs)
    if len(made) < len(pairs):
        made.update({name: None for name, value in pairs if made[name] != value})
    return made


_DECODER = json.JSONDecoder(object_pairs_hook=_once)


def all_json(text: str) -> Iterator[Found]:
    """Every object and list, in order, the outermost of each. Raises `Unclear` for a text of too many of them, or of
    too much that is almost JSON: its last value would not be known."""
    text = _TRAILING_COMMA.sub(" ", text)
    left, work, at = MOST_FOUND, 10_000 + MOST_WORK * len(text), 0
    broken = MOST_BROKEN
    while begun := _OPENING.search(text, at):
        at = begun.start()
        try:
            value, end = _DECODER.raw_decode(text, at)
        except json.JSONDecodeError as error:
            broken, work, at = broken - 1, work - (error.pos - at), at + 1
        except (RecursionError, ValueError) as error:  # a number of thousands of digits
            raise Unclear("JSON that is nested too deep") from error
        else:
            yield Found(value, at, end)
            left, at = left - 1, end
        if min(left, broken, work) <= 0:
            raise Unclear("too much that looks like JSON")
