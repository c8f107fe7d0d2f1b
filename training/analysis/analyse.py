"""Diversity and quality of run folders and pairs files, side by side, as a report.

    analyse(["runs/math"], against=["harmless_base_test.jsonl"], out=Path("runs/math/analysis"))

Diversity is measured on the same number of samples of every data set (`diversity.py`). Quality is rated from the
tasks' references where there are some, by people where they marked pairs (`marks.py`), and by a judge model when one is
given (`quality.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel

from anyprefer.core.background_loop import run_blocking
from anyprefer.core.errors import InputError
from anyprefer.core.results import wilson
from anyprefer.core.settings import RunSettings
from anyprefer.models import model_name
from anyprefer.models.local.embed import Encoder, load_encoder
from anyprefer.training.analysis import plots
from anyprefer.training.analysis.diversity import SAMPLES, TOP, Spread, View, compare
from anyprefer.training.analysis.paper_results import paper
from anyprefer.training.analysis.quality import (
    DIFFICULTIES,
    SATISFACTIONS,
    Rating,
    by_model,
    by_people,
    by_reference,
    by_reward,
    rate_all,
    shares,
)
from anyprefer.training.analysis.report import Cell, Figure, Note, Report, Table, write_report
from anyprefer.training.analysis.reward_over_iterations import is_loop, iterations, read_rounds, round_parts
from anyprefer.training.evaluation.asking import Asking, calls_of
from anyprefer.training.evaluation.statistics import mean_over_seeds
from anyprefer.training.pair_data.any_data_set import Sample, draw, read_samples

RATINGS = "ratings.db"
"""The judge's answers, beside the report: the same analysis asks only for what is missing."""
RATED, SCORED = 800, 200
"""Pairs of a data set that are rated, and that a model scores 1 to 10 (§3.7)."""

Data = Mapping[str, Sequence[Sample]]
Ratings = Mapping[str, Sequence[Rating]]


def analyse(
    runs: Sequence[str | Path],
    against: Sequence[str | Path] = (),
    *,
    out: Path,
    samples: int = SAMPLES,
    components: int = TOP,
    view: View = "pair",
    seed: int = 0,
    encoder: str | Encoder = "minilm",
    judge: BaseChatModel | None = None,
    settings: RunSettings | None = None,
) -> Path:
    """Reads all data sets, measures them and writes the report; returns the path of its REPORT.md.

    A folder of `iterate` among `runs` is its iterations, each a data set, and how R goes with accuracy (`reward_over_iterations.py`).
    `judge` rates what has no references and scores pairs; `settings` are its, its budget among them. Its answers are kept
    in `RATINGS` of `out`. Raises `InputError` for data that cannot be read or is too little, `ModelSetupError` for an
    encoder or judge that cannot be used, `RunStopped` when the judge's server is gone or its budget spent.
    """
    loops = [run for run in runs if is_loop(run)]
    played = [home for run in runs for home in ([one / "pairs" for one in iterations(run)] if is_loop(run) else [run])]
    sources = named([*played, *against])
    data = {name: read_samples(source) for name, source in sources.items()}
    encode = load_encoder(encoder) if isinstance(encoder, str) else encoder
    spreads = compare(data, encode, samples, seed, components, view)
    report = Report(f"Analysis of {', '.join(data)}", f"Samples are drawn with seed {seed}, without replacement.")
    report.add(*_diversity(spreads, encoder if isinstance(encoder, str) else "given", view, seed))
    report.add(*_levels({name: _marked(some, seed) for name, some in data.items()}, "references", "marks", seed))
    people = {name: found for name, source in sources.items() if (found := by_people(Path(source)))}
    report.add(*_levels(people, "people", "people", seed))
    if judge is not None:
        rated, scored = run_blocking(_judged(data, judge, settings or RunSettings(), seed, out / RATINGS))
        report.add(*_levels(rated, model_name(judge), "judged", seed), *_scores(scored, model_name(judge), seed))
    for number, loop in enumerate(loops, 1):
        report.add(*round_parts(read_rounds(loop), f"rounds-{number}"))
    return write_report(report, out)


def named(sources: Sequence[str | Path]) -> dict[str, str | Path]:
    """Sources by short names: the folder's or file's own, with its parent's where that is not enough or says nothing.

    Raises `InputError` for one that is given twice.
    """
    for depth in (2, 3) if any(Path(source).stem == "pairs" for source in sources) else (1, 2, 3):
        names = {"/".join(Path(source).with_suffix("").parts[-depth:]): source for source in sources}
        if len(names) == len(sources):
            return names
    raise InputError(f"sources {', '.join(map(str, sources))} cannot be told apart by name; give each once")


def _marked(samples: Sequence[Sample], seed: int) -> list[Rating]:
    return [by_reference(sample) for sample in draw([s for s in samples if s.task.reference is not None], RATED, seed)]


