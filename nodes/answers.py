"""Reading numbers and JSON out of what a model said; each raises or returns None, never a default score."""

from __future__ import annotations

import json
import re
from typing import Any

from anyprefer.graph.errors import AnswerError

_OUT_OF_TEN = re.compile(r"(?<![\d.\-−])(\d+(?:\.\d+)?)\s*/\s*10(?![\d.]*\d)")


def find_json(text: str, kind: type) -> Any:
    """The first JSON value of the given type (list or dict) in the text, None when there is none."""
    decoder = json.JSONDecoder()
    opening = "[" if kind is list else "{"
    start = text.find(opening)
    while start >= 0:
        try:
            value, _ = decoder.raw_decode(text, start)
        except (json.JSONDecodeError, RecursionError):
            value = None
        if isinstance(value, kind):
            return value
        start = text.find(opening, start + 1)
    return None


def score_of(value: Any, text: str) -> float:
    """A score in 1..10. Raises `AnswerError` for anything else, quoting the whole answer."""
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if number is None or not 1 <= number <= 10:
        raise AnswerError(f"a score must be a number from 1 to 10, not {value!r}", text)
    return number


def last_out_of_ten(text: str) -> float:
    """The last "score/10" in the text (Appendix D.2). Raises `AnswerError` when there is none in 1..10."""
    found = _OUT_OF_TEN.findall(text)
    if not found:
        raise AnswerError('no score in the form "score/10"', text)
    return score_of(float(found[-1]), text)
