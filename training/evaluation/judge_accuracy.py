"""How often a judge is right, against answers of which it is known (§3.5, Figure 4; with and without tools).

    gold = read_gold("test.jsonl")
    result = judge_accuracy(gold, eval_settings(judge="openai:gpt-4o", tools=("calculator",)), "runs/judge")

The game itself is played, with a target that gives the known answers and a reward that takes every pair,
for one round: the judge picks tools, weighs their findings and scores as it does in a synthesis. With a
reward model and more rounds (feedback on) its prompts are rewritten in between, and the last round counts.

The folder holds the run (`rows/`, resumed by the same call), the same with the answers reversed
(`reversed/`, listwise judges), and `verdicts.jsonl`: what led to every score.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from anyprefer.core.errors import InputError
from anyprefer.core.records import Round, Row
from anyprefer.core.roles import Judge
from anyprefer.core.settings import RunSettings, load_settings
from anyprefer.core.task import Task
from anyprefer.graph.players import assemble
from anyprefer.graph.runs.row_files import read_rows
from anyprefer.graph.runs.runner import Synthesis
from anyprefer.training.evaluation.complete import check_ended
from anyprefer.training.evaluation.gold import Gold
from anyprefer.training.evaluation.statistics import share

MOST = 64
"""Answers of one task."""
EVAL: dict[str, Any] = {
    "reward": "accept", "max_rounds": 1, "feedback": ("judge", "tools"), "candidates": MOST,
}  # fmt: skip
"""What an evaluation sets where nothing else is said: one round, so no feedback; a task a judge cannot score is counted."""


class JudgeAccuracy(BaseModel):
    """What a judge made of known answers."""

    model_config = ConfigDict(frozen=True)

    judge: str
    judge_form: str
    """Empty for a judge that is no chat model."""
    tools: tuple[str, ...]
    n: int = Field(ge=0)
    """Tasks it scored, each with right and wrong answers."""
    pairs: int = Field(ge=0)
    """Every right answer beside every wrong one of its task."""
    ties: int = Field(ge=0)
    """Pairs with equal scores; each counts half."""
    accuracy: float | None
    """Share of pairs with the right answer above the wrong one, 0..1, chance 0.5; None where no task was scored."""
    interval: tuple[float, float]
    """95% of the accuracy over tasks, since a task's pairs stand or fall together."""
    top1: float | None
    """Share of tasks whose best-scored answer is right, ties shared, 0..1; None where no task was scored."""
    top1_chance: float | None
    """The same for scores at random: the mean share of right answers."""
    consistency: float | None = None
    """Share of tasks with the same best answers when they are shown in reverse; None for judges that see one at a time."""
    unscored: int = Field(default=0, ge=0)
    """Tasks the judge could not score; in none of the figures above."""
    first_error: str = ""
    no_contrast: int = Field(default=0, ge=0)
    """Tasks whose answers are all right or all wrong, which are not played."""
    seconds: float = Field(ge=0)
    """What this call took; rows that were there before cost nothing."""
    seed: int


class GivenAnswers:
    """A target that answers what is known already (`task.meta["candidates"]`)."""

    name = "given answers"
    column = "candidates"
    """Of the task's `meta`."""

    def __init__(self, reverse: bool = False) -> None:
        self.reverse = reverse
        self.name = f"{self.name}{', reversed' if reverse else ''}"

    async def sample(self, task: Task, prompt: str, seeds: Sequence[int]) -> list[Any]:
        """The task's answers; empty ones, which the game leaves out, for further seeds."""
        given = task.meta[self.column][:: -1 if self.reverse else 1]
        return [*given, *[""] * (len(seeds) - len(given))][: len(seeds)]


def eval_settings(config: str | Path | None = None, **values: Any) -> RunSettings:
    """`load_settings` with an evaluation's defaults (`EVAL`)."""
    origins = load_settings(config, **values)[1]
    unsaid = {name: value for name, value in EVAL.items() if origins[name] == "default"}
    return load_settings(config, **values, **unsaid)[0]


def judge_accuracy(
    gold: Sequence[Gold],
    settings: RunSettings,
    folder: str | Path,
    *,
    both_orders: bool = True,
    on_row: Callable[[Row], None] = lambda row: None,
    **objects: Any,
) -> JudgeAccuracy:
    """Plays the tasks and counts. `both_orders` plays a judge that compares answers a second time with the answers reversed;
    `objects` (judge, reward, engine, tools) play instead of the settings' ones, see `assemble`.

    A task the judge cannot score is `unscored`. Raises what stops a run, `KeyboardInterrupt` after a Ctrl-C once what was
    in flight is kept, and `InputError` for a task of over
    `MOST` answers or when no task has right and wrong ones.
    """
    begun = time.perf_counter()
    telling = [one for one in gold if one.tells]
    most = max((len(one.right) for one in telling), default=0)
    if not 2 <= most <= MOST:
        raise InputError(
            f"the largest task has {most} answers with right and wrong ones among them; 2 to {MOST} can be judged"
        )
    folder = Path(folder)
    judge, rows = _played(telling, settings, folder / "rows", objects, False, on_row)
    verdicts = [_verdict(one, rows.get(one.task.id)) for one in telling]
    consistency = None
    if both_orders and getattr(judge, "compares", False):
        turned = _played(telling, settings, folder / "reversed", objects, True, on_row)[1]
        consistency = _consistency(verdicts, [_verdict(one, turned.get(one.task.id)) for one in telling])
    _write(verdicts, folder / "verdicts.jsonl")
    counted = _counted(verdicts, settings.seed)
    name = next(iter(rows.values())).models["judge"]
    return JudgeAccuracy(
        judge=name, judge_form=settings.judge_form if hasattr(judge, "model") else "", tools=settings.tools, consistency=consistency, seed=settings.seed,
        no_contrast=len(gold) - len(telling), seconds=round(time.perf_counter() - begun, 1), **counted,
    )  # fmt: skip


