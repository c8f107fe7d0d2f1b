"""Tables 2, 4, 5 and 6, Figure 3 and any ablation: held-out accuracy of arms and iterations; and their perplexity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anyprefer.graph.runs.row_files import read_rows
from anyprefer.training.analysis import plots
from anyprefer.training.analysis.paper_results import paper
from anyprefer.training.analysis.report import Cell, Figure, Table
from anyprefer.training.applications.arms import ARMS
from anyprefer.training.evaluation.fluency import Fluency
from anyprefer.training.evaluation.statistics import exp_of_ratio
from anyprefer.training.experiments.accuracy_tables import Line, accuracies, differences, points
from anyprefer.training.experiments.lab import Outcome
from anyprefer.training.experiments.outcomes import Parts, Results, stated


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
        results.line("every-task", "Tools + feedback, pairs of every task"),
    ]
    return [
        accuracies(
            "table5",
            "Table 5 (and Table 2's mean): tools and feedback",
            lines,
            results.benchmarks,
            _pairs_a_task(results),
        ),
        differences("table5-feedback", "What feedback adds", lines[2], lines[:2], results.benchmarks),
        differences(
            "table5-every-task", "What feedback adds on the same tasks", lines[3], lines[1:3], results.benchmarks
        ),
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


def perplexities(results: Results) -> Parts:
    """Does training leave other text as likely as it was? Each arm after each iteration."""
    before = results.before("Before").outcomes[:1]
    measured = [("Before", before, 0)] + [
        (f"{ARMS[name].title}, iteration {line.iteration}", line.outcomes, line.iteration)
        for name in results.outcomes
        for line in results.over_iterations(name)[1:]
    ]
    first = _likelihoods(results, before, 0)
    rows: list[list[str | Cell]] = []
    for title, outcomes, iteration in measured:
        found = _likelihoods(results, outcomes, iteration)
        seeds = tuple(sorted(found)) if iteration else ()
        rows.append([title, _perplexity(found, seeds), _perplexity(found, seeds, first)])
    note = (
        "exp of the mean nats a token of the scale's fluency texts, as answers in the chat template; intervals are over "
        "seeds and texts. Lower is better; above 1 in the last column, training cost fluency. The paper does not "
        "measure this."
    )
    return [Table("fluency", "Held-out perplexity", ("arm", "perplexity", "times before"), rows, note)]


def _likelihoods(results: Results, outcomes: Sequence[Outcome], iteration: int) -> dict[int, Fluency]:
    """By seed, where it was measured."""
    found = {outcome.seed: results.lab.fluency(outcome, iteration) for outcome in outcomes}
    return {seed: one for seed, one in found.items() if one}


def _perplexity(
    found: Mapping[int, Fluency], seeds: tuple[int, ...], before: Mapping[int, Fluency] | None = None
) -> Cell:
    """The perplexity, or how many times that before it is: then what counts is the nats that a text gained."""
    if not found or before == {}:
        return Cell(None)
    tokens = next(iter(found.values())).tokens
    base = next(iter(before.values())).nats if before else [0.0] * len(tokens)
    gained = [[nats - less for nats, less in zip(one.nats, base, strict=True)] for one in found.values()]
    ratio = exp_of_ratio(gained, tokens)
    return Cell(ratio.mean, ratio.n, seeds, low=ratio.low, high=ratio.high, form=".3f" if before else ".2f")


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


def _pairs_a_task(results: Results) -> str:
    said = [
        f"{ARMS[name].title}: " + ", ".join(_yield(outcome) for outcome in results.outcomes[name])
        for name in ("no-tools", "tools", "anyprefer", "every-task")
        if results.outcomes.get(name)
    ]
    return f"Accepted pairs of tasks played, by seed: {'; '.join(said)}."


def _yield(outcome: Outcome) -> str:
    counts = outcome.iterations[1].counts
    return f"{counts['accepted']} of {sum(counts.values())}"


def read_pairs(outcome: Outcome) -> list[str]:
    """Ids of the first iteration's accepted rows."""
    return [row.id for row in read_rows(outcome.pairs(1)) if row.outcome == "accepted"]


def _bars(name: str, caption: str, lines: Sequence[Line], results: Results) -> Figure:
    series = {line.title: points(line, results.benchmarks) for line in lines if line.outcomes}
    return Figure(
        f"{name}-bars", caption, lambda path: plots.bars(path, results.benchmarks, series, "held-out accuracy")
    )
