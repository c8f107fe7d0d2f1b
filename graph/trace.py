"""Traces on disk: one a task, rounds and nodes by name, prompts, tokens, tool calls, R as a feedback score.

With LangSmith's environment variables set, runs appear there with no code of ours. `trace = true`
records to `traces.db` in the run folder instead; look at it with

    mlflow server --backend-store-uri sqlite:///RUN/traces.db --host 127.0.0.1

Nothing but this machine is contacted: MLflow's telemetry and catalogue look-ups are switched off
before it is imported.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from anyprefer.graph.errors import SettingsError
from anyprefer.graph.state import Row

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_MODEL_CATALOG_URI": "",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


class Tracer:
    """Switches MLflow's LangChain tracing on for this process, writing to the run folder."""

    def __init__(self, folder: Path) -> None:
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        try:
            import mlflow
        except ImportError:
            raise SettingsError("trace needs MLflow: pip install 'anyprefer[trace]'") from None
        self._mlflow: Any = mlflow
        mlflow.set_tracking_uri(f"sqlite:///{(folder / 'traces.db').absolute()}")
        mlflow.set_experiment("anyprefer")
        mlflow.langchain.autolog()
        self._scored: set[str] = set()

    def score(self, row: Row) -> None:
        """Puts outcome and R on the task's trace."""
        self._mlflow.flush_trace_async_logging()
        found = self._mlflow.search_traces(
            filter_string=f"tags.`mlflow.traceName` = 'task {row.id}'", max_results=1, return_type="list"
        )
        for trace in found:
            rated = row.rounds[-1].reward if row.rounds else None
            if rated is not None:
                self._mlflow.log_feedback(trace_id=trace.info.trace_id, name="reward", value=rated.score)
            self._mlflow.log_feedback(trace_id=trace.info.trace_id, name="outcome", value=row.outcome)
