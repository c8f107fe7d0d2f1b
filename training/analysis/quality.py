"""How good pairs are: difficulty, satisfaction, and scores 1..10 by a model (paper §3.7, Figure 7, Appendix D.3).

The paper's annotators are people; ours are marks (references or a rule) or a judge model, and a report says which.

**Satisfaction.** Satisfied: chosen right and rejected wrong. Okay: one of the two fails. Dissatisfied: both fail.

**Difficulty from marks.** Appendix D.3 names two criteria and no rule. Ours is the mean of the two as numbers in 0..1,
cut at the quarters: 1 - margin / 9, the judge's margin being at most 9 on its scale 1..10, so a small difference is
hard; and the share of wrong candidates in the pair's round, so a question that is often missed is hard. Where one of
them is not known the other decides alone; where neither is, the pair has no difficulty.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import get_args

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from anyprefer.core.errors import AnswerError, InputError, ModelError, ModelSetupError
from anyprefer.core.game_state import FRESH, GameState
from anyprefer.core.marks import Difficulty, Satisfaction
from anyprefer.core.records import PreferencePair
from anyprefer.core.settings import Settings
from anyprefer.core.values import as_text, derive_seed
from anyprefer.graph.runs.marks import marks_by_row
from anyprefer.models.answer import read_answer
from anyprefer.models.ask import all_done, ask
from anyprefer.models.messages import user
from anyprefer.nodes import prompt_texts
from anyprefer.nodes.prompt_texts import Fence
from anyprefer.nodes.rewards.model import ChatReward
from anyprefer.tools.reference import agrees
from anyprefer.training.evaluation.asking import Asking
from anyprefer.training.evaluation.evaluate import IsCorrect
from anyprefer.training.pair_data.any_data_set import Sample

DIFFICULTIES: tuple[Difficulty, ...] = get_args(Difficulty)
SATISFACTIONS: tuple[Satisfaction, ...] = get_args(Satisfaction)

_WIDEST = 9.0
"""The largest margin on a scale of 1..10."""
_LINE = re.compile(
    r"\W{0,9}(chosen|rejected|difficulty)\W{0,9}:\W{0,9}(correct|incorrect|very easy|easy|medium|hard)\W{0,9}"
)


@dataclass(frozen=True)
class Rating:
    """One pair as it was rated; None where it could not be, and `error` says why."""

    id: str
    satisfaction: Satisfaction | None = None
    difficulty: Difficulty | None = None
    score: float | None = None
    """R in 1..10 by a model."""
    error: str = ""


Rate = Callable[[Sample], Awaitable[Rating]]


def satisfaction(chosen_right: bool, rejected_right: bool) -> Satisfaction:
    """Appendix D.3's three levels."""
    fails = (not chosen_right) + rejected_right
    return SATISFACTIONS[fails]


def difficulty(margin: float | None, wrong_share: float | None) -> Difficulty | None:
    """The level by the module's rule: margin in 0..9, share of wrong candidates in 0..1; None without either.

    Raises `InputError` for a margin off the judge's scale, such as one of a computed cost.
    """
    if margin is not None and not 0 <= margin <= _WIDEST:
        raise InputError(f"margin {margin:g} is not on the scale 1..10; pass None to rate by the candidates alone")
    parts = [
        *([1 - margin / _WIDEST] if margin is not None else []),
        *([wrong_share] if wrong_share is not None else []),
    ]
    return DIFFICULTIES[min(3, int(4 * sum(parts) / len(parts)))] if parts else None


def by_marks(sample: Sample, is_correct: IsCorrect) -> Rating:
    """A pair rated by what is right and wrong."""
    right = [is_correct(sample.task, text) for text in sample.candidates]
    margin = sample.margin if sample.margin is None or 0 <= sample.margin <= _WIDEST else None
    return Rating(
        sample.task.id,
        satisfaction(is_correct(sample.task, sample.chosen), is_correct(sample.task, sample.rejected)),
        difficulty(margin, 1 - sum(right) / len(right) if right else None),
    )


