"""The scores of a task, from its row onto its spans: of each candidate and pair with its analysis, and of the task."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from anyprefer.core.records import Round, Row
from anyprefer.graph.tracing.shown import GLANCE, clipped
from anyprefer.graph.tracing.tree import Score, Span

WHY = 2_000
"""Characters of an analysis beside a score: the judge's own span has it whole."""


def add_scores(row: Row, spans: Sequence[Span], models: Collection[str]) -> None:
    """Puts the row's scores on the task's spans; `models` are the roles that a model plays, the others are rules."""
    for played in row.rounds:
        place = {span.name: span for span in spans if span.facts.get("round") == played.number and span.kind != "model"}
        if whole := place.get(f"round {played.number}"):
            place.get("judge", whole).scores += _of_candidates(played, "judge" in models)
            place.get("reward", whole).scores += _of_pair(played, "reward" in models)
    spans[0].scores += _of_task(row, "reward" in models)


def _of_candidates(played: Round, by_model: bool) -> list[Score]:
    """One judge writes one text on all: it is told once."""
    told: set[str] = set()
    scores = []
    for one in played.judgments:
        why = "" if len(one.analysis) > GLANCE and one.analysis in told else one.analysis
        told.add(one.analysis)
        about = {"round": played.number, "answer": one.candidate + 1}
        said = f"answer {one.candidate + 1}: {clipped(why, WHY)}" if why else f"answer {one.candidate + 1}"
        scores.append(Score("judge_score", one.score, said, by_model, about))
    return scores


def _of_pair(played: Round, by_model: bool) -> list[Score]:
    about, pair = {"round": played.number}, played.pair
    if pair is None:
        return []
    scores = []
    if pair.margin is not None:
        numbers = [
            ("the reference" if one is None else f"answer {one + 1}")
            for one in (pair.chosen_index, pair.rejected_index)
        ]
        scores.append(Score("margin", pair.margin, " over ".join(numbers), False, about))
    if played.reward:
        scores.append(Score("pair_reward", played.reward.score, clipped(played.reward.analysis, WHY), by_model, about))
    return scores


def _of_task(row: Row, by_model: bool) -> list[Score]:
    scores = [Score("outcome", row.outcome, clipped(row.reason, WHY))]
    if row.rounds and (rated := row.rounds[-1].reward):
        scores.append(Score("reward", rated.score, clipped(rated.analysis, GLANCE), by_model))
    return scores
