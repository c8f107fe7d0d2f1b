"""Text from outside on a terminal: a server's words, a column's name, a model's answer may hold escape sequences."""

from __future__ import annotations

import re

_ACTING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What a terminal obeys instead of showing it: all control characters but tab and line feed, and those that turn the
direction of writing."""


def visible(text: str) -> str:
    """The text with control characters written out (`\\x1b`), so that it can be printed anywhere."""
    return _ACTING.sub(_written, text)


def _written(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
