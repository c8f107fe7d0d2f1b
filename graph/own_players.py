"""Players of the user's own, checked for what their role needs; their methods may be plain functions."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from anyprefer.core.errors import SettingsError


def able(given: Any, role: str, *methods: str) -> Any:
    """The player, its methods awaitable. Raises `SettingsError` where it lacks a name or one of the methods."""
    missing = [name for name in ("name", *methods) if not hasattr(given, name)]
    if missing:
        raise SettingsError(
            f"{role} {given!r} is no model string or chat model and has no {', '.join(missing)}; see core/roles.py"
        )
    plain = [name for name in methods if not inspect.iscoroutinefunction(getattr(given, name))]
    return _Awaitable(given, plain) if plain else given


class _Awaitable:
    """A player whose methods may be plain functions: they run in threads and can be awaited like any other's."""

    def __init__(self, player: Any, plain: Sequence[str]) -> None:
        self._player = player
        for name in plain:
            setattr(self, name, functools.partial(_awaited, getattr(player, name)))

    def __getattr__(self, name: str) -> Any:
        if name == "_player":
            raise AttributeError(name)  # not there yet while it is copied or unpickled
        return getattr(self._player, name)


async def _awaited(method: Callable[..., Any], *values: Any) -> Any:
    found = await asyncio.to_thread(method, *values)
    return await found if inspect.isawaitable(found) else found
