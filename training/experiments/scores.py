"""Tables 2, 4, 5 and 6, Figure 3 and any ablation: held-out accuracy of arms and iterations."""

from __future__ import annotations

from collections.abc import Sequence

from anyprefer.graph.folder import read_rows
from anyprefer.training.analysis import plots
from anyprefer.training.analysis.paper import paper
from anyprefer.training.analysis.report import Figure
from anyprefer.training.experiments.arms import ARMS
from anyprefer.training.experiments.lab import Outcome
from anyprefer.training.experiments.results import Parts, Results, stated
from anyprefer.training.experiments.tables import Line, accuracies, differences, points


def table4(results: Results) -> Parts:
    """Baselines beside Anyprefer, one iteration each."""
    lines = [
        results.before("Before"),
        results.line("self-rewarding", "Self-rewarding"),
        results.line("self-rewarding-gold", "Self-rewarding*"),
        results.line("meta-rewarding", "Meta-rewarding"),
        results.line("anyprefer", "Anyprefer"),
    ]
    return [
        accuracies("table4", "Table 4: baselines", lines, results.benchmarks, _measured(results)),
        differences("table4-differences", "Anyprefer against each", lines[-1], lines[:-1], results.benchmarks),
        _bars("table4", "Table 4: held-out accuracy", lines, results),
        stated(paper().table("4")),
    ]


def table5(results: Results) -> Parts:
    """Tools and feedback, one iteration each; Table 2's language column is the mean."""
    lines = [
        results.line("no-tools", "No tools, no feedback"),
        results.line("tools", "Tools"),
        results.line("anyprefer", "Tools + feedback"),
    ]
    return [
        accuracies("table5", "Table 5 (and Table 2's mean): tools and feedback", lines, results.benchmarks),
        differences("table5-feedback", "What feedback adds", lines[2], lines[:2], results.benchmarks),
        differences("table5-tools", "What tools add", lines[1], lines[:1], results.benchmarks),
        _bars("table5", "Table 5: tools and feedback", lines, results),
        stated(paper().table("5")),
        stated(paper().table("2")),
    ]


def table6(results: Results) -> Parts:
    """Iterations of Anyprefer (Figure 3 draws them)."""
    lines = results.over_iterations("anyprefer")
    steps = [line.title for line in lines]
    series = {name: [point for line in lines for point in points(line, [name])] for name in results.benchmarks}
    return [
        accuracies("table6", "Table 6: iterations", lines, results.benchmarks, _adopted(results)),
        differences("table6-differences", "The last iteration against each", lines[-1], lines[:-1], results.benchmarks),
        Figure(
            "figure3",
            "Figure 3: held-out accuracy over iterations",
            lambda path: plots.lines(path, steps, series, "held-out accuracy"),
        ),
        stated(paper().table("6")),
    ]


def ablation(results: Results, arms: Sequence[str], iteration: int) -> Parts:
    """Any arms side by side; differences are the first minus each other."""
    lines = [results.line(name, ARMS[name].title, iteration) for name in arms]
    return [
        accuracies("ablation", f"After iteration {iteration}", lines, results.benchmarks, _measured(results)),
        *(
            [differences("ablation-differences", lines[0].title, lines[0], lines[1:], results.benchmarks)]
            if len(lines) > 1 and lines[0].outcomes
            else []
        ),
        _bars("ablation", "Held-out accuracy", lines, results),
    ]


def _adopted(results: Results) -> str:
    counts = [
        f"seed {outcome.seed}: " + ", ".join(f"{it.counts.get('accepted', 0)} pairs" for it in outcome.iterations[1:])
        for outcome in results.outcomes.get("anyprefer", ())
    ]
    return "Pairs of each iteration: " + "; ".join(counts) + "."


def _measured(results: Results) -> str:
    counts = [
        f"{name}: {', '.join(str(len(read_pairs(outcome))) for outcome in some)}"
        for name, some in results.outcomes.items()
    ]
    return f"Greedy answers to held-out tasks. Pairs trained on, by seed: {'; '.join(counts)}."


def read_pairs(outcome: Outcome) -> list[str]:
    """Ids of the first iteration's accepted rows."""
    return [row.id for row in read_rows(outcome.pairs(1)) if row.outcome == "accepted"]


def _bars(name: str, caption: str, lines: Sequence[Line], results: Results) -> Figure:
    series = {line.title: points(line, results.benchmarks) for line in lines if line.outcomes}
    return Figure(
        f"{name}-bars", caption, lambda path: plots.bars(path, results.benchmarks, series, "held-out accuracy")
    )
