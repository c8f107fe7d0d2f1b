"""What an iteration's target is measured on: task sets marked without a judge, benchmarks that ask by themselves, and
evaluations of the user's own.

evaluate = evaluation(["sums", "heldout.jsonl", "gsm8k", "mine.py:rollouts"], settings)
results = evaluate(target, 1, Path("runs/loop/iteration-1"))
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from langchain_core.language_models import BaseChatModel

from anyprefer.core.background_loop import run_blocking
from anyprefer.core.errors import SettingsError, TrainingError
from anyprefer.core.own_code import is_own_code, own_object
from anyprefer.core.results import EvalResult
from anyprefer.core.roles import Evaluate, Target
from anyprefer.core.settings import RunSettings
from anyprefer.models import model_string
from anyprefer.models.calls import Calls
from anyprefer.models.traits import unload
from anyprefer.training.evaluation.asking import calls_of
from anyprefer.training.evaluation.benchmarks import Benchmark, benchmark, measure
from anyprefer.training.evaluation.evaluate import evaluate
from anyprefer.training.evaluation.task_sets import TaskSet, is_asked_elsewhere, task_set


def evaluation(
    names: Sequence[str], settings: RunSettings, columns: Mapping[str, str] | None = None, limit: int = 0
) -> Evaluate:
    """Measures a target on everything named, in order: families, files, benchmarks, own code as `FILE.py:NAME`.

    `columns` are those of files; `limit` is how many tasks of each, 0: its own number. Raises `InputError` for a name
    that is nothing of that, and for a file that cannot be marked.
    """
    own = {name: own_evaluation(name) for name in names if is_own_evaluation(name)}
    elsewhere = [name for name in names if is_asked_elsewhere(name) or (is_own_code(name) and name not in own)]
    sets = {
        name: task_set(name, limit or None, settings.seed, columns or {})
        for name in names
        if name not in own and name not in elsewhere
    }
    parts = [*own.values(), *([on_heldout(sets, elsewhere, settings, limit)] if sets or elsewhere else [])]

    def run(target: Target, iteration: int, home: Path) -> Mapping[str, EvalResult]:
        return {name: result for part in parts for name, result in part(target, iteration, home).items()}

    return run


def check_measured(name: str) -> None:
    """Raises `InputError` or `SettingsError` for a name that is no benchmark and no evaluation."""
    if is_own_evaluation(name):
        own_evaluation(name)
    else:
        benchmark(name)


def is_own_evaluation(name: str) -> bool:
    """Whether it names the user's own code, and no `Benchmark`, which is measured by a model's string."""
    if not is_own_code(name):
        return False
    found = own_object(name)
    return not issubclass(found if inspect.isclass(found) else type(found), Benchmark)


def own_evaluation(name: str) -> Evaluate:
    """The user's own evaluation, a function or an object that is called as one. Raises `SettingsError`."""
    found = own_object(name)
    found = found() if inspect.isclass(found) else found
    if not callable(found):
        raise SettingsError(f"{name} is no function of (target, iteration, folder) that returns EvalResults by name")
    return cast("Evaluate", found)


def on_heldout(
    sets: Mapping[str, TaskSet], benchmarks: Sequence[str], settings: RunSettings, limit: int = 0
) -> Evaluate:
    """Greedy answers to the task sets, with the system message and length of the run, then each benchmark; those that act
    are given the target as it is.

    The answers are kept beside the evaluation, one JSONL file a set, and asked for only once; the budget of `settings` is
    that of an iteration's sets together. `limit`: rows of a benchmark; 0: its own number. Where one is asked
    of a target that is no language model, that is a `TrainingError`.
    """
    acting = [name for name in benchmarks if benchmark(name).acts]
    asked = [name for name in benchmarks if name not in acting]

    def run(target: Target, iteration: int, home: Path) -> Mapping[str, EvalResult]:
        for name in benchmarks:
            benchmark(name).check()
        calls, results = calls_of(settings), dict[str, EvalResult]()
        for name in acting:
            results[name] = measure(
                name, target.name, limit or None, settings.seed, home, settings=settings, calls=calls, target=target
            )
        if sets or asked:
            results |= _answered(_chat(target, [*sets, *asked]), sets, asked, settings, limit, home, calls)
        return {name: results[name] for name in (*sets, *benchmarks)}

    return run


def _answered(
    model: BaseChatModel,
    sets: Mapping[str, TaskSet],
    benchmarks: Sequence[str],
    settings: RunSettings,
    limit: int,
    home: Path,
    calls: Calls,
) -> dict[str, EvalResult]:
    """A language model's answers, marked."""
    results = dict[str, EvalResult]()
    for name, given in sets.items():
        asked = evaluate(
            model,
            given.tasks,
            given.is_correct,
            system=settings.system,
            max_tokens=settings.max_new_tokens,
            seed=settings.seed,
            answers=home / "answers" / f"{Path(name).stem}.jsonl",
            calls=calls,
            tally=given.tally,
            metrics=given.metrics,
        )
        results[name] = run_blocking(asked)
    unload(model)
    spec = model_string(model)
    return results | {
        name: measure(name, spec, limit or None, settings.seed, home, settings=settings, calls=calls)
        for name in benchmarks
    }


def _chat(target: Target, names: Sequence[str]) -> BaseChatModel:
    model = getattr(target, "model", None)
    if isinstance(model, BaseChatModel):
        return model
    raise TrainingError(
        f"{', '.join(names)} asks a language model, and target {target.name} is none; measure it by an evaluation of your "
        "own, FILE.py:NAME"
    )
