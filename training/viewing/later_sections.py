"""The report's parts about tools, cost, bias, prompts and training."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anyprefer.core.records import Usage
from anyprefer.core.results import wilson
from anyprefer.training.analysis.agreement import Reviewed, measured
from anyprefer.training.analysis.report import Table
from anyprefer.training.evaluation.statistics import mean_over_seeds
from anyprefer.training.viewing import charts
from anyprefer.training.viewing.biases import MOST_POINTS, Biases
from anyprefer.training.viewing.counts import Counts
from anyprefer.training.viewing.heldout import curves, heldout, refusals, trained
from anyprefer.training.viewing.lineage import Version
from anyprefer.training.viewing.sections import Drawn, Section

UNKNOWN = "unknown"


def tools(counts: Counts) -> Section:
    """Uses, failures, latency, and how often what they found decided."""
    found = counts.tools.counts
    rows = [
        [
            tool,
            *(f"{of['uses']:,}" if word == "uses" else f"{of[word]:,}" for word in ("uses", "failures", "verdicts")),
            *_latency(counts.tools.seconds.get(tool, [])),
            *(f"{of[word]:,}" for word in ("agreed", "against", "equal", "alone")),
        ]
        for tool, of in sorted(found.items())
    ]
    columns = ("tool", "uses", "failures", "verdicts", "median s", "95% under s", "agreed", "against", "equal", "alone")
    words = [
        "Of rounds with a pair and verdicts on both answers: a tool agreed where its verdict on the chosen one was higher, "
        "was against where it was lower; alone counts rounds in which no other tool's verdicts on the two differed, so that "
        "it decided by itself."
    ]
    if not rows:
        return Section("tools", "Tools", ["No tool was used."])
    figure = charts.bars(
        sorted(found), {word: [found[tool][word] for tool in sorted(found)] for word in ("agreed", "against", "equal")},
        "rounds with a pair", barmode="stack",
    )  # fmt: skip
    drawn = Drawn("tool-sides", "What tools said of the two answers of a pair.", figure)
    return Section("tools", "Tools", words, [drawn], [Table("tools", "Use of tools", columns, rows)])


def cost(notes: Sequence[Mapping[str, Any]], counts: Counts) -> Section:
    """Calls, tokens and dollars by step, by pair and by task."""
    steps = _used(notes)
    total = sum(steps.values(), Usage())
    accepted = counts.stages["accepted"]
    rows = [[step, *_numbers(used)] for step, used in steps.items()] + [["all", *_numbers(total)]]
    if accepted:
        rows.append(["for each accepted pair", *_numbers(total, accepted)])
    figures = []
    if counts.tokens:
        taken, left = ([float(n) for n, ok in counts.tokens if ok is want] for want in (True, False))
        end = max(n for n, _ in counts.tokens)
        figure = charts.histogram(
            {"accepted": taken, "not accepted": left}, "tokens of a task, in and out", 0, end, max(1, end / 30)
        )
        figures.append(Drawn("tokens", "Tokens that tasks took.", figure))
    if not steps:
        return Section("cost", "Cost", ["No model was asked, so nothing was spent."])
    return Section(
        "cost",
        "Cost",
        figures=figures,
        tables=[Table("cost", "By step", ("step", "calls", "tokens in", "tokens out", "dollars"), rows)],
    )


def biases(found: Biases) -> Section:
    """Whether length or place went with being chosen."""
    if not found.lengths:
        return Section("bias", "Length and position", ["No pair of texts was formed."], _places(found))
    longer, differ = found.longer()
    low, high = wilson(longer, differ)
    chosen, rejected = (statistics.median(column) for column in zip(*found.lengths, strict=True))
    words = [
        f"The chosen answer is the longer one in {longer} of {differ} pairs whose answers differ in length"
        + (f" ({longer / differ:.1%}, 95% interval {low:.1%} to {high:.1%})" if differ else "")
        + f"; medians: chosen {chosen:g} characters, rejected {rejected:g}. All rounds with a pair count. Near one half, "
        "length did not go with being chosen; away from it, it may be a cause, or go with quality."
    ]
    clouds = {"pairs": [(float(b), float(a)) for a, b in found.lengths[:MOST_POINTS]]}
    top = max(max(pair) for pair in found.lengths[:MOST_POINTS])
    figure = charts.points(clouds, "characters of the rejected answer", "characters of the chosen answer")
    figure["data"].append(
        {
            "type": "scatter",
            "mode": "lines",
            "x": [0, top],
            "y": [0, top],
            "line": {"dash": "dash", "color": charts.MARK},
            "name": "equal",
        }
    )
    first = f" The first {MOST_POINTS}." if len(found.lengths) > MOST_POINTS else ""
    return Section(
        "bias",
        "Length and position",
        words,
        [Drawn("lengths", f"Length of chosen beside rejected.{first}", figure), *_places(found)],
    )


def prompts(counts: Counts, versions: Sequence[Version]) -> Section:
    """What TextGrad rewrote, and what came of it."""
    if not counts.updates and not versions:
        return Section("prompts", "Prompts", ["No prompt was rewritten."])
    names = sorted({name for name, _ in counts.updates})
    rows = [[name, str(counts.updates[name, True]), str(counts.updates[name, False])] for name in names]
    words = ["What was rewritten for a task stands in its rounds, below."] if rows else []
    if len(counts.gains) > 1:
        gain = mean_over_seeds(counts.gains)
        words.append(
            f"After a rewrite R changed by {gain.mean:+.2f} on average (95% interval {gain.low:+.2f} to {gain.high:+.2f}, "
            f"n = {gain.n} rounds with a pair before and after). Rounds are rewritten because R was low, so part of a rise "
            "would come without any rewrite."
        )
    tables = [Table("rewrites", "Rewrites by prompt", ("prompt", "rewritten", "left as it was"), rows)] if rows else []
    return Section("prompts", "Prompts", words, tables=tables, details=versions)


def people(pairs: Sequence[Reviewed]) -> list[Section]:
    """What people's marks say of the judge and of R; nothing without marks."""
    rows = [[one.what, one.words] for one in measured(pairs)]
    words = ["Marks of `anyprefer review`; shares with their 95% Wilson interval."]
    table = Table("review", "What people's marks say", ("measure", "value"), rows)
    return [Section("review", "Review", words, tables=[table])] if rows else []


