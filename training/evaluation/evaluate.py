"""Accuracy of a model on tasks that can be marked without a judge, with its uncertainty.

result = await evaluate(model, FAMILIES["sums"].make(200, 0, "heldout"), FAMILIES["sums"].is_correct)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from pydantic import BaseModel, ConfigDict, Field

from anyprefer.core.errors import AnswerError, ModelSetupError, RunFolderError, RunStopped, TrainingError
from anyprefer.core.images import load, loaded
from anyprefer.core.results import EvalResult, Metric
from anyprefer.core.secrets import redact
from anyprefer.core.task import Task
from anyprefer.core.versions import versions
from anyprefer.models.answer import read_answer
from anyprefer.models.ask import call
from anyprefer.models.calls import Calls
from anyprefer.models.messages import task_messages
from anyprefer.models.traits import model_name, traits_of
from anyprefer.training.evaluation.asking import Asking
from anyprefer.training.evaluation.controls import of_one_image

IsCorrect = Callable[[Task, str], bool]
Tally = Callable[[Task, str], Mapping[str, float]]
"""Counts in an answer by name, such as its mentions and how many of them are wrong (`EvalResult.tallies`)."""


class EvalAnswer(BaseModel):
    """One task, asked once."""

    model_config = ConfigDict(frozen=True)

    id: str
    prompt: str
    answer: str = ""
    """Without thoughts."""
    ended: str = ""
    """How it ended, as in `models.answer.Answer`; `length`: cut off at `max_tokens`."""
    correct: bool | None = None
    """None when there was no answer to mark."""
    tally: dict[str, float] = Field(default_factory=dict)
    """What was counted in the answer."""
    error: str = ""


async def evaluate(
    model: BaseChatModel,
    tasks: Sequence[Task],
    is_correct: IsCorrect,
    *,
    system: str = "",
    max_tokens: int = 64,
    temperature: float = 0.0,
    seed: int = 0,
    answers: Path | None = None,
    calls: Calls | None = None,
    tally: Tally | None = None,
    metrics: Mapping[str, Metric] | None = None,
) -> EvalResult:
    """Ask every task once, greedily by default, and mark the answers; `tally` counts what `metrics` are made of.

    `system` is used for tasks that bring none. `answers` is a JSONL file for the answers, one row a task in order;
    beside it, in a `.db` file, they are kept as they come, and the same evaluation asks only what is missing there.
    `calls` are those of the command, with its budget. A call that fails leaves its task unscored; a server that is gone and a budget
    that is spent raise `RunStopped`, a model that cannot be set up `ModelSetupError`, no tasks `TrainingError`.
    """
    if not tasks:
        raise TrainingError("nothing to evaluate: no tasks were given")
    sampling: dict[str, Any] = {"temperature": temperature, "max_tokens": max_tokens, "seed": seed}

    async def ask(task: Task) -> EvalAnswer:
        try:
            with loaded(await load(task.images) if task.images else {}):
                asked = _messages(task, system)
            said = read_answer(await call(model, asked, "evaluate", **sampling))
            still_thinking = said.ended == "length" and said.thoughts and not said.text
            if still_thinking or said.ended in ("filter", "error"):  # an empty answer is an answer, and marked
                raise AnswerError(f"{said.flaw}; max_tokens is {max_tokens}", said.text)
            told = {"id": task.id, "prompt": task.text, "answer": said.text, "ended": said.ended}
            counted = dict(tally(task, said.text)) if tally else {}
            return EvalAnswer(**told, correct=is_correct(task, said.text), tally=counted)
        except (ModelSetupError, RunStopped, RunFolderError):
            raise
        except Exception as error:  # one failed call is reported, it does not end the evaluation
            return EvalAnswer(id=task.id, prompt=task.text, error=redact(f"{type(error).__name__}: {error}"))

    asking = Asking(model, answers.with_suffix(".db") if answers else None, calls)
    try:
        rows = await asking.all((task.id, partial(ask, task)) for task in tasks)
    finally:
        asking.close()
    if answers is not None:
        _write(rows, answers)
    name, adapter = _who(model)
    return EvalResult(
        model=name,
        adapter=adapter,
        marks={row.id: row.correct for row in rows if row.correct is not None},
        tallies={row.id: row.tally for row in rows if row.tally},
        metrics=dict(metrics or {}),
        groups=of_one_image(tasks),
        versions=versions(),
        n=sum(row.correct is not None for row in rows),
        correct=sum(row.correct is True for row in rows),
        unscored=sum(row.correct is None for row in rows),
        first_error=next((row.error for row in rows if row.error), ""),
        seed=seed,
        temperature=temperature,
        max_tokens=max_tokens,
    )


def _who(model: BaseChatModel) -> tuple[str, str]:
    """Name of the model (of an adapter: its base) and the adapter's folder, or an empty string."""
    name = model_name(model)
    if not (traits_of(model).in_process and (Path(name) / "adapter_config.json").is_file()):
        return name, ""
    from anyprefer.models.local.adapters import adapter_base  # torch is loaded where such a model answers

    return adapter_base(name) or "", name


def _messages(task: Task, system: str) -> list[BaseMessage]:
    """What was said before, the question and its images, as the target of a game is shown them."""
    first = task.system if task.system is not None else system
    return task_messages(task.model_copy(update={"system": first}), task.question)


def _write(rows: Sequence[EvalAnswer], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(row.model_dump(), ensure_ascii=False) + "\n" for row in rows)
    file.write_text("".join(lines), encoding="utf-8")
