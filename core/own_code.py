"""The user's own code named by a string, as settings and flags do: tools, players and pair builders.

| string | object |
|---|---|
| `FILE.py:NAME` | the object of that name in a file |
| `package.module:NAME` | the object of that name in an installed module or one in the current folder |
| `…:NAME:ARGUMENT` | a player that is made with an argument, such as a policy's checkpoint |
| `FILE.py` | every tool in a file; tools alone |

What a model string may be (`openai:NAME`, `hf:NAME`, `replay:FILE`) is never taken for a module.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from anyprefer.core.errors import SettingsError, near
from anyprefer.core.values import stable_hash

_MODELS = ("openai", "hf", "replay", "data", "hub")


def is_own_code(spec: Any) -> bool:
    """Does a string name the user's own code? Nothing is imported to find out."""
    if not isinstance(spec, str):
        return False
    place, name, _ = own_parts(spec)
    if spec.endswith(".py") or place.endswith(".py"):
        return True
    parts = place.split(".")
    if not name.isidentifier() or not all(part.isidentifier() for part in parts) or parts[0] in _MODELS:
        return False
    return _in_this_folder(parts[0]) or parts[0] in sys.modules or importlib.util.find_spec(parts[0]) is not None


def own_parts(spec: str) -> tuple[str, str, str]:
    """File or module, name and argument of a string that names own code; empty where there is none of it."""
    found = _OWN.fullmatch(spec)
    return (found[1], found[2], found[3] or "") if found else ("", "", "")


_OWN = re.compile(r"(.+?\.py|[\w.]+):(\w+)(?::(.+))?", re.DOTALL)


def own_object(spec: str) -> Any:
    """The object that a string names. Raises `SettingsError` naming file, name or error."""
    place, name, _ = own_parts(spec)
    if not place:
        raise SettingsError(f"{spec!r} names a file; say which object of it plays, {spec}:NAME")
    module = own_module(place)
    if not hasattr(module, name):
        public = [known for known in vars(module) if not known.startswith("_")]
        raise SettingsError(f"{place} has no {name!r}; {near(name, public)}")
    return getattr(module, name)


def own_module(place: str) -> ModuleType:
    """The module of a file's path or a dotted name, imported once. Raises `SettingsError` where it cannot be."""
    if not place.endswith(".py"):
        if _in_this_folder(place.partition(".")[0]) and os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())
        return _started(lambda: importlib.import_module(place), place)  # type: ignore[no-any-return]
    file = Path(place).expanduser().resolve()
    if not file.is_file():
        raise SettingsError(f"there is no file {place}")
    return _started(lambda: _from_file(file), place)  # type: ignore[no-any-return]


@cache
def _from_file(file: Path) -> ModuleType:
    name = f"own_{stable_hash(str(file))[:12]}"  # never a name that `package.module:NAME` could mean
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError("no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _started(call: Callable[[], Any], what: str) -> Any:
    try:
        return call()
    except (Exception, SystemExit) as error:
        raise SettingsError(f"{what} cannot be loaded: {type(error).__name__}: {error}") from error


def _in_this_folder(module: str) -> bool:
    return Path(f"{module}.py").is_file() or Path(module, "__init__.py").is_file()
