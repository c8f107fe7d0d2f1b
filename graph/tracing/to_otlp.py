"""Traces to any collector that takes OTLP over HTTP: Phoenix, Langfuse, Arize, Opik, Jaeger, an OpenTelemetry collector.

`otlp` alone goes where OpenTelemetry's variables say (`OTEL_EXPORTER_OTLP_ENDPOINT`), and else to a collector on this machine;
`OTEL_EXPORTER_OTLP_HEADERS` has its keys, and `OTEL_SERVICE_NAME` or Phoenix's project are not ours to know.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import unquote, urlsplit

from anyprefer.core.errors import SettingsError
from anyprefer.core.secrets import keep_secret, keep_url_secrets, public_url
from anyprefer.graph.tracing.sending import Destination
from anyprefer.graph.tracing.tree import Trace

HERE = "http://localhost:4318"
PATH = "/v1/traces"
TIMEOUT = 10.0
"""Seconds until a collector that says nothing has failed."""


class Otlp:
    """A collector at a URL, or where the environment says."""

    def __init__(self, url: str = "") -> None:
        """Raises `SettingsError` without the encoder or for what is no URL."""
        try:
            from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
        except ImportError:
            raise SettingsError("trace otlp needs an encoder: pip install 'anyprefer[trace]'") from None
        import requests

        self.url = endpoint(url)
        self.headers = headers()
        self.name = f"the collector at {public_url(self.url)}"
        self._encode, self._session = encode_spans, requests.Session()

    def send(self, trace: Trace) -> None:
        """One request a trace."""
        from anyprefer.graph.tracing.otel import attributes, spans

        body = self._encode(spans(trace, attributes)).SerializeToString()
        # what a collector must take (OTLP specification, "OTLP/HTTP Request")
        self.post(self.url, gzip.compress(body), "application/x-protobuf", {"Content-Encoding": "gzip"})

    def post(self, url: str, body: bytes, kind: str, more: Mapping[str, str] = MappingProxyType({})) -> None:
        """Sends a body. Raises with the status and the server's words where it is refused."""
        said = {**self.headers, "Content-Type": kind, **more}
        answer = self._session.post(url, body, headers=said, timeout=TIMEOUT, allow_redirects=False)
        if not 200 <= answer.status_code < 300:
            raise ConnectionError(f"status {answer.status_code}: {answer.text[:200]}")

    def close(self) -> None:
        """Closes the connection."""
        self._session.close()


def destination(url: str) -> Destination:
    """The collector; Langfuse's takes scores beside it."""
    collector = Otlp(url)
    if urlsplit(collector.url).path.endswith(f"/api/public/otel{PATH}"):
        from anyprefer.graph.tracing.to_langfuse import Langfuse

        return Langfuse(collector)
    return collector


def endpoint(url: str) -> str:
    """The full URL that traces are sent to. Raises `SettingsError` for what is none."""
    if not url and (whole := os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")):
        url = whole
    base = (url or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or HERE).rstrip("/")
    keep_url_secrets(base, "trace")
    if not base.startswith(("http://", "https://")):
        raise SettingsError(f"trace otlp={public_url(base)} is no http(s) URL; such as otlp=http://localhost:4318")
    return base if url == os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or base.endswith(PATH) else base + PATH


def headers() -> dict[str, str]:
    """`NAME=VALUE,…` of the environment, URL-encoded as OpenTelemetry has it; values are secrets."""
    given = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_HEADERS") or os.environ.get("OTEL_EXPORTER_OTLP_HEADERS") or ""
    found = {
        name.strip(): unquote(value.strip())
        for name, equals, value in (part.partition("=") for part in given.split(","))
        if equals
    }
    for value in found.values():
        keep_secret(value.rpartition(" ")[2], "OTEL_EXPORTER_OTLP_HEADERS")
    return found
