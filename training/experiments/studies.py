"""The paper's tables and figures for natural language (and the text parts of the others), made from a lab.

    parts = STUDIES["table4"].make(Results(lab, outcomes, failures))

A study names the arms it needs and how many iterations of each; what one study has played another reuses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from anyprefer.graph.folder import read_rows
from anyprefer.training.analysis import plots
from anyprefer.training.analysis.diversity import SAMPLES, compare
from anyprefer.training.analysis.embed import load_encoder
from anyprefer.training.analysis.paper import PaperTable, paper
from anyprefer.training.analysis.quality import DIFFICULTIES, SATISFACTIONS, Rating, by_marks, shares
from anyprefer.training.analysis.report import Cell, Figure, Note, Table
from anyprefer.training.analysis.samples import Sample, draw, read_samples
from anyprefer.training.analysis.statistics import correlate, mean_over_seeds
from anyprefer.training.evaluate import wilson
from anyprefer.training.experiments.arms import ARMS
from anyprefer.training.experiments.lab import Lab, Outcome
from anyprefer.training.experiments.tables import Line, accuracies, differences, points
from anyprefer.training.families import FAMILIES

Parts = Sequence[Table | Figure | Note]
ALL = 0
"""As many iterations as the scale has (§3.4: three)."""
RATED = 800
"""Pairs rated for Figure 7."""


@dataclass(frozen=True)
class Results:
    """What studies are made from."""

    lab: Lab
    outcomes: Mapping[str, Sequence[Outcome]]
    """By arm, one a seed."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """By arm, why it has no outcome."""
    against: Mapping[str, Path] = field(default_factory=dict)
    """Other pairs by name, for Table 16 and Figure 6."""

    @property
    def benchmarks(self) -> Sequence[str]:
        """What every arm was measured on."""
        return self.lab.app.measured(self.lab.scale)

    def line(self, name: str, title: str, iteration: int = 1) -> Line:
        """An arm after an iteration, as a table's line."""
        return Line(title, self.outcomes.get(name, ()), iteration, self.failures.get(name, ""))

    def before(self, title: str = "Before") -> Line:
        """The target before training, with the seeds of all arms."""
        every = {outcome.seed: outcome for some in self.outcomes.values() for outcome in some}
        return Line(title, [every[seed] for seed in sorted(every)], 0)

    def samples(self, name: str, iteration: int | None = None) -> list[Sample]:
        """The arm's pairs, of one iteration or all."""
        return [
            sample
            for outcome in self.outcomes.get(name, ())
            for number in ([iteration] if iteration else range(1, len(outcome.iterations)))
            for sample in read_samples(outcome.pairs(number))
        ]


@dataclass(frozen=True)
class Study:
    """One table or figure."""

    title: str
    make: Callable[[Results], Parts]
    arms: Mapping[str, int]
    """Arms it needs, with how many iterations; `ALL`: the scale's."""
    one_seed: Sequence[str] = ()
    """Arms that are played with the first seed only."""


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
        _stated(paper().table("4")),
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
        _stated(paper().table("5")),
        _stated(paper().table("2")),
    ]


def table6(results: Results) -> Parts:
    """Iterations of Anyprefer (Figure 3 draws them)."""
    lines = _iterations(results)
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
        _stated(paper().table("6")),
    ]


def figure5(results: Results) -> Parts:
    """The mean surrogate reward of each iteration's pairs beside the accuracy of the target trained on them."""
    lines = _iterations(results)[1:]
    rewards = [
        mean_over_seeds([s.reward for s in results.samples("anyprefer", line.iteration) if s.reward is not None])
        for line in lines
    ]
    means = [sum(p.value for p in points(line, results.benchmarks) if p) / len(results.benchmarks) for line in lines]
    rows: list[list[str | Cell]] = [
        [line.title, Cell(reward.mean, reward.n, line.seeds, reward.low, reward.high), Cell(mean, form=".1%")]
        for line, reward, mean in zip(lines, rewards, means, strict=True)
    ]
    said = correlate([reward.mean for reward in rewards], means).words if len(lines) >= 3 else "fewer than 3 iterations"
    steps, bands = [line.title for line in lines], [plots.Point(r.mean, r.low, r.high) for r in rewards]
    scores = {name: [p for line in lines for p in points(line, [name])] for name in results.benchmarks}
    return [
        Table("figure5", "Figure 5: surrogate reward and accuracy", ("iteration", "mean R of its pairs", "mean accuracy"), rows, f"Correlation: {said}."),
        Figure("figure5", "Figure 5", lambda path: plots.reward_and_score(path, steps, bands, scores)),
    ]  # fmt: skip


