"""A stand-in of the Hugging Face hub on loopback: takes data sets as its API does and keeps their files by name."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hub:
    """`with Hub(token) as hub`: `hub.url`, `hub.files` (path → bytes), `hub.asked` (method, path, body)."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str, bytes]] = []
        self.stored: dict[str, bytes] = {}
        """Large files by their sha256."""

    def __enter__(self) -> Hub:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *given: Any) -> None: ...

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                hub.asked.append((self.command, self.path, body))
                known = self.headers.get("Authorization") == f"Bearer {hub.token}" or self.path.startswith("/store/")
                told = (
                    hub.answer(self.command, self.path, body) if known else {"error": "Invalid username or password."}
                )
                data = json.dumps(told).encode()
                self.send_response(200 if known else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_HEAD = _answer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, body: bytes) -> Any:
        path = path.partition("?")[0]
        if path.startswith("/store/"):
            self.stored[path.removeprefix("/store/")] = body
            return {}
        if "/tree/" in path:
            return [
                {"type": "file", "path": name, "size": len(data), "oid": "0" * 40} for name, data in self.files.items()
            ]
        if method == "GET":
            return {"id": "me/set", "sha": "0" * 40, "siblings": [{"rfilename": name} for name in self.files]}
        if "/commit/" in path:
            return self._commit(body)
        said = json.loads(body or b"{}")
        if path.endswith("/repos/create"):
            return {"url": f"{self.url}/datasets/{said['organization']}/{said['name']}"}
        if "/preupload/" in path:
            modes = [(one["path"], one["path"].endswith(".parquet")) for one in said["files"]]
            return {
                "files": [
                    {"path": p, "uploadMode": "lfs" if big else "regular", "shouldIgnore": False} for p, big in modes
                ]
            }
        if path.endswith("/objects/batch"):
            upload = [
                {**one, "actions": {"upload": {"href": f"{self.url}/store/{one['oid']}"}}} for one in said["objects"]
            ]
            return {"transfer": "basic", "objects": upload}
        return {}

    def _commit(self, body: bytes) -> dict[str, Any]:
        for line in map(json.loads, body.splitlines()):
            told = line["value"]
            if line["key"] == "file":
                self.files[told["path"]] = base64.b64decode(told["content"])
            elif line["key"] == "lfsFile":
                self.files[told["path"]] = self.stored[told["oid"]]
            elif line["key"] == "deletedFile":
                self.files.pop(told["path"], None)
        return {"commitUrl": f"{self.url}/datasets/me/set/commit/{'1' * 40}", "commitOid": "1" * 40}
