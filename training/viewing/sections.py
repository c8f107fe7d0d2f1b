"""The report's parts about what was played: words, figures and tables, from what was counted.

`later_sections.py` has those about tools, cost, bias, prompts and training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from anyprefer.core.results import wilson
from anyprefer.training.analysis.report import Cell, Table
from anyprefer.training.viewing import charts
from anyprefer.training.viewing.counts import STAGES, Counts

MOST_REASONS = 12
MOST_SOURCES = 20


@dataclass(frozen=True)
class Drawn:
    """A figure of the report."""

    name: str
    """Of its element in the page."""
    caption: str
    figure: charts.Figure


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it."""

    name: str
    title: str
    words: Sequence[str] = ()
    figures: Sequence[Drawn] = ()
    tables: Sequence[Table] = ()
    details: Sequence[object] = field(default_factory=tuple)
    """Versions of prompts (`lineage.Version`)."""


def acceptance(counts: Counts, names: Sequence[str]) -> Section:
    """How far tasks came, and why not further."""
    stages = [counts.stages[stage] for stage in STAGES]
    funnel = {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "y": list(STAGES),
                "x": stages,
                "text": list(map(str, stages)),
                "marker": {"color": charts.GOOD},
            }
        ],
        "layout": {"yaxis": {"autorange": "reversed", "type": "category"}, "xaxis": {"title": {"text": "tasks"}}},
    }
    return Section(
        "acceptance",
        "Acceptance",
        figures=[Drawn("funnel", "How far tasks came, in any of their rounds.", funnel), *_by_source(counts)],
        tables=[_outcomes(counts, names), _reasons(counts)],
    )


def rounds(counts: Counts, threshold: str) -> Section:
    """Acceptance by round, and what a round lacked."""
    numbers = sorted({number for number, _ in counts.rounds})
    played, accepted = ([counts.rounds[number, word] for number in numbers] for word in ("played", "accepted"))
    figure = charts.bars(
        [f"round {number}" for number in numbers],
        {"accepted": accepted, "not accepted": [a - b for a, b in zip(played, accepted, strict=True)]},
        "tasks",
        barmode="stack",
    )
    told = [[str(times), kind, reason] for times, kind, reason in counts.round_reasons.most(MOST_REASONS)]
    title = "What rounds lacked"
    reasons = Table("round-reasons", title, ("times", "round", "reason (numbers and names are the first one's)"), told)
    words = [f"A task plays on until R reaches the threshold τ = {threshold}, or its rounds are spent."]
    return Section("rounds", "Rounds", words, [Drawn("by-round", "Tasks by round.", figure)], [reasons] if told else [])


def scores(counts: Counts, threshold: float) -> Section:
    """Distributions of R, with τ, and of the judge's scores."""
    figures = []
    if counts.rewards:
        taken, left = ([value for value, accepted in counts.rewards if accepted is want] for want in (True, False))
        figure = charts.histogram({"accepted": taken, "not accepted": left}, "R (1 to 10)", 1, 10, 0.5)
        figure["layout"] |= charts.upright(threshold, f"τ = {threshold:g}")
        figures.append(Drawn("rewards", f"R of {len(counts.rewards)} rated pairs, in every round.", figure))
    figures += _judge_scores(counts)
    words = [] if counts.rewards else ["No pair was rated, so there is no R to show."]
    return Section("scores", "Rewards and scores", words, figures)


def _judge_scores(counts: Counts) -> list[Drawn]:
    kinds = {name: counts.scores[name] for name in ("chosen", "rejected", "other") if counts.scores.get(name)}
    if not kinds:
        return []
    every = [value for some in kinds.values() for value in some]
    low, high = min(1.0, *every), max(10.0, *every)
    figure = charts.histogram(kinds, "judge's score", low, high, (high - low) / 18)
    return [Drawn("judge-scores", "The judge's scores of candidates, in rounds with a pair.", figure)]


def _outcomes(counts: Counts, names: Sequence[str]) -> Table:
    rows: list[list[str | Cell]] = []
    for part, name in enumerate(names):
        found = [counts.outcomes[part, outcome] for outcome in ("accepted", "rejected", "failed")]
        low, high = wilson(found[0], sum(found))
        rate = found[0] / sum(found) if sum(found) else None
        rows.append(
            [name, *map(str, found), Cell(rate, low=low, high=high, form=".1%", text="" if sum(found) else "no rows")]
        )
    return Table("outcomes", "Rows", ("run", "accepted", "rejected", "failed", "acceptance, 95% interval"), rows)


def _reasons(counts: Counts) -> Table:
    rows = [[str(times), outcome, reason] for times, outcome, reason in counts.reasons.most(MOST_REASONS)]
    shown = sum(int(row[0]) for row in rows)
    if rest := counts.reasons.counts.total() - shown:
        rows.append([str(rest), "", "other reasons"])
    return Table(
        "reasons", "Why there is no pair", ("times", "outcome", "reason (numbers and names are the first one's)"), rows
    )


def _by_source(counts: Counts) -> list[Drawn]:
    """Acceptance by source, the largest first; nothing where all are of one."""
    sizes = {source: counts.sources[source, "tasks"] for source, _ in counts.sources}
    largest = sorted(sizes, key=lambda source: -sizes[source])[:MOST_SOURCES]
    if len(sizes) < 2:
        return []
    values = [(counts.sources[source, "accepted"], sizes[source]) for source in largest]
    points = [(k / n, *wilson(k, n)) for k, n in values]
    labels = [f"{source or 'no source'} (n = {n})" for source, (_, n) in zip(largest, values, strict=True)]
    more = f" The {MOST_SOURCES} largest of {len(sizes)}." if len(sizes) > MOST_SOURCES else ""
    caption = f"Share of tasks accepted, by source, with its 95% interval.{more}"
    return [Drawn("by-source", caption, charts.shares(labels, points, "accepted"))]
