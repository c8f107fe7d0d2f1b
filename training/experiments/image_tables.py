"""Tables 7 to 15: applications with images and with actions. Baselines, iterations, and what tools, rounds and ranks are
worth.

Which figures stand in the columns follows from what the application's scale measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from anyprefer.training.analysis import plots
from anyprefer.training.analysis.paper_results import paper
from anyprefer.training.analysis.report import Figure
from anyprefer.training.applications.arms import ARMS
from anyprefer.training.evaluation.control_families import CONTROL, METRICS
from anyprefer.training.experiments.accuracy_tables import Line
from anyprefer.training.experiments.figure_tables import Column, difference_table, points, table
from anyprefer.training.experiments.outcomes import Parts, Results, stated

_KINDS = ("random", "adversarial", "swap")
_MEDICAL = ("closed (llava-med)", "closed (strict)", "open recall (llava-med)", "open recall (strict)")
_COLUMNS = {
    "scenes": tuple(
        Column(name, "scenes", name) for name in ("F1", "recall", "CHAIR-i", "CHAIR-s", "repeats", "mentions")
    ),
    "scenes_pope": tuple(Column(f"POPE {kind}", "scenes_pope", f"accuracy {kind}") for kind in _KINDS),
    "scenes_pope_described": tuple(
        Column(f"POPE {kind}, through the description", "scenes_pope_described", f"accuracy {kind}") for kind in _KINDS
    ),
    **{
        name: tuple(
            Column(f"{metric}{name.removeprefix('control').replace('_', ', ')}", name, metric) for metric in METRICS
        )
        for name in CONTROL
    },
    **{
        name: tuple(Column(f"{name} {metric}", name, metric) for metric in _MEDICAL)
        for name in ("vqa_rad", "vqa_rad_by_image", "vqa_rad_blank", "vqa_rad_by_image_blank", "slake", "slake_blank")
    },
}
"""The columns of benchmarks that are more than an accuracy."""
BASELINES = {
    "vision": ("self-rewarding", "meta-rewarding", "ai-feedback", "povid-noised", "povid-edited", "rlhf-v", "random-pairs", "shorter-wins"),
    "medical": ("self-rewarding", "self-rewarding-gold", "meta-rewarding", "ai-feedback", "random-pairs"),
    "control": ("self-rewarding", "filtered-imitation", "ai-feedback", "random-pairs"),
}  # fmt: skip
"""By application, the arms of Tables 7, 10 and 13 beside Anyprefer."""
ABLATIONS = (
    "no-tools",
    "tools",
    "target-only",
    "judge-only",
    "independent",
    "ranks-3-5",
    "ranks-1-3",
)
"""The arms of Tables 9, 12 and 15 beside Anyprefer."""


def columns(results: Results) -> list[Column]:
    """What the tables show of everything that was measured."""
    return [
        column for name in results.benchmarks for column in _COLUMNS.get(name, (Column(name.replace("_", " "), name),))
    ]


def table7(results: Results) -> Parts:
    """Vision: baselines beside Anyprefer."""
    return _baselines(results, "7", "vision")


def table8(results: Results) -> Parts:
    """Vision: iterations."""
    return _iterations(results, "8")


def table9(results: Results) -> Parts:
    """Vision: tools and rounds, whose prompts are optimised, ranks of the pair."""
    return _ablations(results, "9")


def table10(results: Results) -> Parts:
    """Medicine: baselines beside Anyprefer."""
    return _baselines(results, "10", "medical")


def table11(results: Results) -> Parts:
    """Medicine: iterations."""
    return _iterations(results, "11")


def table12(results: Results) -> Parts:
    """Medicine: tools and rounds, whose prompts are optimised, ranks of the pair."""
    return _ablations(results, "12")


def table13(results: Results) -> Parts:
    """Control: baselines beside Anyprefer, after the last iteration."""
    return _baselines(results, "13", "control", _last(results))


def table14(results: Results) -> Parts:
    """Control: iterations."""
    return _iterations(results, "14")


def table15(results: Results) -> Parts:
    """Control: tools and rounds, whose prompts are optimised, ranks of the pair, after the last iteration."""
    return _ablations(results, "15", _last(results))


def _last(results: Results) -> int:
    """The last iteration that all arms have played."""
    return min((len(one.iterations) - 1 for some in results.outcomes.values() for one in some), default=1)


def _baselines(results: Results, number: str, application: str, iteration: int = 1) -> Parts:
    arms = ("anyprefer", *BASELINES[application])
    lines = [results.before("Before"), *(results.line(name, ARMS[name].title, iteration) for name in arms)]
    return _compared(results, number, _after("baselines", iteration), lines, 1)


def _iterations(results: Results, number: str) -> Parts:
    lines, shown = results.over_iterations("anyprefer"), columns(results)
    beside = [
        replace(line, title=f"self-rewarding, {line.title}") for line in results.over_iterations("self-rewarding")[1:]
    ]
    steps = [line.title for line in lines]
    plotted = [column for column in shown if column.metric != "mentions"][:5]
    series = {column.title: [point for line in lines for point in points(line, [column])] for column in plotted}
    name = f"table{number}"
    return [
        table(name, f"Table {number}: iterations", [*lines, *beside], shown, _pairs(results)),
        difference_table(
            f"{name}-differences",
            "The last iteration against each",
            lines[-1],
            [*lines[:-1], *(line for line in beside if line.iteration == lines[-1].iteration)],
            shown,
        ),
        Figure(
            f"{name}-lines",
            f"Table {number}: held-out figures over iterations",
            lambda path: plots.lines(path, steps, series, "held-out"),
        ),
        stated(paper().table(number)),
    ]


def _ablations(results: Results, number: str, iteration: int = 1) -> Parts:
    lines = [results.line(name, ARMS[name].title, iteration) for name in ("anyprefer", *ABLATIONS)]
    return _compared(results, number, _after("ablations", iteration), [results.before("Before"), *lines], 1)


def _after(what: str, iteration: int) -> str:
    return what if iteration == 1 else f"{what}, after iteration {iteration}"


def _compared(results: Results, number: str, what: str, lines: Sequence[Line], ours: int) -> Parts:
    """The lines, the one at `ours` against each other, and the paper's own numbers."""
    shown, name = columns(results), f"table{number}"
    others = [line for at, line in enumerate(lines) if at != ours]
    plotted = [column for column in shown if column.metric != "mentions"][:5]
    series = {line.title: points(line, plotted) for line in lines if line.outcomes}
    titles = [column.title for column in plotted]
    return [
        table(name, f"Table {number}: {what}", lines, shown, _pairs(results)),
        difference_table(f"{name}-differences", "Anyprefer against each", lines[ours], others, shown),
        Figure(f"{name}-bars", f"Table {number}: {what}", lambda path: plots.bars(path, titles, series, "held-out")),
        stated(paper().table(number)),
    ]


def _pairs(results: Results) -> str:
    said = [
        f"{name}: "
        + ", ".join("+".join(str(one.counts.get("accepted", 0)) for one in outcome.iterations[1:]) for outcome in some)
        for name, some in results.outcomes.items()
    ]
    return f"{_sampling(results)} to held-out tasks. Accepted pairs of each iteration, by seed: {'; '.join(said)}."


def _sampling(results: Results) -> str:
    """How held-out tasks were answered."""
    found = {
        result.temperature
        for some in results.outcomes.values()
        for outcome in some
        for iteration in outcome.iterations
        for result in iteration.results.values()
    }
    warm = ", ".join(f"{one:g}" for one in sorted(one for one in found if one))
    return f"Answers sampled at T = {warm}" if warm else "Greedy answers"
