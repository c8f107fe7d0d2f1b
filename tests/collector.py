"""A server on loopback that takes whatever viewers are sent, and what was sent as their own readers see it.

with Collector() as there: ... there.url, there.requests, there.spans(), there.runs()
"""

from __future__ import annotations

import gzip
import json
from email import message_from_bytes
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """Answers every request with `status`."""

    def __init__(self, status: int = 200) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        """Path, headers and body."""
        there = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                there.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *said: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Collector:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def bodies(self, path: str) -> list[bytes]:
        """As they were before they were compressed."""
        return [
            gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
            for at, headers, body in self.requests
            if at == path
        ]

    def spans(self) -> list[dict[str, Any]]:
        """The spans of OTLP requests, attributes as a mapping."""
        found = []
        for body in self.bodies("/v1/traces") + self.bodies("/api/public/otel/v1/traces"):
            told = MessageToDict(ExportTraceServiceRequest.FromString(body))
            found += [one for group in told["resourceSpans"] for scope in group["scopeSpans"] for one in scope["spans"]]
        return [
            {
                **one,
                "attributes": _mapping(one["attributes"]),
                "events": [{**event, "attributes": _mapping(event["attributes"])} for event in one.get("events", ())],
            }
            for one in found
        ]

    def runs(self) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
        """LangSmith's runs by id, each with its parts, and the feedback."""
        runs: dict[str, dict[str, Any]] = {}
        feedback = []
        for path, headers, body in self.requests:
            if path != "/runs/multipart":
                continue
            whole = message_from_bytes(
                b"Content-Type: " + headers["content-type"].encode() + b"\r\n\r\n" + body, policy=HTTP
            )
            for part in whole.iter_parts():  # type: ignore[attr-defined]
                name = str(part.get_param("name", header="content-disposition"))
                value = json.loads(part.get_payload(decode=True))
                kind, identifier, *field = name.split(".")
                if kind == "feedback":
                    feedback.append(value)
                else:
                    runs.setdefault(identifier, {}).update({field[0]: value} if field else value)
        return runs, feedback


def _mapping(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    return {one["key"]: _value(one["value"]) for one in attributes}


def _value(told: dict[str, Any]) -> Any:
    [(kind, value)] = told.items()
    if kind == "arrayValue":
        return [_value(one) for one in value.get("values", ())]
    return int(value) if kind == "intValue" else value