async def _judged(
    data: Data, judge: BaseChatModel, settings: RunSettings, seed: int, file: Path
) -> tuple[dict[str, list[Rating]], dict[str, list[Rating]]]:
    drawn = {name: draw(some, SCORED, seed) for name, some in data.items()}
    asking = Asking(judge, file, calls_of(settings))
    try:
        levels, scores = by_model(judge, settings), by_reward(judge, settings)
        rated = {name: await rate_all(some, levels, asking, f"levels {name}") for name, some in drawn.items()}
        return rated, {name: await rate_all(some, scores, asking, f"scores {name}") for name, some in drawn.items()}
    finally:
        asking.close()


def _diversity(spreads: Sequence[Spread], encoder: str, view: View, seed: int) -> list[Table | Figure]:
    top, stated = spreads[0].top, paper().table("16")
    rows: list[list[str | Cell]] = [
        [
            s.name,
            Cell(s.condition, s.n, (seed,), text="" if s.condition else "too few samples"),
            Cell(s.condition_top, s.n, (seed,)),
        ]
        for s in spreads
    ]
    rows += [
        [f"{name} (paper)", Cell(cells["condition number"], SAMPLES), Cell(None, text="not stated")]
        for name, cells in stated.rows.items()
    ]
    note = (
        f"Condition number of the covariance of embeddings (encoder {encoder}; text: {view}); smaller is more evenly "
        "spread. Rows of one encoder and one n compare with each other; the paper's rows are of CLIP and other data, so "
        f"they do not. {stated.source}."
    )
    columns = ("data set", "condition number", f"over {top} components")
    clouds = {s.name: s.points for s in spreads}
    return [
        Table("diversity", "Diversity", columns, rows, note),
        Figure("tsne", f"t-SNE of {spreads[0].n} samples of each data set", lambda path: plots.scatter(path, clouds)),
    ]


def _levels(ratings: Ratings, who: str, name: str, seed: int) -> list[Table | Figure | Note]:
    """Satisfaction and difficulty of every data set that has ratings."""
    there = {key: some for key, some in ratings.items() if any(r.satisfaction or r.difficulty for r in some)}
    missing = [key for key in ratings if key not in there]
    note = Note(f"Not rated by {who}: {', '.join(missing)}{_first_error(ratings, missing)}.") if missing else None
    questions: list[tuple[str, Sequence[str], Callable[[Rating], str | None]]] = [
        ("satisfaction", SATISFACTIONS, lambda rating: rating.satisfaction),
        ("difficulty", DIFFICULTIES, lambda rating: rating.difficulty),
    ]
    parts: list[Table | Figure | Note] = []
    panels: dict[str, dict[str, dict[str, float]]] = {}
    for title, known, of in questions:
        counts = {key: shares(map(of, some), known) for key, some in there.items()}
        counts = {key: levels for key, levels in counts.items() if levels[known[0]][1]}
        if counts:
            rows: list[list[str | Cell]] = [
                [key, *(_share(*levels[level], seed) for level in known)] for key, levels in counts.items()
            ]
            heading = f"{title.capitalize()} by {who}"
            parts.append(Table(f"{name}-{title}", heading, ("data set", *known), rows, _unrated(there)))
            panels[title] = {key: {level: k / n for level, (k, n) in levels.items()} for key, levels in counts.items()}
    if panels:
        parts.append(Figure(name, f"Quality by {who}", lambda path: plots.levels(path, panels)))
    return [*parts, *([note] if note else [])]


def _scores(ratings: Ratings, who: str, seed: int) -> list[Table | Figure]:
    """Mean scores 1..10 of every data set (Figure 7b), with the t-interval over pairs."""
    rows: list[list[str | Cell]] = []
    points: list[plots.Point | None] = []
    for name, some in ratings.items():
        scores = [rating.score for rating in some if rating.score is not None]
        if len(scores) < 2:
            rows.append([name, Cell(None, text=f"not scored{_first_error(ratings, [name])}")])
            points.append(None)
            continue
        mean = mean_over_seeds(scores)
        rows.append([name, Cell(mean.mean, mean.n, (seed,), low=mean.low, high=mean.high)])
        points.append(plots.Point(mean.mean, mean.low, mean.high))
    draw_it: Callable[[Path], Any] = lambda path: plots.bars(  # noqa: E731
        path, list(ratings), {"score": points}, "mean score (1 to 10)", share=False
    )
    return [
        Table("scores", f"Scores by {who}", ("data set", "mean score"), rows, _unrated(ratings)),
        *([Figure("scores-bars", f"Mean score of pairs by {who}", draw_it)] if any(points) else []),
    ]


def _share(count: int, n: int, seed: int) -> Cell:
    low, high = wilson(count, n)
    return Cell(count / n, n, (seed,), low=low, high=high, form=".1%")


def _unrated(ratings: Ratings) -> str:
    failed = {name: sum(bool(rating.error) for rating in some) for name, some in ratings.items()}
    said = [f"{count} of {name}{_first_error(ratings, [name])}" for name, count in failed.items() if count]
    return f"Without a rating, and in no number: {'; '.join(said)}." if said else ""


def _first_error(ratings: Ratings, names: Sequence[str]) -> str:
    first = next((r.error for name in names for r in ratings[name] if r.error), "")
    return f" ({first[:200]})" if first else ""
