"""The pair builder that a setting names."""

from __future__ import annotations

import inspect
import re
from typing import Any

from anyprefer.core.errors import SettingsError
from anyprefer.core.roles import Builder
from anyprefer.nodes.pair_builders import PAIR_BUILDERS

_CALLED = re.compile(r"([^()]+)\((\d+(?:,\s*\d+)*)\)")


def pair_builder(spec: str, candidates: int) -> Builder:
    """The builder of `NAME`, `NAME(1,5)` or the user's own `FILE.py:NAME`, in a game of so many candidates.

    Raises `SettingsError` for an unknown name, for numbers that it does not take, and for what builds no pairs.
    """
    if not (called := _CALLED.fullmatch(spec)):
        return checked(PAIR_BUILDERS.get(spec), spec)
    make, numbers = PAIR_BUILDERS.get(called[1]), [int(number) for number in called[2].split(",")]
    named = {"candidates": candidates} if "candidates" in _parameters(make) else {}
    try:
        inspect.signature(make).bind(*numbers, **named)
    except TypeError as error:
        raise SettingsError(f"setting 'pair': {spec}: {error}") from error
    return checked(make(*numbers, **named), spec)


def checked(build: Any, spec: str) -> Builder:
    """The same builder. Raises `SettingsError` for what cannot be called with the round alone."""
    try:
        inspect.signature(build).bind({})
    except (TypeError, ValueError) as error:
        takes = f"{spec}({', '.join(_parameters(build))})" if callable(build) else repr(build)
        raise SettingsError(
            f"setting 'pair': {takes} is given the round, so it is a function of one argument: "
            "def build(state: GameState) -> PreferencePair | str | None, with the candidates in state['candidates']"
        ) from error
    return build  # type: ignore[no-any-return]


def _parameters(function: Any) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return []
