"""Processes that are measured, and the server they talk to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from benchmarks.report import ROOT


class ServerProcess:
    """`with ServerProcess("--latency", "0.2") as server:` then `server.url`, `server.stats()`."""

    def __init__(self, *options: str) -> None:
        self.options = options

    def __enter__(self) -> ServerProcess:
        command = [sys.executable, "-m", "benchmarks.server", *self.options]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise RuntimeError(f"the server did not start: {' '.join(command)}")
        return self

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.wait()

    def stats(self, patience: float = 60) -> dict[str, Any]:
        """The counts; a server's outage is waited for."""
        until = time.monotonic() + patience
        while True:
            try:
                return self._ask("/stats", None)
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def reset(self) -> None:
        self._ask("/reset", b"")

    def _ask(self, path: str, data: bytes | None) -> dict[str, Any]:
        with urllib.request.urlopen(self.url.removesuffix("/v1") + path, data, timeout=30) as response:
            found: dict[str, Any] = json.load(response)
        return found


@dataclass(frozen=True)
class Engine:
    """A program of engines/ with its options; `tasks` is what its --tasks gets."""

    name: str
    script: str
    tasks: int
    options: tuple[str, ...] = ()
    python: str = sys.executable
    server: tuple[str, ...] = field(default=())


def measure(engine: Engine, limit: float = 900) -> dict[str, Any]:
    """Runs an engine once against a server of its own.

    Returns what the program printed, the server's counts as `server`, and of the whole process, imports
    included, `process_wall` and `process_cpu` (with its children); `error` where it failed.
    """
    with (
        ServerProcess(*engine.server) as server,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
    ):
        script = str(ROOT / "benchmarks" / "engines" / engine.script)
        command = [engine.python, script, "--url", server.url, "--tasks", str(engine.tasks), *engine.options]
        with tempfile.TemporaryDirectory() as folder:  # some peers leave files where they run
            start = time.perf_counter()
            process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=err)
            timer = threading.Timer(limit, process.kill)
            timer.start()
            _, status, used = os.wait4(process.pid, 0)
            wall = time.perf_counter() - start
            timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        printed, told = _read(out), _read(err)
        lines = [line for line in printed.splitlines() if line.startswith("{")]
        result: dict[str, Any] = json.loads(lines[-1]) if lines else {}
        if process.returncode or not lines:
            result["error"] = f"exit {process.returncode}: {told[-600:]}"
        result["server"] = server.stats()
    whole = {"process_wall": round(wall, 3), "process_cpu": round(used.ru_utime + used.ru_stime, 3)}
    return {"engine": engine.name, **result, **whole, "load": round(os.getloadavg()[0], 2)}


def _read(file: Any) -> str:
    file.seek(0)
    return str(file.read())
