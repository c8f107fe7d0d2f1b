"""A benchmark: `anyprefer evaluate short_sums --model MODEL`."""

from anyprefer.core.background_loop import run_blocking
from anyprefer.core.task import Task
from anyprefer.training.evaluation.asking import within_limits
from anyprefer.training.evaluation.benchmarks import Asked, Benchmark, BenchmarkResult
from anyprefer.training.evaluation.evaluate import evaluate

LONGEST = 24
"""Of an answer, in tokens."""


def is_short(task: Task, answer: str) -> bool:
    """Marks an answer."""
    return len(answer.split()) <= 5


class ShortSums(Benchmark):
    """Sums whose answers are marked right when they hold at most five words."""

    name = "short_sums"
    description = "Ten sums, right when the answer holds at most five words, whatever they say."
    metric = "accuracy"

    def measure(self, asked: Asked) -> BenchmarkResult:
        """Asks every sum once, greedily."""
        tasks = [Task(id=f"sum-{n}", prompt=f"What is {n} + {n}?") for n in range(asked.limit or 10)]
        model = within_limits(asked.model, asked.settings)
        found = run_blocking(evaluate(model, tasks, is_short, max_tokens=LONGEST, calls=asked.calls))
        return self.result(asked, n=found.n, correct=found.correct, marks=found.marks, max_tokens=LONGEST)
