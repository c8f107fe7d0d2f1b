"""Which tasks of a run are traced, and where to: `trace = "TARGET"`, `trace_share = 0.01`.

| target | where |
|---|---|
| `mlflow` | `traces.db` in the run folder; `anyprefer view RUN` shows it |
| `http://127.0.0.1:5000`, `sqlite:///traces.db`, `postgresql://…` | MLflow at this URI |
| `langsmith` | LangSmith, by its environment variables |
| `otlp`, `otlp=http://localhost:6006` | a collector: Phoenix, Langfuse, Arize, Opik, OpenTelemetry's |
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from langchain_core.runnables import RunnableConfig

from anyprefer.core.errors import SettingsError
from anyprefer.core.records import Row
from anyprefer.core.secrets import keep_url_secrets
from anyprefer.core.settings import RunSettings
from anyprefer.core.task import Task
from anyprefer.core.values import stable_hash
from anyprefer.graph.tracing.scores import add_scores
from anyprefer.graph.tracing.sending import Destination, Sending
from anyprefer.graph.tracing.tree import Trace
from anyprefer.models.prices import Prices


class Watch(NamedTuple):
    """How a task is played where it is traced."""

    config: RunnableConfig
    trace: str
    """The trace's id, 32 hex digits, the same in every viewer; empty where there is none."""
    finish: Callable[[Row], None]
    """To be called with the row."""


@contextmanager
def untraced(task: Task) -> Iterator[Watch]:
    """What stands in for `Tracer.task` when nothing is traced."""
    yield Watch({}, "", lambda row: None)


class Tracer:
    """Traces the tasks of one run."""

    def __init__(
        self,
        settings: RunSettings,
        folder: Path | None,
        prices: Prices,
        labels: Mapping[str, str],
        models: Collection[str] = (),
    ) -> None:
        """`labels` are what traces are found by: application, arm, iteration, who plays; `models` the roles that a model plays.

        Raises `SettingsError` for a target that is none, cannot be opened, or needs what is not installed.
        """
        self._settings, self._prices, self._models = settings, prices, models
        self._sending = Sending(_destination(settings.trace, folder))
        self._session = str(folder) if folder else f"anyprefer {settings.digest()}"
        self._labels = {"run": self._session, "seed": str(settings.seed), **labels}

    def close(self) -> None:
        """Sends what waits."""
        self._sending.close()

    @contextmanager
    def task(self, task: Task) -> Iterator[Watch]:
        """Play the task as what is yielded says. A task that the run's end cuts off has no row, and no trace."""
        if not traced(task.id, self._settings.trace_share):
            with untraced(task) as watch:
                yield watch
            return
        from langsmith.run_helpers import tracing_context

        from anyprefer.graph.tracing.recorder import Recorder

        recorder = Recorder(task, self._prices)

        def finish(row: Row) -> None:
            try:
                recorder.finish(row)
                add_scores(row, recorder.spans, self._models)
            except Exception as error:  # whatever a user's own node or player holds: its row is worth more
                self._sending.lose(f"{type(error).__name__}: {error}")
                return
            labels = {**self._labels, "task": task.id, "outcome": row.outcome}
            self._sending.put(Trace(tuple(recorder.spans), self._session, labels))

        with tracing_context(enabled=False):  # LANGSMITH_TRACING would trace it once more
            yield Watch({"callbacks": [recorder]}, recorder.root.id.hex, finish)


def keep_secrets_of(target: str) -> None:
    """From now on the passwords and keys in a target's URL are secrets; a file's path has none."""
    if not target.startswith(("sqlite:", "file:")):
        keep_url_secrets(target, "trace")


def traced(task: str, share: float) -> bool:
    """Whether a task is among the share of a run's tasks that are traced; its id alone decides."""
    return int(stable_hash(["trace", task])[:12], 16) < share * 16**12


def _destination(target: str, folder: Path | None) -> Destination:
    kind, _, rest = target.partition("=")
    if target == "langsmith":
        from anyprefer.graph.tracing.to_langsmith import LangSmith

        return LangSmith()
    if kind == "otlp":
        from anyprefer.graph.tracing.to_otlp import destination

        return destination(rest)
    from anyprefer.graph.tracing.to_mlflow import Mlflow, store_of

    if target != "mlflow":
        return Mlflow(target)
    if folder is None:
        raise SettingsError('trace = "mlflow" needs a run folder to write traces.db to; give one, or MLflow\'s URI')
    return Mlflow(store_of(folder))
