"""JSON values: as text, as a hash, as a seed."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import orjson


def as_text(content: Any) -> str:
    """Text as it is, any other JSON value as JSON. Raises `TypeError` or `ValueError` for what has no JSON form."""
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, allow_nan=False)


def stable_hash(value: Any) -> str:
    """sha256 over canonical JSON, the same in every process and on every machine."""
    return _digest(value).hex()


def _digest(value: Any) -> bytes:
    try:
        canonical = orjson.dumps(value, default=str, option=_CANONICAL)
    except TypeError:  # an integer beyond 64 bits, half a surrogate pair
        canonical = json.dumps(value, default=str, sort_keys=True).encode()
    return hashlib.sha256(canonical).digest()


_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


def derive_seed(*parts: object) -> int:
    """A seed in 0..2**31-1 that depends on every part and on nothing else."""
    return int.from_bytes(_digest([str(part) for part in parts])[:6], "big") % 2**31