def training(path: Path, homes: Sequence[Path]) -> list[Section]:
    """Curves and held-out results of a loop; nothing for a run of its own."""
    lines, table, runs = curves(homes), heldout(path / "base", homes), trained(homes)
    found = []
    if lines or runs:
        figures = [Drawn("losses", "Loss by step.", charts.lines(lines, "step", "loss"))] if lines else []
        tables = [Table("trainings", "Trainings", tuple(runs[0]), runs[1:])] if runs else []
        found.append(Section("training", "Training", figures=figures, tables=tables))
    if table:
        words = ["Accuracy with its 95% Wilson interval; changes are paired by task.", *refusals(homes)]
        held = Table("heldout", "By iteration", tuple(table[0]), table[1:])
        found.append(Section("heldout", "Held-out tasks", words, tables=[held]))
    return found


def _latency(seconds: Sequence[float]) -> list[str]:
    if not seconds:
        return ["", ""]
    ordered = sorted(seconds)
    return [f"{statistics.median(ordered):.3g}", f"{ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]:.3g}"]


def _used(notes: Sequence[Mapping[str, Any]]) -> dict[str, Usage]:
    """By step, over all runs, as run.json says: what was spent on tasks that were never finished is in it."""
    found: dict[str, Usage] = {}
    for note in notes:
        for step, given in (note.get("usage") or {}).items():
            found[step] = found.get(step, Usage()) + Usage.model_validate(given)
    return found


def _numbers(used: Usage, share: int = 1) -> list[str]:
    counted = (used.calls, used.input_tokens, used.output_tokens)
    numbers = [f"{value / share:,.1f}" if share > 1 else f"{value:,}" for value in counted]
    return [*numbers, UNKNOWN if used.cost is None else f"{used.cost / share:.4g}"]


def _places(found: Biases) -> list[Drawn]:
    places = found.places()
    if not places:
        return []
    n = sum(times for _, times, *_ in places)
    caption = (
        f"How often the best candidate stood at each place ({n} rounds with {len(places)} candidates); 95% intervals."
    )
    figure = charts.shares(
        [f"{place}" for place, *_ in places], [(a, b, c) for _, _, a, b, c in places], "best", 1 / len(places)
    )
    return [Drawn("places", caption, figure)]
