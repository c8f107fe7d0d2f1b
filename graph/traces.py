"""Traces on disk: one a task, with a span a round and its nodes in it, prompts, tokens, tool calls, R as a feedback score.

With LangSmith's environment variables set, runs appear there with no code of ours. `trace = true`
records to `traces.db` in the run folder instead; look at it with

    mlflow server --backend-store-uri sqlite:///RUN/traces.db --host 127.0.0.1

Nothing but this machine is contacted: MLflow's telemetry and catalogue look-ups are switched off
before it is imported.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from langchain_core.runnables import RunnableConfig

from anyprefer.core.errors import SettingsError
from anyprefer.core.images import url_key
from anyprefer.core.records import Row
from anyprefer.core.secrets import Scrub, each_text, scrubber
from anyprefer.core.task import Task

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_MODEL_CATALOG_URI": "",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    # SQLite takes one writer; MLflow's ten wait for each other until "database is locked", and a trace is lost
    "MLFLOW_ASYNC_TRACE_LOGGING_MAX_WORKERS": "1",
}


class Watch(NamedTuple):
    """How a task is played where it is recorded."""

    config: RunnableConfig
    finish: Callable[[Row], None]
    """To be called with the row."""


@contextmanager
def untraced(task: Task) -> Iterator[Watch]:
    """What stands in for `Tracer.task` when nothing is recorded."""
    yield Watch({}, lambda row: None)


class Tracer:
    """Records the tasks of a run with MLflow, in the run folder."""

    def __init__(self, folder: Path) -> None:
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        try:
            import mlflow
        except ImportError:
            raise SettingsError("trace needs MLflow: pip install 'anyprefer[trace]'") from None
        self._mlflow: Any = mlflow
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        _quiet_prices()
        self._before: str | None = mlflow.get_tracking_uri() if self._mlflow.is_tracking_uri_set() else None
        mlflow.set_tracking_uri(f"sqlite:///{(folder / 'traces.db').absolute()}")
        mlflow.set_experiment("anyprefer")
        mlflow.tracing.configure(span_processors=[_without_secrets])
        from anyprefer.graph.round_tracer import RoundTracer

        self._config: RunnableConfig = {"callbacks": [RoundTracer()]}

    def close(self) -> None:
        """Writes what is still queued, and leaves MLflow as it was."""
        self._mlflow.flush_trace_async_logging()
        self._mlflow.tracing.configure(span_processors=[])
        if self._before is not None:
            self._mlflow.set_tracking_uri(self._before)

    @contextmanager
    def task(self, task: Task) -> Iterator[Watch]:
        """The root of one task's trace; play it as what is yielded says.

        Outcome and R are put on it while it is open, since that costs no look-up.
        """
        with self._mlflow.start_span(f"task {task.id}", span_type="AGENT") as span:
            span.set_inputs({"prompt": task.text})

            def finish(row: Row) -> None:
                span.set_outputs({"outcome": row.outcome, "reason": row.reason})
                if row.outcome == "failed":
                    span.set_status("ERROR")
                if row.rounds and (rated := row.rounds[-1].reward):
                    self._mlflow.log_feedback(trace_id=span.trace_id, name="reward", value=rated.score)
                self._mlflow.log_feedback(trace_id=span.trace_id, name="outcome", value=row.outcome)

            yield Watch(self._config, finish)


def _without_secrets(span: Any) -> None:
    """Takes secrets out of a span before it is stored: inputs, outputs, and the errors that MLflow puts beside them. Images
    leave their hashes."""
    told = _cleaner()
    for name, value in span.attributes.items():
        if (clean := each_text(value, told)) != value:
            span.set_attribute(name, clean)
    for event in span._span.events:  # no public way: open-telemetry/opentelemetry-python#4424
        event._attributes = each_text(dict(event.attributes), told)
    said = span.status.description
    if said and (clean := told(said)) != said:
        span.set_status(type(span.status)(span.status.status_code, clean))


_IMAGE = re.compile(r"(data:image/[\w.+-]+;)base64,[A-Za-z0-9+/=]{32,}")


def _cleaner() -> Scrub:
    scrub = scrubber()

    def clean(text: str) -> str:
        if "base64," in text:
            text = _IMAGE.sub(lambda found: f"{found[1]}sha256,{url_key(found[0])}", text)
        return scrub(text)

    return clean


def _quiet_prices() -> None:
    """MLflow prices calls with litellm where it is installed (textgrad brings it), which prints at unknown models:
    BerriAI/litellm#23879."""
    with suppress(ImportError):
        import litellm

        litellm.suppress_debug_info = True
