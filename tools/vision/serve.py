"""Serves tools that see to other machines, so that one GPU holds their models:

    python -m anyprefer.tools.vision.serve florence grounded_segmentation --port 8100 --set device=cuda

and in the run: `tool_options.florence.url = "http://gpu-box:8100"`. The protocol is that of `served.py`. It checks no
key and tells everyone who reaches it what its tools find: let it listen inside your network only.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from anyprefer.core.errors import AnypreferError, InputError
from anyprefer.core.images import image_url
from anyprefer.core.records import Candidate
from anyprefer.core.task import Task
from anyprefer.tools.base import KnowledgeTool, as_finding, failure_text
from anyprefer.tools.registry import load_tools

LARGEST = 256 * 2**20
"""Bytes of a request."""


class ToolServer(ThreadingHTTPServer):
    """Answers uses of its tools, each in a thread; the tools themselves let one use their model at a time."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], tools: Sequence[KnowledgeTool]) -> None:
        self.tools = {tool.name: tool for tool in tools}
        super().__init__(address, _Handler)

    def find(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What a tool finds, as JSON. Raises `InputError` for a request of another form."""
        tool = self.tools.get(str(asked.get("tool")))
        if tool is None:
            raise InputError(f"no such tool; served are: {', '.join(self.tools)}")
        given, arguments = asked.get("task"), asked.get("arguments", {})
        if not isinstance(given, dict) or not isinstance(arguments, dict):
            raise InputError('a request has a "task" with "prompt" and "images", and "arguments"')
        if not all(isinstance(one, str) and one.startswith("data:") for one in given.get("images", ())):
            raise InputError("images are sent as data: URLs; no file of this machine is read")
        task = Task(id="served", prompt=given.get("prompt", ""), images=tuple(map(image_url, given.get("images", ()))))
        passed = {"task": task, "candidate": Candidate(index=0, content=asked.get("candidate") or "", seed=0)}
        finding = as_finding(
            tool.invoke({**arguments, **{name: passed[name] for name in tool.wants if name in passed}})
        )
        return dataclasses.asdict(finding)


class _Handler(BaseHTTPRequestHandler):
    server: ToolServer

    def do_POST(self) -> None:
        """One use; what goes wrong in it is told with status 400, the server continues."""
        try:
            size = int(self.headers.get("content-length") or 0)
            if not 0 < size <= LARGEST:
                raise InputError(f"a request has a length of at most {LARGEST} bytes")
            self._send(200, self.server.find(json.loads(self.rfile.read(size))))
        except Exception as error:
            self._send(400, {"error": failure_text(error)})

    def _send(self, status: int, answer: Mapping[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: a use's prompt is nobody's business here."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Loads the tools and serves them until it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tools", nargs="+", help="names of tools")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8100)
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help="for every tool that has it")
    given = parser.parse_args(arguments)
    options = dict(one.split("=", 1) for one in given.set)
    try:
        tools = [_with(tool, options) for tool in load_tools(given.tools)]
        for tool in tools:
            tool.prepare()
    except AnypreferError as error:
        parser.error(str(error))
    with ToolServer((given.host, given.port), tools) as server:
        print(f"serving {', '.join(server.tools)} at http://{given.host}:{server.server_port}", flush=True)
        server.serve_forever()


def _with(tool: KnowledgeTool, options: Mapping[str, str]) -> KnowledgeTool:
    return tool.with_options(**{name: value for name, value in options.items() if name in tool.options})


if __name__ == "__main__":
    main()
