"""Preference data that is there already, judged again with tools (`anyprefer rejudge`).

    judged = rejudge("pairs.jsonl", rejudge_settings(tools=("calculator",)), "runs/again")

The game itself is played with a target that gives both answers, shown in an order drawn by seed and id: tools, judge and
reward do what they do in a synthesis. A pair whose answers the judge ranks as the data do is `kept`, one that it ranks the
other way is `flipped`; where the pair does not reach τ, the scores are equal or no tool takes a side it is `undecided`. An
answer that was verified is preferred to one that states nothing to verify (`nodes/pair_builders/verified.py`).

The folder holds the run (`rows/`, resumed by the same call), `verdicts.jsonl` with the reason of each, and `dataset/`, the
kept and flipped pairs exported; those undecided are in its `removed.jsonl`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal

from anyprefer.core.errors import InputError
from anyprefer.core.input_files import Source
from anyprefer.core.records import Round, Row
from anyprefer.core.settings import RunSettings, load_settings
from anyprefer.core.task import Task
from anyprefer.core.values import derive_seed
from anyprefer.graph.players import assemble
from anyprefer.graph.runs.row_files import read_rows
from anyprefer.graph.runs.runner import Synthesis
from anyprefer.training.evaluation.complete import check_ended
from anyprefer.training.evaluation.judge_accuracy import GivenAnswers
from anyprefer.training.export.export import export
from anyprefer.training.export.exported import DataSet, Options, Removed
from anyprefer.training.export.exported_pair import ExportedPair, marked
from anyprefer.training.export.trainer_files import write_lines
from anyprefer.training.pair_data.preference_rows import task_of
from anyprefer.training.pair_data.read import Pair, pairs_in

Verdict = Literal["kept", "flipped", "undecided"]
_OURS = {"prompt", "question", "instruction", "query", "input", "conversations", "conversation", "messages", "history",
         "chosen", "rejected", "system", "image", "images", "id", "reference", GivenAnswers.column}  # fmt: skip
_LONGEST = 2000


@dataclass(frozen=True)
class Given:
    """One pair of the data."""

    task: Task
    chosen: str
    rejected: str


@dataclass(frozen=True)
class Judged:
    """What became of one pair."""

    given: Given
    verdict: Verdict
    why: str
    """The judge's analyses and what tools found; of an undecided pair why it is."""
    score_chosen: float | None
    """The judge's score of the answer that the data prefer."""
    score_rejected: float | None
    reward: float | None


def rejudge(
    source: Source,
    settings: RunSettings,
    folder: str | Path,
    *,
    limit: int | None = None,
    on_row: Callable[[Row], None] = lambda row: None,
    **objects: Any,
) -> list[Judged]:
    """Judges the pairs in order; `objects` (judge, reward, engine, tools) play instead of the settings' ones.

    Raises `InputError` for a row that is no pair, and what stops a run.
    """
    given = given_pairs(source, limit, settings.seed)
    folder = Path(folder)
    run = Synthesis(settings, folder / "rows", assemble(settings, target=GivenAnswers(), **objects))
    run.most_failures = math.inf  # a pair that no tool can judge is undecided
    run.play([one.task for one in given], on_row)
    check_ended(run)
    rows = {row.id: row for row in read_rows(folder / "rows")}
    judged = [_judged(one, rows.get(one.task.id)) for one in given]
    write_lines(folder / "verdicts.jsonl", map(_line, judged))
    return judged


def rejudge_settings(config: str | Path | None = None, **values: Any) -> RunSettings:
    """`load_settings` with one round, in which both answers are judged; the target's prompt is never rewritten."""
    origins = load_settings(config, **values)[1]
    usual: dict[str, Any] = {"max_rounds": 1, "feedback": ("judge", "tools"), "candidates": 2, "pair": "verified"}
    return load_settings(config, **values, **{name: one for name, one in usual.items() if origins[name] == "default"})[
        0
    ]


def counts(judged: Sequence[Judged]) -> Counter[str]:
    """How many pairs there are of each verdict."""
    return Counter(one.verdict for one in judged)


