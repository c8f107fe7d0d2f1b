"""Does the surrogate reward rise with what training brings? (paper §3.6, Figure 5)

    rounds = read_rounds("runs/loop")     # a folder of `iterate`
    correlation(rounds, "sums").words

A point is one iteration: the mean R of its pairs, and the held-out accuracy of the target trained on them. The paper
averages over "the preference data pairs generated"; accepted pairs all have R ≥ τ, which leaves their mean little
room, so `every` takes all pairs that were rated, in every round.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from anyprefer.core.errors import InputError
from anyprefer.core.results import EvalResult
from anyprefer.graph.runs.row_files import read_rows
from anyprefer.training.analysis import plots
from anyprefer.training.analysis.report import Cell, Figure, Note, Table
from anyprefer.training.evaluation.statistics import Correlation, Estimate, correlate, mean_over_seeds


@dataclass(frozen=True)
class PlayedRound:
    """One iteration; number 0 is the target before the first."""

    number: int
    reward: Estimate | None
    """Mean R of its pairs with the t-interval over pairs; None for number 0."""
    results: dict[str, EvalResult]
    """Held-out results after it, by task set."""


def is_loop(folder: str | Path) -> bool:
    """Whether it is a folder of `iterate`."""
    return (Path(folder) / "base" / "evaluation.json").is_file()


def iterations(folder: str | Path) -> list[Path]:
    """The folders of its evaluated iterations, in order."""
    return sorted(
        (file.parent for file in Path(folder).glob("iteration-*/evaluation.json")),
        key=lambda home: int(home.name.rpartition("-")[2]),
    )


def read_rounds(folder: str | Path, every: bool = False) -> list[PlayedRound]:
    """The iterations of a folder of `iterate`. Raises `InputError` for another folder."""
    if not is_loop(folder):
        raise InputError(f"{folder} is no folder of `anyprefer iterate`: it has no base/evaluation.json")
    rounds = [PlayedRound(0, None, _results(Path(folder) / "base"))]
    for number, home in enumerate(iterations(folder), 1):
        rewards = list(_rewards(home / "pairs", every))
        rounds.append(PlayedRound(number, mean_over_seeds(rewards) if rewards else None, _results(home)))
    return rounds


def correlation(rounds: Sequence[PlayedRound], tasks: str) -> Correlation:
    """Of mean R and accuracy over the iterations. Raises `InputError` for fewer than three."""
    points = [(one.reward.mean, one.results[tasks].accuracy) for one in rounds if one.reward and tasks in one.results]
    return correlate([reward for reward, _ in points], [accuracy for _, accuracy in points])


def round_parts(
    rounds: Sequence[PlayedRound], name: str, title: str = "Reward and held-out accuracy"
) -> list[Table | Figure | Note]:
    """Table, figure and what may be said, for a report."""
    sets = list(rounds[0].results)
    steps = ["before", *(f"iteration {one.number}" for one in rounds[1:])]
    rows: list[list[str | Cell]] = [
        [step, _reward(one.reward), *(_accuracy(one, tasks) for tasks in sets)]
        for step, one in zip(steps, rounds, strict=True)
    ]
    rewards = [_point(one.reward) for one in rounds]
    scores = {tasks: [_scored(one, tasks) for one in rounds] for tasks in sets}
    return [
        Table(name, title, ("", "mean R", *sets), rows),
        Figure(
            f"{name}-lines",
            f"{title}: mean R of the pairs, and accuracy after training on them",
            lambda path: plots.reward_and_score(path, steps, rewards, scores),
        ),
        Note("\n\n".join(f"R and accuracy on {tasks}: {_words(rounds, tasks)}." for tasks in sets)),
    ]


def _words(rounds: Sequence[PlayedRound], tasks: str) -> str:
    try:
        return correlation(rounds, tasks).words
    except InputError:
        return f"{len(rounds) - 1} iterations are too few for a correlation, two always lie on a line"


def _rewards(run: Path, every: bool) -> Iterator[float]:
    for row in read_rows(run):
        if every:
            yield from (played.reward.score for played in row.rounds if played.reward)
        elif row.reward is not None:
            yield row.reward


def _results(home: Path) -> dict[str, EvalResult]:
    saved = json.loads((home / "evaluation.json").read_text(encoding="utf-8"))
    return {name: EvalResult.model_validate(result) for name, result in saved.items()}


def _reward(found: Estimate | None) -> Cell:
    return Cell(found.mean, found.n, low=found.low, high=found.high) if found else Cell(None, text="no pairs")


def _accuracy(played: PlayedRound, tasks: str) -> Cell:
    result = played.results[tasks]
    low, high = result.interval
    return Cell(result.accuracy, result.n, low=low, high=high, form=".1%")


def _point(found: Estimate | None) -> plots.Point | None:
    return plots.Point(found.mean, found.low, found.high) if found and found.n > 1 else None


def _scored(played: PlayedRound, tasks: str) -> plots.Point:
    return plots.Point(played.results[tasks].accuracy, *played.results[tasks].interval)
