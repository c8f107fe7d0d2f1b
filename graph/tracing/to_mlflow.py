"""Traces to MLflow: to `traces.db` in the run folder, or to any store or server that MLflow knows by a URI.

Spans are written to the store itself, not through MLflow's tracer, which belongs to the whole process: what else is traced
there, or where, is not touched. Only the store is contacted: MLflow's telemetry and look-ups are switched off before it is
imported.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from anyprefer.core.errors import SettingsError
from anyprefer.core.secrets import public_url, redact
from anyprefer.graph.tracing.otel import as_json, spans
from anyprefer.graph.tracing.shown import GLANCE, clipped
from anyprefer.graph.tracing.tree import Kind, Score, Span, Trace

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_MODEL_CATALOG_URI": "",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}
STORE = "traces.db"
"""In a run folder."""
EXPERIMENT = "anyprefer"
"""What MLflow groups the traces of a store by."""
_TYPES: dict[Kind, str] = {"task": "AGENT", "judgment": "EVALUATOR", "model": "CHAT_MODEL", "tool": "TOOL"}
"""MLflow's types of span; all others are a CHAIN."""


def store_of(folder: Path) -> str:
    """The URI of a run folder's own store."""
    return f"sqlite:///{(folder / STORE).absolute()}"


def imported() -> Any:
    """MLflow, told to be quiet. Raises `SettingsError` where it is not installed."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import mlflow
        import mlflow.tracing.client
    except ImportError:
        raise SettingsError("trace needs MLflow: pip install 'anyprefer[trace]'") from None
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    _quiet_prices()
    return mlflow


class Mlflow:
    """The experiment of a store; `client` and `experiment` are MLflow's."""

    def __init__(self, uri: str) -> None:
        """Raises `SettingsError` for a store that cannot be opened."""
        self.name = f"MLflow at {public_url(uri)}"
        mlflow = imported()
        try:
            self.client = mlflow.tracing.client.TracingClient(uri)
            store = mlflow.MlflowClient(uri)
            found = store.get_experiment_by_name(EXPERIMENT)
            self.experiment = found.experiment_id if found else store.create_experiment(EXPERIMENT)
        except Exception as error:
            said = redact(f"{type(error).__name__}: {error}")[:300]
            raise SettingsError(f"trace: {self.name} cannot be opened: {said}") from None

    def send(self, trace: Trace) -> None:
        """What is known of the trace with its assessments, then its spans."""
        from mlflow.entities import Span as Stored

        self.client.start_trace(self._info(trace))
        self.client.log_spans(self.experiment, [Stored(one) for one in spans(trace, _attributes, events=False)])

    def close(self) -> None:
        """MLflow keeps its stores."""

    def _info(self, trace: Trace) -> Any:
        from mlflow.entities import TraceInfo, TraceLocation, TraceState

        root = trace.root
        tokens = _tokens(trace.spans)
        return TraceInfo(
            trace_id=_id(trace),
            trace_location=TraceLocation.from_experiment_id(self.experiment),
            request_time=root.begun // 10**6,
            execution_duration=(root.ended - root.begun) // 10**6,
            state=TraceState.ERROR if root.error else TraceState.OK,
            request_preview=clipped(str((root.inputs or {}).get("prompt", "")), GLANCE),
            response_preview=clipped(_in_short(root), GLANCE),
            trace_metadata={
                "mlflow.trace.session": trace.session[:250],
                "mlflow.trace.tokenUsage": as_json(tokens),
                "mlflow.trace_schema.version": "3",
                **{name: value[:250] for name, value in trace.labels.items()},
            },
            tags={
                "mlflow.traceName": root.name[:250],
                "mlflow.trace.spansLocation": "TRACKING_STORE",
                **{name: value[:250] for name, value in (tag.split(":", 1) for tag in trace.tags)},
            },
            assessments=[_assessment(trace, span, score) for span in trace.spans for score in span.scores],
        )


def _in_short(root: Span) -> str:
    told = root.outputs or {}
    return ": ".join(str(told[name]) for name in ("outcome", "reason") if told.get(name))


def _id(trace: Trace) -> str:
    return f"tr-{trace.root.id.hex}"


def _assessment(trace: Trace, span: Span, score: Score) -> Any:
    from mlflow.entities import AssessmentSource, Feedback

    return Feedback(
        name=score.name,
        value=score.value,
        rationale=score.why or None,
        source=AssessmentSource(source_type="LLM_JUDGE" if score.by_model else "CODE", source_id="anyprefer"),
        metadata={name: str(value) for name, value in score.about.items()} or None,
        trace_id=_id(trace),
        span_id=f"{span.short_id:016x}" if span.parent else None,
        create_time_ms=span.ended // 10**6,
    )


def _attributes(trace: Trace, span: Span) -> dict[str, str]:
    """A span's attributes as MLflow has them: each is JSON."""
    told: dict[str, Any] = {
        "mlflow.traceRequestId": _id(trace),
        "mlflow.spanType": _TYPES.get(span.kind, "CHAIN"),
        "mlflow.spanInputs": _shown(span, span.inputs),
        "mlflow.spanOutputs": _shown(span, span.outputs),
        **span.facts,
    }
    if used := span.usage:
        told |= {"mlflow.llm.model": used.model or None, "mlflow.llm.provider": used.provider or None}
        told |= {"mlflow.chat.tokenUsage": _tokens([span]), "settings": used.settings or None}
        if used.cost is not None:
            told["mlflow.llm.cost"] = {"input_cost": 0.0, "output_cost": 0.0, "total_cost": used.cost}
    return {name: as_json(value) for name, value in told.items() if value is not None}


def _shown(span: Span, value: Any) -> Any:
    return {"messages": value} if span.kind == "model" and value else value


def _tokens(found: Iterable[Span]) -> dict[str, int]:
    used = [span.usage for span in found if span.usage]
    read, written = sum(one.input_tokens for one in used), sum(one.output_tokens for one in used)
    return {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}


def _quiet_prices() -> None:
    """MLflow prices calls with litellm where it is installed (textgrad brings it), which prints at unknown models:
    BerriAI/litellm#23879."""
    with suppress(ImportError):
        import litellm

        litellm.suppress_debug_info = True