def given_pairs(source: Source, limit: int | None = None, seed: int = 0) -> list[Given]:
    """The first `limit` pairs, all by default, with their images and own columns; equal answers are left out, as others
    that no reader could use. Raises `InputError` where none is left."""
    found: dict[str, Given] = {}
    for pair in pairs_in(source):
        one = _given(pair, seed)
        if one.chosen.strip() != one.rejected.strip():
            if one.task.id in found:
                raise InputError(f"id {one.task.id!r} occurs twice in {source}; give every row an id of its own")
            found[one.task.id] = one
        if limit and len(found) == limit:
            break
    if not found:
        raise InputError(f"{source} holds no pairs of two different answers")
    return list(found.values())


def _given(pair: Pair, seed: int) -> Given:
    row, told = pair.row, pair.told
    name = pair.id or f"row-{pair.number:06d}"
    answers = [told.chosen, told.rejected]
    Random(derive_seed(seed, name)).shuffle(answers)  # the order tells nothing of which the data prefer
    own = {str(column): value for column, value in row.items() if column not in _OURS}
    task = task_of(
        pair.where,
        name,
        told.prompt,
        images=tuple(pair.images),
        reference=row.get("reference"),
        meta={**own, GivenAnswers.column: answers},
    )
    return Given(task, told.chosen, told.rejected)


def _judged(given: Given, row: Row | None) -> Judged:
    if row is None:
        return Judged(given, "undecided", "was not played", None, None, None)
    last = row.rounds[-1] if row.rounds else None
    scores = dict(_scores(last)) if last else {}
    told = (scores.get(given.chosen.strip()), scores.get(given.rejected.strip()))
    if row.outcome != "accepted" or row.pair is None or last is None:
        return Judged(given, "undecided", row.reason, *told, None)
    verdict: Verdict = "kept" if row.pair.chosen.strip() == given.chosen.strip() else "flipped"
    return Judged(given, verdict, _reason(last, given), *told, row.reward)


def _scores(last: Round) -> Iterator[tuple[str, float]]:
    texts = {one.index: one.text.strip() for one in last.candidates}
    yield from ((texts[one.candidate], one.score) for one in last.judgments)


def _reason(last: Round, given: Given) -> str:
    """What the judge said of each answer, and what tools found that took a side."""
    said = []
    for name, text in (("chosen", given.chosen), ("rejected", given.rejected)):
        index = next((one.index for one in last.candidates if one.text.strip() == text.strip()), None)
        analysis = [one.analysis for one in last.judgments if one.candidate == index and one.analysis]
        found = [f"{k.tool}: {k.text}" for k in last.knowledge if k.candidate == index and k.verdict is not None]
        if analysis or found:
            said.append(f"{name} in the data: {' '.join([*analysis, *found])}")
    return " | ".join(" ".join(one.split()) for one in said)[:_LONGEST]


def _line(one: Judged) -> dict[str, Any]:
    return {
        "id": one.given.task.id, "verdict": one.verdict, "why": one.why, "score_chosen": one.score_chosen,
        "score_rejected": one.score_rejected, "reward": one.reward, "prompt": one.given.task.text,
        "chosen": one.given.chosen, "rejected": one.given.rejected,
    }  # fmt: skip


def export_judged(judged: Sequence[Judged], folder: Path, options: Options = Options()) -> DataSet:  # noqa: B008 - frozen
    """Exports the kept and the flipped pairs to `folder/dataset`, with their verdicts and reasons as columns."""
    told = {one.given.task.id: {"verdict": one.verdict, "explanation": one.why} for one in judged}
    undecided = [Removed(_as_given(one), "undecided", one.why) for one in judged if one.verdict == "undecided"]
    return export([folder / "rows"], folder / "dataset", options, further=told, removed=undecided)


def _as_given(one: Judged) -> ExportedPair:
    """A pair as the data have it."""
    task = one.given.task
    prompt = tuple(marked(task.messages(), 0))
    own = {name: value for name, value in task.meta.items() if name != GivenAnswers.column}
    return ExportedPair(
        task.id, "given", 1, prompt, prompt, one.given.chosen, one.given.rejected,
        score_chosen=one.score_chosen, score_rejected=one.score_rejected, own=own,
    )  # fmt: skip
