"""Benchmarks of targets that act: what a policy does from seeded start states, counted in its trajectories."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from anyprefer.core.background_loop import run_blocking
from anyprefer.core.errors import RunFolderError, RunStopped
from anyprefer.core.results import EvalResult
from anyprefer.core.roles import Target, closed, opened
from anyprefer.core.secrets import redact
from anyprefer.core.task import Task
from anyprefer.core.trajectories import Trajectory
from anyprefer.core.values import derive_seed
from anyprefer.core.versions import versions
from anyprefer.graph.players import load_target
from anyprefer.models.simulators.scene_table import SCENES
from anyprefer.nodes.sample import sampled
from anyprefer.training.evaluation.asking import Asking
from anyprefer.training.evaluation.benchmarks.base import Asked, Benchmark, BenchmarkResult
from anyprefer.training.evaluation.control_families import METRICS, TRIALS, ActedFamily, counted
from anyprefer.training.evaluation.films import film

FILMED = 3
"""How many failures, the first ones, are kept as videos."""
Trial = tuple[Trajectory | None, str]
"""What was done, or why nothing was."""


class ActingBenchmark(Benchmark):
    """A family of `control_families.py`: each start state is played once, at the temperature of the settings.

    Trials are kept in the folder as they end, so that the same evaluation plays only what is missing there; so are
    videos of the first failures. A trial that cannot be played is unscored.
    """

    metric = "success"
    acts = True

    def __init__(self, family: ActedFamily) -> None:
        self.family, self.name, self.description = family, family.name, family.description

    def measure(self, asked: Asked) -> BenchmarkResult:
        """Raises `ModelSetupError` where the simulator or the policy cannot be loaded."""
        tasks = self.family.make(asked.limit or TRIALS * len(SCENES), asked.seed, "heldout")
        trials = run_blocking(self._trials(asked, tasks))
        if asked.folder:
            self._film(tasks, trials, asked.folder / f"{self.name}-failures")
        found = self._result(asked.target.name if asked.target else asked.model, tasks, trials)
        return self.of(asked, found).model_copy(update={"temperature": asked.settings.temperature})

    async def _trials(self, asked: Asked, tasks: Sequence[Task]) -> list[Trial]:
        target = asked.target or load_target(asked.model, asked.settings)
        file = asked.folder / f"{self.name}.db" if asked.folder else None
        asking = Asking(None, file, asked.calls, getattr(target, "checkpoint", "").rpartition(":")[2])
        try:
            if asked.target is None:
                await opened(target)
            return await asking.all((task.id, partial(_trial, target, task, asked.seed)) for task in tasks)
        finally:
            asking.close()
            if asked.target is None:
                await closed(target)

    def _result(self, model: str, tasks: Sequence[Task], trials: Sequence[Trial]) -> EvalResult:
        played = {task.id: (task, walk) for task, (walk, _) in zip(tasks, trials, strict=True) if walk is not None}
        marks = {name: bool(walk.success) for name, (_, walk) in played.items()}
        return EvalResult.of(model, marks).model_copy(
            update={
                "tallies": {name: counted(task, walk) for name, (task, walk) in played.items()},
                "metrics": METRICS,
                "groups": {task.id: str(task.start.get("state", task.id)) for task, _ in played.values()},
                "unscored": len(tasks) - len(played),
                "first_error": next((error for _, error in trials if error), ""),
                "versions": versions(),
            }
        )

    def _film(self, tasks: Sequence[Task], trials: Sequence[Trial], folder: Path) -> None:
        failed = [(task, walk) for task, (walk, _) in zip(tasks, trials, strict=True) if walk and not walk.success]
        for task, walk in failed[:FILMED]:
            film(task, walk, folder / task.id)


async def _trial(target: Target, task: Task, seed: int) -> Trial:
    try:
        [content] = await sampled(target, task, task.question, [derive_seed(seed, task.id, "trial")])
        return Trajectory.of(content), ""
    except (RunStopped, RunFolderError):
        raise
    except Exception as error:  # one trial that fails is reported, it does not end the evaluation
        return None, redact(f"{type(error).__name__}: {error}")