def _played(
    gold: Sequence[Gold],
    settings: RunSettings,
    folder: Path,
    objects: dict[str, Any],
    reverse: bool,
    on_row: Callable[[Row], None],
) -> tuple[Judge, dict[str, Row]]:
    """The judge, and the rows by task."""
    players = assemble(settings, target=GivenAnswers(reverse), **objects)
    run = Synthesis(settings, folder, players)
    run.most_failures = math.inf  # a judge that cannot score is what is measured
    run.play([one.task for one in gold], on_row)
    check_ended(run)
    wanted = {one.task.id for one in gold}
    return players.judge, {row.id: row for row in read_rows(folder) if row.id in wanted}


def _verdict(gold: Gold, row: Row | None) -> dict[str, Any]:
    """One line of verdicts.jsonl; `scores` is empty for a task that was not scored."""
    error = "was not played" if row is None else row.reason if row.outcome == "failed" else ""
    last = row.rounds[-1] if row and row.rounds else None
    answers = _answers(last, gold) if last else []
    scored = [] if error else [(answer["score"], answer["right"]) for answer in answers if "score" in answer]
    return {
        "id": gold.task.id,
        "prompt": gold.task.text,
        "error": error,
        "scores": scored,
        "answers": answers,
        "context": last.context if last else "",
        "rounds": len(row.rounds) if row else 0,
    }


def _answers(last: Round, gold: Gold) -> list[dict[str, Any]]:
    judged = {judgment.candidate: judgment for judgment in last.judgments}
    listed = []
    for candidate in last.candidates:
        about = [
            k.model_dump(mode="json", exclude={"candidate"}) for k in last.knowledge if k.candidate == candidate.index
        ]
        one = {"text": candidate.text, "right": gold.right[candidate.text], "knowledge": about}
        if judgment := judged.get(candidate.index):
            one |= judgment.model_dump(mode="json", exclude={"candidate"})
        listed.append(one)
    return listed


def pair_accuracy(
    scored: Sequence[Sequence[tuple[float, bool]]], seed: int, seeds: Sequence[int] = ()
) -> dict[str, Any]:
    """n tasks, pairs, ties, accuracy and its interval, as in `JudgeAccuracy`, from each task's (score, right) answers.

    `seeds` is the seed each task was played under, where several runs are taken together.
    """
    compared = [
        [(right > wrong) + (right == wrong) / 2 for right in _of(s, True) for wrong in _of(s, False)] for s in scored
    ]
    pairs, wins = [len(one) for one in compared], [sum(one) for one in compared]
    found = share(wins, pairs, seeds, seed) if sum(pairs) else None
    return {
        "n": len(scored),
        "pairs": sum(pairs),
        "ties": sum(one.count(0.5) for one in compared),
        "accuracy": found.mean if found else None,
        "interval": (found.low, found.high) if found else (0.0, 1.0),
    }


def _counted(verdicts: Sequence[dict[str, Any]], seed: int) -> dict[str, Any]:
    scored = [verdict["scores"] for verdict in verdicts if verdict["scores"]]
    errors = [verdict["error"] for verdict in verdicts if verdict["error"]]
    return {
        **pair_accuracy(scored, seed),
        "top1": _mean([_right_among_best(scores) for scores in scored]) if scored else None,
        "top1_chance": _mean([len(_of(scores, True)) / len(scores) for scores in scored]) if scored else None,
        "unscored": len(errors),
        "first_error": errors[0] if errors else "",
    }


def _of(scores: Sequence[tuple[float, bool]], right: bool) -> list[float]:
    return [score for score, good in scores if good == right]


def _right_among_best(scores: Sequence[tuple[float, bool]]) -> float:
    best = max(score for score, _ in scores)
    return _mean([float(good) for score, good in scores if score == best])


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _consistency(shown: Sequence[dict[str, Any]], turned: Sequence[dict[str, Any]]) -> float | None:
    both = [(_best(a), _best(b)) for a, b in zip(shown, turned, strict=True) if a["scores"] and b["scores"]]
    return _mean([float(a == b) for a, b in both]) if both else None


def _best(verdict: dict[str, Any]) -> set[str]:
    best = max(score for score, _ in verdict["scores"])
    return {answer["text"] for answer in verdict["answers"] if answer.get("score") == best}


def _write(verdicts: Sequence[dict[str, Any]], file: Path) -> None:
    lines = (json.dumps(verdict, ensure_ascii=False) + "\n" for verdict in verdicts)
    file.write_text("".join(lines), encoding="utf-8")
