"""Results as files: `REPORT.md`, one CSV a table, one PNG a figure. The same report gives the same bytes.

report = Report("Ablation", intro="…")
report.add(Table("tools", "Tools", ("mode", "GSM8K"), [("tools", Cell(0.41, n=300, low=0.36, high=0.47, paper=37.53))]))
write_report(report, Path("runs/ablation/report"))
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from anyprefer.core.errors import InputError, RunFolderError

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_CSV = ("value", "n", "seeds", "each", "low", "high", "paper")


@dataclass(frozen=True)
class Cell:
    """One number of ours with what it rests on, and the paper's beside it where it has one."""

    value: float | None
    """None: not measured; the text says why."""
    n: int = 0
    """Tasks or samples behind it; 0: not a sample."""
    seeds: tuple[int, ...] = ()
    each: tuple[float, ...] = ()
    """The number under each of the seeds, in their order; empty where they do not differ."""
    low: float | None = None
    high: float | None = None
    """95% interval."""
    paper: float | None = None
    """The paper's number, in the unit of `value`."""
    form: str = ".2f"
    """How numbers are shown, as in `format`; `.1%` shows shares in 0..1."""
    text: str = ""
    """Shown behind the number, or instead of one that is missing."""

    def __str__(self) -> str:
        if self.value is None:
            said = self.text or "not measured"
        else:
            said = f"{self.value:{self.form}}{self._interval()}" + (f" {self.text}" if self.text else "")
        beside = [*([f"n = {self.n}"] if self.n else []), *([self._seeds()] if self.seeds else [])]
        if self.paper is not None:
            beside.append(f"paper {self.paper:{self.form}}")
        return said + (f" ({', '.join(beside)})" if beside else "")

    def _interval(self) -> str:
        return "" if self.low is None or self.high is None else f" [{self.low:{self.form}}, {self.high:{self.form}}]"

    def _seeds(self) -> str:
        named = f"seed{'s' if len(self.seeds) > 1 else ''} {', '.join(map(str, self.seeds))}"
        return named + (f": {', '.join(f'{value:{self.form}}' for value in self.each)}" if self.each else "")


@dataclass(frozen=True)
class Table:
    """Rows under a heading; the first cell of a row is its name."""

    name: str
    """Of its CSV file: lower-case letters, digits, - and _."""
    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str | Cell]]
    note: str = ""
    """How to read it; shown under the table."""


@dataclass(frozen=True)
class Figure:
    """A picture: `draw` is called with the path of its PNG file."""

    name: str
    caption: str
    draw: Callable[[Path], None]


@dataclass(frozen=True)
class Note:
    """A paragraph of Markdown."""

    text: str


@dataclass
class Report:
    """A title, an introduction, and parts in order."""

    title: str
    intro: str = ""
    parts: list[Table | Figure | Note] = field(default_factory=list)

    def add(self, *parts: Table | Figure | Note) -> None:
        """Appends parts."""
        self.parts.extend(parts)


def write_report(report: Report, folder: Path) -> Path:
    """Writes the files into the folder, over those of an earlier report; returns the path of REPORT.md.

    Raises `InputError` for a name that is no file name or occurs twice, or a row of the wrong width, before
    anything is written.
    """
    _check(report)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for part in report.parts:
            if isinstance(part, Figure):
                part.draw(folder / f"{part.name}.png")
            elif isinstance(part, Table):
                (folder / f"{part.name}.csv").write_text(as_csv(part), encoding="utf-8")
        path = folder / "REPORT.md"
        path.write_text(as_markdown(report), encoding="utf-8")
    except OSError as error:
        raise RunFolderError(f"{folder} cannot be written: {error.strerror}") from error
    return path


def as_markdown(report: Report) -> str:
    """The report's text; figures and tables by their files' names. Names and errors from outside stay text."""
    parts = [f"# {as_text(report.title)}", as_text(report.intro), *map(_markdown, report.parts)]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def as_csv(table: Table) -> str:
    """The table with a column for each number behind a cell: `GSM8K`, `GSM8K n`, `GSM8K low`, …"""
    rows = [dict(pair for cell in zip(table.columns, row, strict=True) for pair in _flat(*cell)) for row in table.rows]
    # a column is there when any row has it, beside the others of its cell
    wanted = [f"{column}{behind}" for column in table.columns for behind in ("", *(f" {name}" for name in _CSV[1:]))]
    columns = [name for name in wanted if any(name in row for row in rows)] if rows else list(table.columns)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _flat(column: str, cell: str | Cell) -> Iterable[tuple[str, str]]:
    if isinstance(cell, str):
        return [(column, cell)]
    values = {name: getattr(cell, name) for name in _CSV}
    values |= {"n": cell.n or None, "seeds": " ".join(map(str, cell.seeds)) or None}
    values["each"] = " ".join(f"{value:.6g}" for value in cell.each) or None
    shown = {name: f"{v:.6g}" if isinstance(v, float) else str(v) for name, v in values.items() if v is not None}
    return [(column, shown.pop("value", cell.text)), *((f"{column} {name}", value) for name, value in shown.items())]


def _markdown(part: Table | Figure | Note) -> str:
    if isinstance(part, Note):
        return as_text(part.text)
    if isinstance(part, Figure):
        return f"![{as_text(part.caption)}]({part.name}.png)\n\n{as_text(part.caption)}"
    lines = [
        table_line(part.columns),
        table_line(["---"] * len(part.columns)),
        *(table_line(map(str, row)) for row in part.rows),
    ]
    return "\n\n".join([f"## {as_text(part.title)}", "\n".join(lines), *([as_text(part.note)] if part.note else [])])


def table_line(cells: Iterable[str]) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(as_text(" ".join(cell.split())).replace("|", "\\|") for cell in cells) + " |"


def as_text(text: str) -> str:
    """Text as Markdown that shows it as it is: no HTML, no links, no pictures, no control characters."""
    shown = "".join(char for char in text if char.isprintable() or char == "\n")
    return escape(shown, quote=False).replace("](", "]\\(")


def _check(report: Report) -> None:
    named = [part for part in report.parts if not isinstance(part, Note)]
    names = [part.name for part in named]
    for name in names:
        if not _NAME.fullmatch(name) or names.count(name) > 1:
            raise InputError(f"report part {name!r}: names are file names in lower case and occur once")
    for table in (part for part in named if isinstance(part, Table)):
        for row in table.rows:
            if len(row) != len(table.columns):
                raise InputError(f"table {table.name!r}: {len(table.columns)} columns, but a row of {len(row)} cells")
