"""Stable names for tools and pair builders given as objects: a run folder tells by them whether two runs are one experiment."""

from __future__ import annotations

import functools
import inspect
import json
import sys
from pathlib import Path
from typing import Any


def stable_name(given: Any) -> str:
    """The same for the same object in another process, another for another one: a name of ours as settings spell it,
    else NAME@MODULE:QUALNAME with what was set. An object's code is not looked at."""
    if isinstance(given, str):
        return given
    function = getattr(given, "function", None) or getattr(given, "func", None) or getattr(given, "coroutine", None)
    if isinstance(given, functools.partial):
        return f"{stable_name(given.func)}{_shown({'': given.args, **given.keywords})}"
    where = _where(function or given)
    name = str(getattr(given, "name", None) or where.rpartition(":")[2])
    options = dict(getattr(given, "set_options", None) or {})
    if where.startswith("anyprefer.nodes.pair_builders."):
        return f"ranks({_inside(given)['better']},{_inside(given)['worse']})" if "ranks" in where else name
    if where.startswith("anyprefer.tools."):
        return f"{name}{_shown(options)}"
    return f"{name}@{where}{_shown({**_inside(function or given), **options})}"


def _where(given: Any) -> str:
    """MODULE:QUALNAME of a function, or of an object's class; a script's module is its file's name."""
    given = inspect.unwrap(given) if callable(given) else given
    named = given if hasattr(given, "__qualname__") else type(given)
    module = str(getattr(named, "__module__", ""))
    if module == "__main__":
        module = Path(getattr(sys.modules["__main__"], "__file__", None) or "__main__").stem
    return f"{module}:{named.__qualname__}"


def _inside(given: Any) -> dict[str, Any]:
    """The plain values a closure holds."""
    code, cells = getattr(given, "__code__", None), getattr(given, "__closure__", None)
    if code is None or not cells:
        return {}
    held = {name: cell.cell_contents for name, cell in zip(code.co_freevars, cells, strict=True)}
    return {name: value for name, value in held.items() if isinstance(value, str | int | float | bool | None)}


def _shown(values: dict[str, Any]) -> str:
    return "(" + json.dumps(values, sort_keys=True, default=lambda value: type(value).__name__) + ")" if values else ""
