"""What calls cost: a small table of prices per million tokens (`prices.toml`), and a file of the user's over it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from math import inf
from pathlib import Path

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from anyprefer.core.errors import SettingsError
from anyprefer.core.records import Usage
from anyprefer.models.traits import Traits, traits_of

Price = tuple[float, float]
"""US dollars per million input tokens and per million output tokens, each ≥ 0."""

_DATED = re.compile(r"-\d{4}-?\d{2}-?\d{2}$")


class Prices:
    """A model's price by its name; one that runs in this process costs nothing."""

    def __init__(self, file: str | Path | None = None) -> None:
        self._table = {**_own_table(), **(_read(Path(file)) if file else {})}
        self._found: dict[str, Price | None] = {}
        """What was looked up, by the model's name; it is asked for with every call."""

    def of(self, traits: Traits) -> Price | None:
        """The model's price, None when it is unknown."""
        if traits.in_process:
            return 0.0, 0.0
        if traits.name not in self._found:
            self._found[traits.name] = self.named(traits.name)
        return self._found[traits.name]

    def named(self, name: str) -> Price | None:
        """The price of a model's name; None when it is unknown."""
        bare = name.rpartition("/")[2]
        names = (name, bare, _DATED.sub("", name), _DATED.sub("", bare))
        return next((self._table[known] for known in names if known in self._table), None)

    def check(self, model: BaseChatModel, role: str) -> None:
        """Raises `SettingsError` for an unknown price: with a limit on cost it is not zero."""
        traits = traits_of(model)
        if self.of(traits) is None:
            name = traits.name
            raise SettingsError(
                f"max_cost needs the price of {name} ({role}); put "
                f'"{name}" = [INPUT, OUTPUT], dollars per million tokens, into a file and give it as prices'
            )

    def cost(self, traits: Traits, read: int, written: int) -> float | None:
        """US dollars of a call with so many input and output tokens, None when the price is unknown."""
        price = self.of(traits)
        return None if price is None else (read * price[0] + written * price[1]) / 1e6


@cache
def _own_table() -> dict[str, Price]:
    return _table(files("anyprefer.models").joinpath("prices.toml").read_text(encoding="utf-8"), "prices.toml")


def _read(path: Path) -> dict[str, Price]:
    try:
        return _table(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"prices file {path} cannot be read: {error}") from error


def _table(text: str, where: str) -> dict[str, Price]:
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"prices file {where} cannot be read as TOML: {error}") from error
    table: dict[str, Price] = {}
    for name, price in given.items():
        numbers = price if isinstance(price, list) else []
        if len(numbers) != 2 or not all(type(value) in (int, float) and 0 <= value < inf for value in numbers):
            raise SettingsError(
                f'prices file {where}: {name!r} must be two numbers, dollars per million tokens read and written, such as "{name}" = [0.15, 0.6]'
            )
        table[name] = (float(numbers[0]), float(numbers[1]))
    return table


def used(choices: Sequence[AIMessage], prices: Prices, traits: Traits) -> Usage:
    """Tokens as the model reported them, with their cost; a model that reports none counts as 0 tokens
    of unknown cost.

    Every choice of one request reports the whole request.
    """
    tokens = choices[0].usage_metadata
    if not tokens:
        return Usage(calls=1, cost=0.0 if prices.of(traits) == (0.0, 0.0) else None)
    read, written = tokens["input_tokens"], tokens["output_tokens"]
    return Usage(calls=1, input_tokens=read, output_tokens=written, cost=prices.cost(traits, read, written))