def table16(results: Results) -> Parts:
    """Condition numbers (Table 16) and t-SNE (Figure 6) of Anyprefer's pairs and others."""
    data = {"Anyprefer": results.samples("anyprefer")}
    data |= {name: read_samples(path) for name, path in results.against.items()}
    if len(data) == 1:
        return [Note("Table 16 and Figure 6 need other pairs to compare with: give --against FILE.")]
    seed = results.outcomes["anyprefer"][0].seed
    spreads = compare(data, load_encoder(), SAMPLES, seed)
    rows: list[list[str | Cell]] = [
        [s.name, Cell(s.condition, s.n, (seed,), text="" if s.condition else "too few samples"), Cell(s.condition_top, s.n, (seed,))]
        for s in spreads
    ]  # fmt: skip
    clouds = {s.name: s.points for s in spreads}
    return [
        Table("table16", "Table 16: diversity", ("data set", "condition number", f"over {spreads[0].top} components"), rows, "Covariance of all-MiniLM-L6-v2 embeddings; smaller is more evenly spread."),
        Figure("figure6", "Figure 6: t-SNE of pairs", lambda path: plots.scatter(path, clouds)),
        _stated(paper().table("16")),
    ]  # fmt: skip


def figure7(results: Results) -> Parts:
    """Difficulty and satisfaction of the pairs by marks (Appendix D.3), arm by arm."""
    rated = {
        name: [_rated(sample) for sample in draw(results.samples(name, 1), RATED, 0)]
        for name in ("self-rewarding", "anyprefer")
        if results.outcomes.get(name)
    }
    panels: dict[str, dict[str, dict[str, float]]] = {}
    tables = []
    for title, known, of in (
        ("satisfaction", SATISFACTIONS, lambda rating: rating.satisfaction),
        ("difficulty", DIFFICULTIES, lambda rating: rating.difficulty),
    ):
        counts = {name: shares(map(of, some), known) for name, some in rated.items()}
        rows: list[list[str | Cell]] = [
            [name, *(Cell(k / n if n else None, n, (), *wilson(k, n), form=".1%") for k, n in (levels[level] for level in known))]
            for name, levels in counts.items()
        ]  # fmt: skip
        tables.append(Table(f"figure7-{title}", f"Figure 7: {title} of the pairs", ("arm", *known), rows))
        panels[title] = {name: {level: k / n for level, (k, n) in levels.items() if n} for name, levels in counts.items()}  # fmt: skip
    return [*tables, Figure("figure7", "Figure 7: quality of pairs by marks", lambda path: plots.levels(path, panels))]


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
        _bars("ablation", "Held-out accuracy", [line for line in lines if line.outcomes], results),
    ]


def _rated(sample: Sample) -> Rating:
    family = FAMILIES[sample.task.id.split("-")[0]]
    return by_marks(sample, family.is_correct)


def _iterations(results: Results) -> list[Line]:
    outcomes = results.outcomes.get("anyprefer", ())
    played = max((len(outcome.iterations) for outcome in outcomes), default=1)
    return [
        Line(
            f"iteration {number}" if number else "before",
            [outcome for outcome in outcomes if len(outcome.iterations) > number],
            number,
            results.failures.get("anyprefer", ""),
        )
        for number in range(played)
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
    series = {line.title: points(line, results.benchmarks) for line in lines}
    return Figure(
        f"{name}-bars", caption, lambda path: plots.bars(path, results.benchmarks, series, "held-out accuracy")
    )


def _stated(table: PaperTable) -> Table:
    """The paper's own table, to be read beside ours: other models, other benchmarks."""
    columns = list(dict.fromkeys(column for cells in table.rows.values() for column in cells))
    rows: list[list[str | Cell]] = [
        [row, *(Cell(cells.get(column), text="" if column in cells else "not stated") for column in columns)]
        for row, cells in table.rows.items()
    ]
    name = "paper-" + table.source.split(",")[0].lower().replace(" ", "")
    return Table(name, f"The paper's {table.source}", ("row", *columns), rows, table.title)


STUDIES = {
    "table4": Study(
        "Baselines (Table 4)",
        table4,
        {"self-rewarding": 1, "self-rewarding-gold": 1, "meta-rewarding": 1, "anyprefer": 1},
        one_seed=("self-rewarding-gold", "meta-rewarding"),
    ),
    "table5": Study("Tools and feedback (Tables 2 and 5)", table5, {"no-tools": 1, "tools": 1, "anyprefer": 1}),
    "table6": Study("Iterations (Table 6, Figure 3)", table6, {"anyprefer": ALL}),
    "figure5": Study("Reward and accuracy (Figure 5)", figure5, {"anyprefer": ALL}),
    "table16": Study("Diversity (Table 16, Figure 6)", table16, {"anyprefer": 1}),
    "figure7": Study("Quality (Figure 7)", figure7, {"self-rewarding": 1, "anyprefer": 1}),
}
"""By the name that `anyprefer reproduce` takes."""
