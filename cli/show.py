"""`anyprefer show`: a run, or one of its rows, in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from anyprefer.cli.console import out, table
from anyprefer.cli.progress import STYLES
from anyprefer.cli.report import Run
from anyprefer.core.errors import InputError, near

if TYPE_CHECKING:
    from anyprefer.core.records import Candidate, Knowledge, Round, Row
    from anyprefer.training.viewing.counts import Counts
    from anyprefer.training.viewing.folders import Shown

_LINE = 70
"""Characters of a text in a table."""
_WHOLE = 600
MOST_REASONS = 6


def show(
    run: Run,
    row: Annotated[str | None, typer.Argument(metavar="ID", help="This row alone, with all that led to it.")] = None,
    outcome: Annotated[
        Literal["accepted", "rejected", "failed"] | None, typer.Option(help="Only rows that ended so.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, metavar="N", help="Rows of the list.")] = 20,
) -> None:
    """Show a run in the terminal: pairs, reasons by round, scores, evidence.

    [bold]anyprefer show runs/questions[/]
    [bold]anyprefer show runs/questions row-000003[/]
    """
    from anyprefer.training.viewing.folders import shown_parts

    parts = shown_parts(run)
    if row is not None:
        _one(out(), parts, row)
    else:
        _all(out(), parts, outcome, limit)


def _all(console: Console, parts: list[Shown], outcome: str | None, limit: int) -> None:
    from anyprefer.training.viewing.counts import Counts

    counts, listed = (
        Counts(),
        table("id", "outcome", "R", "margin", "rounds", "chosen", "rejected", right=("R", "margin")),
    )
    for place, part in enumerate(parts):
        for row in part.rows():
            counts.add(row, place)
            if outcome in (None, row.outcome) and listed.row_count < limit:
                listed.add_row(*_line(row))
    for made in (_outcomes(counts, parts), _reasons(counts), _tools(counts), listed):
        if made.row_count:
            console.print(made)
            console.print()
    console.print(Text("one row, whole: anyprefer show RUN ID; all of it in a browser: anyprefer report RUN", "dim"))


def _line(row: Row) -> tuple[str | Text, ...]:
    last = row.pair_round
    pair = last.pair if last else None
    reward = last.reward.score if last and last.reward else None
    texts = [_short(one) for one in (pair.chosen, pair.rejected)] if pair else [_short(row.reason), ""]
    margin = "" if pair is None or pair.margin is None else f"{pair.margin:.2f}"
    return Text(row.id), Text(row.outcome, STYLES[row.outcome]), _number(reward), margin, str(len(row.rounds)), *texts


def _outcomes(counts: Counts, parts: list[Shown]) -> Table:
    shown = table("run", *STYLES, "acceptance", right=(*STYLES, "acceptance"))
    for place, part in enumerate(parts):
        found = {name: counts.outcomes[place, name] for name in STYLES}
        total = sum(found.values())
        rate = f"{found['accepted'] / total:.1%}" if total else ""
        shown.add_row(part.name, *(Text(str(n), STYLES[name]) for name, n in found.items()), rate)
    return shown


def _reasons(counts: Counts) -> Table:
    shown = table("times", "round", "what it lacked (numbers and names are the first one's)", right=("times",))
    for times, kind, reason in counts.round_reasons.most(MOST_REASONS):
        shown.add_row(str(times), kind, Text(reason))
    return shown


def _tools(counts: Counts) -> Table:
    words = ("uses", "failures", "verdicts", "agreed", "against", "alone")
    shown = table("tool", *words, right=words)
    for tool, found in sorted(counts.tools.counts.items()):
        shown.add_row(Text(tool), *(f"{found[word]:,}" for word in words))
    return shown


def _one(console: Console, parts: list[Shown], wanted: str) -> None:
    found = [(part, row) for part in parts for row in part.rows() if row.id == wanted]
    if not found:
        known = [row.id for part in parts for row in islice(part.rows(), 2000)]
        raise InputError(f"no row {wanted!r} in the run; {near(wanted, known)}")
    for part, row in found:
        for line in _told(part, row):
            console.print(line)


def _told(part: Shown, row: Row) -> Iterator[Text]:
    yield Text.assemble((row.id, "bold"), "  ", (row.outcome, STYLES[row.outcome]), f"  {part.name}")
    if row.reason:
        yield Text(row.reason)
    if row.task:
        yield Text.assemble(("prompt   ", "dim"), row.task.text)
        for image in row.task.images:
            yield Text.assemble(("image    ", "dim"), _short(image))
    if row.pair:
        yield Text.assemble(("chosen   ", STYLES["accepted"]), _whole(row.pair.chosen))
        yield Text.assemble(("rejected ", STYLES["rejected"]), _whole(row.pair.rejected))
    if row.trace:
        yield Text.assemble(
            ("trace    ", "dim"), row.trace, ("  its id in every viewer; anyprefer view shows MLflow's", "dim")
        )
    for played in row.rounds:
        yield from _round(played)


def _round(played: Round) -> Iterator[Text]:
    reward = f"R {played.reward.score:g}" if played.reward else "no pair"
    yield Text(f"\nround {played.number}: {reward}", "bold")
    yield from (_finding(one) for one in played.knowledge if one.candidate is None)
    for candidate in played.candidates:
        yield from _candidate(candidate, played)
    if told := (played.reward.analysis if played.reward else played.feedback):
        yield Text.assemble(("analysis ", "dim"), told)
    for update in played.updates:
        yield Text(f"{update.prompt}: {'rewritten' if update.changed else 'left as it was'} {update.note}", "dim")


def _candidate(one: Candidate, played: Round) -> Iterator[Text]:
    score = next((judged for judged in played.judgments if judged.candidate == one.index), None)
    pair = played.pair
    role = {pair.chosen_index: " chosen", pair.rejected_index: " rejected"}.get(one.index, "") if pair else ""
    style = STYLES.get({" chosen": "accepted", " rejected": "rejected"}.get(role, ""), "")
    told = f"{score.score:g}" if score else "not judged"
    yield Text.assemble((f"  candidate {one.index + 1}{role} ", style), (f"score {told} ", "bold"), _whole(one.content))
    if score and score.analysis:
        yield Text.assemble(("    judge: ", "dim"), score.analysis)
    yield from (_finding(found) for found in played.knowledge if found.candidate == one.index)


def _finding(one: Knowledge) -> Text:
    verdict = "failed" if one.error else "takes no side" if one.verdict is None else f"verdict {one.verdict:g}"
    return Text.assemble((f"    {one.tool}: {verdict} ", "dim"), " ".join((one.error or one.text).split())[:_WHOLE])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _short(content: object) -> str:
    return _cut(" ".join(_text(content).split()), _LINE)


def _whole(content: object) -> str:
    return _cut(_text(content), _WHOLE)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _text(content: object) -> str:
    from anyprefer.core.values import as_text

    return as_text(content)
