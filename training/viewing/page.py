"""`report`: one self-contained HTML file about a run, or about all iterations of a loop.

    report(Path("runs/first"), Path("runs/first/report.html"))

Plotly draws the figures: it reads on a phone and in the dark, tells numbers and intervals under the pointer, and runs
under a policy that forbids `eval` and every request, which Vega does not without an interpreter of its own; pictures of
matplotlib can be neither read at 390 pixels nor recoloured. The price is its script, 4.8 MB in the file.
"""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from anyprefer.core.disk import replacing, writing
from anyprefer.core.errors import SettingsError
from anyprefer.graph.runs.marks import marks_by_row
from anyprefer.training.analysis.agreement import Reviewed
from anyprefer.training.viewing import later_sections, sections
from anyprefer.training.viewing.counts import Counts
from anyprefer.training.viewing.entries import Entries, index_of
from anyprefer.training.viewing.folders import Shown, shown_parts
from anyprefer.training.viewing.lineage import versions
from anyprefer.training.viewing.packing import LEVELS, Level, packed, squeezed
from anyprefer.training.viewing.pictures import Pictures
from anyprefer.training.viewing.sections import Section

ROWS = 10_000
"""Rows that can be looked at in the page, drawn evenly where there are more; all are counted."""
ROOM, PICTURES = 8_000_000, 5_000_000
"""Bytes of the page for rows and for pictures: with Plotly's script it stays under 20 MB."""
ROWS_FIRST, CHARTS = ("dom.js", "pair.js", "browse.js"), "charts.js"
"""Scripts in their order: the rows are there before Plotly is read."""


@dataclass
class Told:
    """What one pass over the rows leaves."""

    counts: Counts = field(default_factory=Counts)
    rows: dict[int, tuple[bytes, list[Any]]] = field(default_factory=dict)
    """By the place of the row in the run: the entry as JSON, and its line of the list."""
    seen: int = 0
    reviewed: list[Reviewed] = field(default_factory=list)
    """What people said of pairs."""


def report(path: Path, out: Path) -> Path:
    """Writes the page about a folder of `synth` or `iterate` and returns its path.

    Raises `RunFolderError` for another folder, a damaged one, or a place that cannot be written, `SettingsError` without
    the packages of the extra `report`.
    """
    parts = shown_parts(path)
    pictures = Pictures(PICTURES)
    told = _read(parts, Entries(pictures))
    page = _page(path, parts, told, pictures)
    with writing(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as file:
            file.write(page.encode("utf-8", "replace"))
    return out


def _read(parts: Sequence[Shown], entries: Entries) -> Told:
    """Counts every row, and keeps those that are drawn (Vitter's reservoir, seeded)."""
    told, chance = Told(), random.Random(0)
    places = list[int]()
    for number, part in enumerate(parts):
        roots, marks = part.image_roots(), marks_by_row(part.part.folder)
        for row in part.rows():
            told.counts.add(row, number)
            told.reviewed += [Reviewed.of(row, by, mark) for by, mark in marks.get(row.id, ())]
            at = told.seen
            told.seen += 1
            if at >= ROWS:
                drop = chance.randrange(at + 1)
                if drop >= ROWS:
                    continue
                del told.rows[places[drop]]
                places[drop] = at
            else:
                places.append(at)
            entry = entries.of(row, number, roots)
            told.rows[at] = (orjson.dumps(entry), index_of(entry))
    return told


def _page(path: Path, parts: Sequence[Shown], told: Told, pictures: Pictures) -> str:
    rows = [told.rows[at] for at in sorted(told.rows)]
    found = packed([entry for entry, _ in rows], ROOM)
    made = list(_sections(path, parts, told))
    scripts = [*map(asset, ROWS_FIRST), _plotly(), asset(CHARTS)]
    return template("report.html").render(
        title=f"Run {path.resolve().name}",
        policy=policy(scripts),
        style=markup(asset("page.css")),
        tiles=_tiles(told.counts, parts),
        facts=_facts(parts),
        sections=made,
        rows_told=_rows_told(told, len(rows), found.level, pictures.left_out),
        figures={one.name: one.figure for section in made for one in section.figures},
        names=[part.name for part in parts],
        pictures=pictures.urls,
        index=squeezed([line for _, line in rows]),
        pieces=found.pieces,
        scripts=list(map(markup, scripts)),
        version=version("anyprefer"),
    )


def _sections(path: Path, parts: Sequence[Shown], told: Told) -> Iterator[Section]:
    counts = told.counts
    thresholds = sorted({part.threshold for part in parts})
    yield sections.acceptance(counts, [part.name for part in parts])
    yield sections.rounds(counts, " or ".join(f"{one:g}" for one in thresholds))
    yield sections.scores(counts, thresholds[-1])
    yield later_sections.tools(counts)
    yield later_sections.cost([part.part.note for part in parts], counts)
    yield later_sections.biases(counts.biases)
    yield later_sections.prompts(counts, [one for part in parts for one in versions(part.part.folder)])
    yield from later_sections.people(told.reviewed)
    yield from later_sections.training(path, [part.part.folder.parent for part in parts])


def _tiles(counts: Counts, parts: Sequence[Shown]) -> list[tuple[str, str]]:
    taken = [value for value, accepted in counts.rewards if accepted]
    mean = [(f"{sum(taken) / len(taken):.2f}", "mean R of them")] if taken else []
    runs = [(str(len(parts)), "iterations")] if len(parts) > 1 else []
    return [
        *runs,
        (f"{counts.stages['tasks']:,}", "tasks"),
        (f"{counts.stages['accepted']:,}", "pairs accepted"),
        *mean,
    ]


def _facts(parts: Sequence[Shown]) -> list[tuple[str, str]]:
    """Who played, on what, when; of a loop as its last iteration says, but for the target, which changes."""
    note = parts[-1].part.note
    models = dict(note.get("models") or {})
    targets = dict.fromkeys(str((part.part.note.get("models") or {}).get("target", "")) for part in parts)
    said = {**models, "target": ", ".join(filter(None, targets)), "input": note.get("source"), "seed": note.get("seed")}
    times = {"started": parts[0].part.note.get("started"), "ended": note.get("ended")}
    return [(name, str(value)) for name, value in {**said, **times}.items() if value not in (None, "")]


def _rows_told(told: Told, shown: int, level: Level, left_out: int) -> str:
    words = [
        f"{shown:,} rows."
        if shown == told.seen
        else f"{shown:,} of {told.seen:,} rows, drawn evenly; all are counted above."
    ]
    if level.cut < LEVELS[0].cut:
        words.append(f"Texts of more than {level.cut:,} characters are cut, so that the page stays small.")
    if not level.whole:
        words.append("Of each round the pair's two candidates are here; the run folder has the others.")
    if left_out:
        words.append(f"{left_out:,} pictures found no room.")
    return " ".join(words)


def template(name: str) -> Template:
    """A page of this folder: Jinja2 escapes all that is filled in."""
    loader = PackageLoader("anyprefer.training", "viewing")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True).get_template(name)


def asset(name: str) -> str:
    """A script or a style sheet of this folder."""
    return files("anyprefer.training.viewing").joinpath(name).read_text(encoding="utf-8")


def markup(ours: str) -> Markup:
    """A text of ours, which is not escaped."""
    return Markup(ours)


def policy(scripts: Sequence[str]) -> str:
    """The Content-Security-Policy: these scripts and no others, nothing from anywhere, no request to anywhere."""
    hashes = (base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts)
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise SettingsError("the report needs plotly: pip install 'anyprefer[report]'") from None
    script: str = get_plotlyjs()
    return script