def by_reference(sample: Sample) -> Rating:
    """The same with the task's reference as the mark; a task without one is not rated."""
    if sample.task.reference is None:
        return Rating(sample.task.id, error="the task has no reference")
    gold = as_text(sample.task.reference)
    return by_marks(sample, lambda task, text: agrees(text, gold))


def by_people(folder: Path) -> list[Rating]:
    """People's marks of a run folder (`anyprefer review`, or in a graph run), one a person and pair."""
    marks = marks_by_row(folder)
    return [Rating(row, mark.satisfaction, mark.difficulty) for row, some in marks.items() for _, mark in some]


def by_model(model: BaseChatModel, settings: Settings | None = None) -> Rate:
    """A chat model as the annotator: each pair alone, difficulty and satisfaction.

    Of `settings`, task_field, seed and judge_max_new_tokens are read.
    """
    settings = settings or Settings()
    template = prompt_texts.text("quality", "anyprefer.training.analysis")

    async def rate(sample: Sample) -> Rating:
        seed = derive_seed(settings.seed, sample.task.id, "quality")
        fence = Fence(seed, [sample.task.text, sample.chosen, sample.rejected])
        shown = {
            "query": ("Query: ", sample.task.text),
            "chosen": ("Chosen response:\n", sample.chosen),
            "rejected": ("Rejected response:\n", sample.rejected),
        }
        body = fence.fill(template, shown, task_field=settings.task_field)
        chosen, rejected, level = await ask(
            model,
            [user(body, sample.task.images)],
            "quality",
            parse=parse_quality,
            seed=seed,
            temperature=0.0,
            max_tokens=settings.judge_max_new_tokens,
        )
        return Rating(sample.task.id, satisfaction(chosen, rejected), level)

    return rate


def by_reward(model: BaseChatModel, settings: Settings | None = None) -> Rate:
    """A chat model's score 1..10 of a pair, by the reward prompt (Figure 7b, Appendix D.2)."""
    reward = ChatReward(model, settings or Settings())

    async def rate(sample: Sample) -> Rating:
        state: GameState = {**FRESH, "task": sample.task, "rounds": []}
        rated = await reward.rate(state, PreferencePair(chosen=sample.chosen, rejected=sample.rejected))
        return Rating(sample.task.id, score=rated.score)

    return rate


async def rate_all(samples: Sequence[Sample], rate: Rate, asking: Asking | None = None, what: str = "") -> list[Rating]:
    """Every pair rated, in order; one that the model failed on is a rating with its error.

    `asking` is how the model is asked, such as with a budget; its answers are kept under `what`. Raises `RunStopped` when
    a server is gone or a budget is spent, `ModelSetupError` for a model that cannot be used at all.
    """

    async def one(sample: Sample) -> Rating:
        try:
            return await rate(sample)
        except ModelSetupError:
            raise
        except (ModelError, InputError) as error:
            return Rating(sample.task.id, error=f"{type(error).__name__}: {error}")

    if asking is None:
        return await all_done(one(sample) for sample in samples)
    named = (f"{what} {number} {sample.task.id}" for number, sample in enumerate(samples))
    return await asking.all((name, partial(one, sample)) for name, sample in zip(named, samples, strict=True))


def parse_quality(answer: AIMessage) -> tuple[bool, bool, Difficulty]:
    """(chosen correct, rejected correct, difficulty). Raises `AnswerError` unless each line is there once with
    a word of its own."""
    text = read_answer(answer).text
    lines = [(found[1], found[2]) for line in text.lower().split("\n") if (found := _LINE.fullmatch(line))]
    said = dict(lines)
    marks = {"correct": True, "incorrect": False}
    level = next((known for known in DIFFICULTIES if known == said.get("difficulty")), None)
    if len(lines) != 3 or said.get("chosen") not in marks or said.get("rejected") not in marks or level is None:
        raise AnswerError("not one line each for Chosen, Rejected and Difficulty with one of the words asked for", text)
    return marks[said["chosen"]], marks[said["rejected"]], level


def shares(values: Iterable[str | None], levels: Sequence[str]) -> dict[str, tuple[int, int]]:
    """(how many, of how many rated) for each level; unrated pairs are in neither."""
    counts = Counter(value for value in values if value is not None)
    return {level: (counts[level], counts.total()) for level in levels}
