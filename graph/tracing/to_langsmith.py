"""Traces to LangSmith, or what has its API: one multipart request a trace, with the scores as feedback on its runs.

`LANGSMITH_API_KEY`, `LANGSMITH_ENDPOINT` and `LANGSMITH_PROJECT` say where, as in LangSmith's own clients.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid5

from anyprefer.core.errors import SettingsError
from anyprefer.graph.tracing.otel import as_json
from anyprefer.graph.tracing.tree import TAGS, Kind, Span, Trace

TIMEOUT = 10.0
_TYPES: dict[Kind, str] = {"model": "llm", "tool": "tool"}
"""LangSmith's types of run; all others are a chain."""


class LangSmith:
    """The project that `LANGSMITH_PROJECT` names, by default `anyprefer`."""

    def __init__(self) -> None:
        """Raises `SettingsError` without a key for a server that wants one."""
        from langsmith import Client

        self._client = Client(auto_batch_tracing=False)
        self.name = f"LangSmith at {self._client.api_url}"
        self._project = os.environ.get("LANGSMITH_PROJECT") or "anyprefer"
        if not self._client.api_key and "smith.langchain.com" in self._client.api_url:
            raise SettingsError("trace langsmith needs a key: set LANGSMITH_API_KEY")

    def send(self, trace: Trace) -> None:
        """One request, raises what LangSmith's client does."""
        parts = [part for span in trace.spans for part in self._parts(trace, span)]
        files = [(name, (None, body, "application/json", {"Content-Length": str(len(body))})) for name, body in parts]
        self._client.request_with_retries(
            "POST", "/runs/multipart", request_kwargs={"files": files, "timeout": TIMEOUT}
        )  # fmt: skip

    def close(self) -> None:
        """Closes the connection."""
        self._client.session.close()

    def _parts(self, trace: Trace, span: Span) -> Iterator[tuple[str, bytes]]:
        for name, value in self._run(trace, span).items():
            yield f"post.{span.id}{name}", as_json(value).encode("utf-8", "replace")
        for place, score in enumerate(span.scores):
            identifier = uuid5(span.id, f"{place} {score.name}")
            number: dict[str, Any] = {"value": score.value} if isinstance(score.value, str) else {"score": score.value}
            source = {"type": "model" if score.by_model else "api", "metadata": dict(score.about)}
            told: dict[str, Any] = {
                "id": str(identifier),
                "run_id": str(span.id),
                "trace_id": str(trace.root.id),
                "key": score.name,
            }
            told |= {**number, "comment": score.why, "feedback_source": source}
            yield f"feedback.{identifier}", as_json(told).encode("utf-8", "replace")

    def _run(self, trace: Trace, span: Span) -> dict[str, Any]:
        """By the part's ending: the run, and what is sent beside it. The session is on each run, or threads miss it."""
        run = {
            "id": str(span.id),
            "trace_id": str(trace.root.id),
            "parent_run_id": str(span.parent.id) if span.parent else None,
            "dotted_order": dotted(span),
            "session_name": self._project,
            "name": span.name,
            "run_type": _TYPES.get(span.kind, "chain"),
            "start_time": _time(span.begun).isoformat(),
            "end_time": _time(span.ended).isoformat(),
            "tags": trace.tags if span.parent is None else [],
        }
        parts: dict[str, Any] = {
            "": run,
            ".extra": {"metadata": {**_labels(trace, span), **span.facts, "session_id": trace.session, **_model(span)}},
        }
        if span.usage and span.usage.settings:
            parts[".extra"]["invocation_params"] = span.usage.settings
        for name, value in ((".inputs", _inputs(span)), (".outputs", _outputs(span)), (".error", span.error)):
            if value not in (None, "", {}, []):
                parts[name] = value
        return parts


def _labels(trace: Trace, span: Span) -> dict[str, str]:
    """The task's and run's labels; below the root those that are tags, which filters on calls and tools need."""
    return {name: value for name, value in trace.labels.items() if span.parent is None or name in TAGS}


def dotted(span: Span) -> str:
    """Where a run stands in its trace: begin and id of each run on the way to it."""
    above = f"{dotted(span.parent)}." if span.parent else ""
    return f"{above}{_time(span.begun):%Y%m%dT%H%M%S%fZ}{span.id}"


def _time(ns: int) -> datetime:
    return datetime.fromtimestamp(ns / 1e9, UTC)


def _model(span: Span) -> dict[str, str]:
    used = span.usage
    told = {"ls_model_name": used.model, "ls_provider": used.provider, "ls_model_type": "chat"} if used else {}
    return {name: value for name, value in told.items() if value}


def _inputs(span: Span) -> Any:
    return {"messages": span.inputs} if span.kind == "model" else _mapping(span.inputs, "input")


def _outputs(span: Span) -> Any:
    if span.kind != "model" or not span.outputs:
        return _mapping(span.outputs, "output")
    told: dict[str, Any] = {"messages": span.outputs}
    if used := span.usage:
        tokens = {"input_tokens": used.input_tokens, "output_tokens": used.output_tokens}
        told["usage_metadata"] = {**tokens, "total_tokens": sum(tokens.values())}
        told["usage_metadata"] |= {"total_cost": used.cost} if used.cost is not None else {}
    return told


def _mapping(value: Any, name: str) -> Any:
    return value if value is None or isinstance(value, dict) else {name: value}
