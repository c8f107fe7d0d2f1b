"""The user's own columns as columns of a table: one type each, under names that no trainer takes for its own."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from anyprefer.training.export.exported_pair import ExportedPair

TAKEN = {
    *("prompt", "chosen", "rejected", "images", "image", "id", "source", "iteration", "reward", "judge"),
    *("score_chosen", "score_rejected", "margin", "chosen_model", "rejected_model"),
    *("messages", "completion", "label", "tools", "chat_template_kwargs", "prompt_id"),
}
"""Columns of ours, and those that TRL reads where they are there."""
_KINDS: tuple[tuple[type, ...], ...] = ((bool,), (int,), (int, float), (str,))
_LONG = 2**63


def own_columns(pairs: Sequence[ExportedPair]) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """Each own column's type, and its values by pair (None where a pair has none); a taken name becomes `own_NAME`.

    A column of texts, numbers, or true and false stays so; of anything else, or of several kinds, it is JSON text.
    """
    names = dict.fromkeys(name for pair in pairs for name in pair.own)
    columns = {_free(name, names): _alike([pair.own.get(name) for pair in pairs]) for name in names}
    types = {name: _DTYPES[_type(values)] for name, values in columns.items()}
    return types, {pair.id: {name: values[at] for name, values in columns.items()} for at, pair in enumerate(pairs)}


_DTYPES = {bool: "bool", int: "int64", float: "float64", str: "string"}


def _type(values: list[Any]) -> type:
    return next((type(value) for value in values if value is not None), str)


def _free(name: str, others: Iterable[str]) -> str:
    made = f"own_{name}" if name in TAKEN else name
    while made != name and made in others:
        made = f"own_{made}"
    return made


def _alike(values: list[Any]) -> list[Any]:
    given = [value for value in values if value is not None]
    if any(all(_is(value, kinds) for value in given) for kinds in _KINDS):
        numbers = {type(value) for value in given} == {int, float}
        return [float(value) if numbers and value is not None else value for value in values]
    return [None if value is None else _as_json(value) for value in values]


def _is(value: Any, kinds: tuple[type, ...]) -> bool:
    return type(value) in kinds and not (type(value) is int and abs(value) >= _LONG)


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str, sort_keys=isinstance(value, Mapping))


def number(value: float | None) -> float | None:
    """A number as a table holds it: none of those that are none."""
    return value if value is not None and math.isfinite(value) else None
