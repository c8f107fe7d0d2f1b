"""What the iterations of a loop came to, as a table and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anyprefer.core.results import EvalResult
from anyprefer.core.settings import Settings
from anyprefer.training.analysis.report import as_text, table_line
from anyprefer.training.evaluation.figures import figure, figure_change, heading
from anyprefer.training.evaluation.statistics import paired_difference
from anyprefer.training.loop.iterate import Iteration


def table(iterations: Sequence[Iteration]) -> list[list[str]]:
    """Rows of cells: a heading, then a family each with its accuracy and interval before and after, and its other
    figures under it.

    The change is that of the target that plays on: iterations that were not adopted are shown and not counted.
    """
    titles = ["family", *(_heading(it) for it in iterations), "change"]
    rows = []
    for name in iterations[0].results:
        results = [it.results[name] for it in iterations]
        kept = [it.results[name] for it in iterations if it.adopted]
        rows.append([f"{name} (n = {results[0].n})", *(_cell(result) for result in results), change(kept)])
        rows.extend(_figures(name, results, kept))
    return [titles, *rows]


def _figures(name: str, results: Sequence[EvalResult], kept: Sequence[EvalResult]) -> list[list[str]]:
    """A row for each figure of a family that is no accuracy."""
    return [
        [
            f"{name}: {heading(metric, results[0].metrics)}",
            *(figure(result, metric) for result in results),
            figure_change(kept[0], kept[-1], metric),
        ]
        for metric in results[0].metrics
    ]


def _heading(iteration: Iteration) -> str:
    if iteration.number == 0:
        return "before"
    return f"iteration {iteration.number}{'' if iteration.adopted else ' (not adopted)'}"


def change(results: Sequence[EvalResult]) -> str:
    """What became of a family from the first to the last result, on the tasks marked in both, paired by task."""
    first, last = results[0].marks, results[-1].marks
    both = sorted(first.keys() & last.keys())
    if not both:
        return f"{100 * (results[-1].accuracy - results[0].accuracy):+.1f} points, no task marked in both"
    found = paired_difference([[first[task] for task in both]], [[last[task] for task in both]])
    beyond = "better beyond" if found.low > 0 else "worse beyond" if found.high < 0 else "within"
    return f"{100 * found.mean:+.1f} points, {beyond} the interval"


def _cell(result: EvalResult) -> str:
    low, high = result.interval
    missing = f", {result.unscored} unscored" if result.unscored else ""
    return f"{result.accuracy:.1%} [{low:.1%}, {high:.1%}]{missing}"


def markdown(iterations: Sequence[Iteration], settings: Settings) -> str:
    """The table and what made the pairs behind it, as a small report."""
    judge = "rules over tool verdicts, no model" if settings.judge == "evidence" else settings.judge
    titles, *rows = table(iterations)
    lines = [titles, ["---"] * len(titles), *rows]
    others = any(result.metrics for result in iterations[0].results.values())
    pairs = [
        f"- iteration {it.number}: {_counts(it.counts)}{'' if it.adopted else f'; not adopted: {it.reason}'}"
        for it in iterations
        if it.counts
    ]
    return "\n".join(
        [
            "# Held-out accuracy",
            "",
            *map(table_line, lines),
            "",
            f"Accuracy with its 95% Wilson interval; {_sampling(iterations)}, seed {settings.seed}. Changes are paired by task,",
            "and their 95% interval is over tasks: with one seed it says nothing of another training run.",
            *(["Other figures are over all tasks together; their intervals draw whole tasks."] if others else []),
            as_text(f"Target: {settings.target}. Judge of the pairs: {judge}."),
            "",
            *map(as_text, pairs),
            "",
        ]
    )


def _sampling(iterations: Sequence[Iteration]) -> str:
    warm = {result.temperature for one in iterations for result in one.results.values() if result.temperature}
    return f"answers sampled at T = {', '.join(f'{one:g}' for one in sorted(warm))}" if warm else "greedy answers"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
