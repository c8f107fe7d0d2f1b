"""The paper's numbers, to stand beside ours: `paper().table("5").value("tools", "GSM8K")` is 37.53."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict

from anyprefer.core.errors import InputError


class _Stated(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    """Where in the paper."""
    unit: str = "%"


class PaperTable(_Stated):
    """One table; a cell the paper leaves empty is absent."""

    title: str
    rows: dict[str, dict[str, float]]
    """Row name to column name to number."""

    def value(self, row: str, column: str) -> float | None:
        """One number, None where the paper has none. Raises `InputError` for a row or column it does not have."""
        columns = {name for cells in self.rows.values() for name in cells}
        if row not in self.rows or column not in columns:
            raise InputError(
                f"{self.source} has no {row!r} × {column!r}; rows: {', '.join(self.rows)}; "
                f"columns: {', '.join(sorted(columns))}"
            )
        return self.rows[row].get(column)


class Fact(_Stated):
    """What the text says of a figure."""

    figure: int
    what: str
    value: float | None = None
    """None for a statement without a number."""


class Paper(BaseModel):
    """All that is stated of the parts we repeat: Tables 2, 4 to 16 and Figures 3-7."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tables: dict[str, PaperTable]
    facts: tuple[Fact, ...]

    def table(self, number: str) -> PaperTable:
        """A table by its number. Raises `InputError` for one that is not kept."""
        if number not in self.tables:
            raise InputError(f"no table {number!r} of the paper is kept; there are {', '.join(self.tables)}")
        return self.tables[number]

    def figure(self, number: int) -> tuple[Fact, ...]:
        """What is said of a figure; empty where nothing is kept."""
        return tuple(fact for fact in self.facts if fact.figure == number)


@cache
def paper() -> Paper:
    """`paper_results.toml`, checked."""
    text = files("anyprefer.training.analysis").joinpath("paper_results.toml").read_text(encoding="utf-8")
    return Paper.model_validate(tomllib.loads(text))
