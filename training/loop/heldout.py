"""What `iterate` measures its target on: task sets marked without a judge, and benchmarks that ask by themselves.

evaluate = on_heldout({"sums": (tasks, is_correct)}, ["gsm8k"], settings)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from langchain_core.language_models import BaseChatModel

from anyprefer.core.background_loop import run_blocking
from anyprefer.core.settings import RunSettings
from anyprefer.core.task import Task
from anyprefer.models import model_string
from anyprefer.models.traits import unload
from anyprefer.training.evaluation.asking import calls_of
from anyprefer.training.evaluation.benchmarks import measure
from anyprefer.training.evaluation.evaluate import EvalResult, IsCorrect, evaluate
from anyprefer.training.loop.iterate import Evaluate

TaskSet = tuple[Sequence[Task], IsCorrect]
"""Tasks and the rule that marks them."""


def on_heldout(
    sets: Mapping[str, TaskSet], benchmarks: Sequence[str], settings: RunSettings, limit: int = 0
) -> Evaluate:
    """Greedy answers to the task sets, with the system message and length of the run, then each benchmark.

    The answers are kept beside the evaluation, one JSONL file a set, and asked for only once; the budget of `settings` is
    that of an iteration's sets together. `limit`: rows of a benchmark; 0: its own number.
    """

    def run(model: BaseChatModel, iteration: int, home: Path) -> Mapping[str, EvalResult]:
        results: dict[str, EvalResult] = {}
        calls = calls_of(settings)
        for name, (tasks, is_correct) in sets.items():
            asked = evaluate(
                model,
                tasks,
                is_correct,
                system=settings.system,
                max_tokens=settings.max_new_tokens,
                seed=settings.seed,
                answers=home / "answers" / f"{Path(name).stem}.jsonl",
                calls=calls,
            )
            results[name] = run_blocking(asked)
        unload(model)
        spec = model_string(model)
        return results | {
            name: measure(name, spec, limit or None, settings.seed, home, settings=settings, calls=calls)
            for name in benchmarks
        }

    return run
