"""The tree as OpenTelemetry's spans, in two vocabularies at once: OpenInference's (Phoenix, Arize, Langfuse, MLflow read it) and
the GenAI conventions v0.1.0 (anything that takes OTLP). Scores are OpenInference's evaluations and GenAI's evaluation events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from anyprefer.core.versions import versions
from anyprefer.graph.tracing.tree import Kind, Score, Span, Trace

Attributes = dict[str, Any]

_INFERENCE: dict[Kind, str] = {"task": "AGENT", "judgment": "EVALUATOR", "model": "LLM", "tool": "TOOL"}
"""OpenInference's kinds; all others are a CHAIN."""
_OPERATIONS: dict[Kind, str] = {"task": "invoke_agent", "model": "chat", "tool": "execute_tool"}
"""GenAI's operations; others have none."""


def spans(trace: Trace, attributes: Callable[[Trace, Span], Attributes], events: bool = True) -> list[ReadableSpan]:
    """The trace's spans, with the attributes that a viewer reads, and with `events` for their scores."""
    version = versions(("anyprefer",)).get("anyprefer", "")
    resource = Resource({"service.name": "anyprefer", "service.version": version})
    scope = InstrumentationScope("anyprefer", version)
    return [
        ReadableSpan(
            span.name,
            context=_context(trace, span),
            parent=_context(trace, span.parent) if span.parent else None,
            resource=resource,
            attributes=attributes(trace, span),
            events=[_event(score, span) for score in span.scores] if events else [],
            kind=SpanKind.CLIENT if span.kind == "model" else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.OK),
            start_time=span.begun,
            end_time=span.ended,
            instrumentation_scope=scope,
        )
        for span in trace.spans
    ]


def _context(trace: Trace, span: Span) -> SpanContext:
    return SpanContext(trace.root.id.int, span.short_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _event(score: Score, span: Span) -> Event:
    value = "score.label" if isinstance(score.value, str) else "score.value"
    told = {"name": score.name, value: score.value, **({"explanation": score.why} if score.why else {})}
    return Event(
        "gen_ai.evaluation.result", {f"gen_ai.evaluation.{name}": one for name, one in told.items()}, span.ended
    )


def attributes(trace: Trace, span: Span) -> Attributes:
    """A span's attributes in both vocabularies."""
    told: Attributes = {"openinference.span.kind": _INFERENCE.get(span.kind, "CHAIN"), "session.id": trace.session}
    if span.kind in _OPERATIONS:
        told["gen_ai.operation.name"] = _OPERATIONS[span.kind]
    told |= _found_by(trace, span) | dict(_values(span)) | dict(_evaluations(span.scores))
    return told | (dict(_call(span)) if span.kind == "model" else _tool(span) if span.kind == "tool" else {})


def _found_by(trace: Trace, span: Span) -> Attributes:
    """What filters look for: on the root the task's and run's labels, below it the round's."""
    facts = span.facts if span.parent else {**trace.labels, **span.facts}
    told: Attributes = {"metadata": as_json(facts)} if facts else {}
    return told | ({} if span.parent else {"tag.tags": trace.tags, "gen_ai.conversation.id": trace.session})


def _values(span: Span) -> Iterator[tuple[str, Any]]:
    """Inputs and outputs; a model's are its messages (`_call`)."""
    for name, value in () if span.kind == "model" else (("input", span.inputs), ("output", span.outputs)):
        if value not in (None, {}, []):
            yield f"{name}.value", value if isinstance(value, str) else as_json(value)
            yield f"{name}.mime_type", "text/plain" if isinstance(value, str) else "application/json"


def _evaluations(scores: Sequence[Score]) -> Iterator[tuple[str, Any]]:
    for place, score in enumerate(scores):
        at = f"evaluations.{place}.evaluation"
        yield f"{at}.name", score.name
        yield f"{at}.{'label' if isinstance(score.value, str) else 'score'}", score.value
        yield f"{at}.annotator_kind", "LLM" if score.by_model else "CODE"
        if score.why:
            yield f"{at}.explanation", score.why
        if score.about:
            yield f"{at}.metadata", as_json(score.about)


def _call(span: Span) -> Iterator[tuple[str, Any]]:
    used = span.usage
    if used:
        named = {
            "llm.model_name": used.model,
            "gen_ai.request.model": used.model,
            "llm.provider": used.provider,
            "gen_ai.provider.name": used.provider,
        }
        yield from ((name, value) for name, value in named.items() if value)
        yield "llm.token_count.prompt", used.input_tokens
        yield "llm.token_count.completion", used.output_tokens
        yield "gen_ai.usage.input_tokens", used.input_tokens
        yield "gen_ai.usage.output_tokens", used.output_tokens
        if used.settings:
            yield "llm.invocation_parameters", as_json(used.settings)
        if used.cost is not None:
            yield "llm.cost.total", used.cost
    yield from _messages("llm.input_messages", span.inputs or ())
    yield from _messages("llm.output_messages", span.outputs or ())


def _messages(at: str, told: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    for place, one in enumerate(told):
        here = f"{at}.{place}.message"
        yield f"{here}.role", one["role"]
        if isinstance(one["content"], str):
            yield f"{here}.content", one["content"]
        else:
            yield from _contents(f"{here}.contents", one["content"])
        for number, call in enumerate(one.get("tool_calls", ())):
            yield f"{here}.tool_calls.{number}.tool_call.function.name", call["name"]
            yield f"{here}.tool_calls.{number}.tool_call.function.arguments", as_json(call["arguments"])


def _contents(at: str, parts: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    for place, part in enumerate(parts):
        here = f"{at}.{place}.message_content"
        if part.get("type") == "image_url":
            yield f"{here}.type", "image"
            yield f"{here}.image.image.url", part["image_url"]["url"]
        else:
            yield f"{here}.type", "text"
            yield f"{here}.text", part["text"] if "text" in part else as_json(part)


def _tool(span: Span) -> Attributes:
    name = span.facts.get("tool", span.name)
    return {"tool.name": name, "gen_ai.tool.name": name}


def as_json(value: Any) -> str:
    """Compact JSON; anything that has none as its text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
