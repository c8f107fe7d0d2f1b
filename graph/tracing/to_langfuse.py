"""Scores to Langfuse, which takes traces over OTLP and scores by its own API."""

from __future__ import annotations

from uuid import uuid5

from anyprefer.graph.tracing.otel import as_json
from anyprefer.graph.tracing.to_otlp import PATH, Otlp
from anyprefer.graph.tracing.tree import Trace


class Langfuse:
    """Langfuse at `…/api/public/otel`."""

    def __init__(self, collector: Otlp) -> None:
        self._collector = collector
        self._scores = collector.url.removesuffix(f"/otel{PATH}") + "/scores"
        self.name = "Langfuse"

    def send(self, trace: Trace) -> None:
        """The trace, then a request a score; a score that is sent again keeps its id."""
        self._collector.send(trace)
        for span in trace.spans:
            for place, score in enumerate(span.scores):
                told = {
                    "id": str(uuid5(span.id, f"{place} {score.name}")),
                    "traceId": trace.root.id.hex,
                    **({"observationId": f"{span.short_id:016x}"} if span.parent else {}),
                    "name": score.name,
                    "value": score.value,
                    "dataType": "CATEGORICAL" if isinstance(score.value, str) else "NUMERIC",
                    "comment": score.why,
                    "metadata": dict(score.about),
                }
                self._collector.post(self._scores, as_json(told).encode(), "application/json")

    def close(self) -> None:
        """Closes the connection."""
        self._collector.close()
