"""Figures 4, 5, 6 and 7 and Table 16: the judge, the reward, and the pairs themselves."""

from __future__ import annotations

from collections.abc import Sequence

from anyprefer.core.results import wilson
from anyprefer.core.task import Task
from anyprefer.graph.runs.row_files import read_rows
from anyprefer.models.local.embed import load_encoder
from anyprefer.training.analysis import plots
from anyprefer.training.analysis.diversity import SAMPLES, compare
from anyprefer.training.analysis.paper_results import paper
from anyprefer.training.analysis.quality import DIFFICULTIES, SATISFACTIONS, Rating, by_marks, shares
from anyprefer.training.analysis.report import Cell, Figure, Note, Table
from anyprefer.training.analysis.reward_over_iterations import read_rounds, round_parts
from anyprefer.training.evaluation.families import FAMILIES
from anyprefer.training.evaluation.family import Family
from anyprefer.training.evaluation.judge_accuracy import pair_accuracy
from anyprefer.training.experiments.lab import Outcome
from anyprefer.training.experiments.outcomes import Parts, Results, stated
from anyprefer.training.pair_data.any_data_set import Sample, draw

RATED = 800
"""Pairs rated for Figure 7 (§3.7)."""


def figure4(results: Results) -> Parts:
    """How often the judge puts a right candidate above a wrong one, on the candidates of the arms' own tasks."""
    bare, tools, last = (
        {
            (outcome.seed, task): scores
            for outcome in results.outcomes.get(name, ())
            for task, scores in _judged(outcome, number).items()
        }
        for name, number in (("self-rewarding", 0), ("anyprefer", 0), ("anyprefer", -1))
    )
    both = bare.keys() & tools.keys()
    judges = {
        "No tools: the target as judge": {key: bare[key] for key in both},
        "Tools": {key: tools[key] for key in both},
        "Tools, all tasks": tools,
        "Tools + feedback, all tasks": last,
    }
    rows: list[list[str | Cell]] = []
    series: dict[str, list[plots.Point | None]] = {}
    for title, judged in judges.items():
        keys = sorted(judged)
        found = pair_accuracy([judged[key] for key in keys], 0, [played for played, _ in keys])
        seeds = tuple(sorted({seed for seed, _ in judged}))
        cell = Cell(None, text="nothing to compare")
        if found["pairs"]:
            low, high = found["interval"]
            cell = Cell(found["accuracy"], found["n"], seeds, low=low, high=high, form=".1%")
            series[title] = [plots.Point(found["accuracy"], low, high)]
        rows.append([title, cell, str(found["pairs"]), str(found["ties"])])
    note = (
        "Tasks whose candidates are right and wrong ones, marked by the families' rules, which the judge never sees. "
        "The first two rows are of the same candidates of round 1, of the tasks both arms played; the last is of each "
        "task's last round. Ties count half; chance is 50%. "
    ) + " ".join(f"The paper: {fact.what}, {fact.value} ({fact.source})." for fact in paper().figure(4))
    return [
        Table("figure4", "Figure 4: accuracy of the judge", ("judge", "pairs in the right order", "pairs", "ties"), rows, note),
        Figure("figure4-bars", "Figure 4: accuracy of the judge", lambda path: plots.bars(path, ["all families"], series, "pairs in the right order")),
    ]  # fmt: skip


def _judged(outcome: Outcome, number: int) -> dict[str, list[tuple[float, bool]]]:
    """By task, (score, right) of the candidates of round `number` (-1: the last), where there are both kinds."""
    found = {}
    for row in read_rows(outcome.pairs(1)):
        if row.task is None or not row.rounds:
            continue
        played, is_correct = row.rounds[number], _family(row.task).is_correct
        scores = {judgment.candidate: judgment.score for judgment in played.judgments}
        marked = [(scores[c.index], is_correct(row.task, c.text)) for c in played.candidates if c.index in scores]
        if len({right for _, right in marked}) == 2:
            found[row.id] = marked
    return found


def figure5(results: Results) -> Parts:
    """The mean surrogate reward of an iteration's pairs, rated ones of every round, beside the accuracy of the target
    trained on the accepted ones; a seed each."""
    return [
        part
        for outcome in results.outcomes.get("anyprefer", ())
        for part in round_parts(
            read_rounds(outcome.folder, every=True), f"figure5-seed-{outcome.seed}", f"Figure 5, seed {outcome.seed}"
        )
    ]


def table16(results: Results) -> Parts:
    """Condition numbers (Table 16) and t-SNE (Figure 6) of Anyprefer's pairs and others."""
    data: dict[str, Sequence[Sample]] = {"Anyprefer": results.samples("anyprefer"), **results.against}
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
        stated(paper().table("16")),
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
            [name, *(_share(*levels[level]) for level in known)] for name, levels in counts.items()
        ]
        tables.append(Table(f"figure7-{title}", f"Figure 7: {title} of the pairs", ("arm", *known), rows))
        panels[title] = {name: {level: k / n for level, (k, n) in levels.items() if n} for name, levels in counts.items()}  # fmt: skip
    return [*tables, Figure("figure7", "Figure 7: quality of pairs by marks", lambda path: plots.levels(path, panels))]


def _share(count: int, n: int) -> Cell:
    low, high = wilson(count, n)
    return Cell(count / n if n else None, n, low=low, high=high, form=".1%")


def _rated(sample: Sample) -> Rating:
    return by_marks(sample, _family(sample.task).is_correct)


def _family(task: Task) -> Family:
    return FAMILIES[task.id.split("-")[0]]
