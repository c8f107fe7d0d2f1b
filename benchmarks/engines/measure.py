"""What every measured program has in common: its options, its clock, and one line of JSON at the end.

It uses the standard library alone, because the peers run it in environments of their own.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any


def options(doc: str | None, **more: dict[str, Any]) -> argparse.Namespace:
    """--url, --tasks, --concurrency, and `more` as name → keywords of add_argument."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="the server's, with /v1")
    parser.add_argument("--tasks", type=int, default=1000, help="tasks, rows or calls")
    parser.add_argument("--concurrency", type=int, default=256, help="calls in flight; for the game, tasks")
    for name, keywords in more.items():
        parser.add_argument(f"--{name.replace('_', '-')}", **keywords)
    return parser.parse_args()


def cpu() -> float:
    """CPU seconds of this process and of the children it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


class Clock:
    """`with Clock() as clock:` around the work, imports and set-up left out; then `clock.report(...)`."""

    def __enter__(self) -> Clock:
        self.start, self.cpu_start = time.perf_counter(), cpu()
        return self

    def __exit__(self, *error: object) -> None:
        self.seconds, self.cpu = time.perf_counter() - self.start, cpu() - self.cpu_start

    def report(self, *packages: str, **counted: Any) -> None:
        """One line: wall and CPU seconds of the work, largest resident memory, versions, and `counted`."""
        line = {
            **counted,
            "wall": round(self.seconds, 3),
            "cpu": round(self.cpu, 3),
            "rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            "versions": {name: _version(name) for name in packages},
        }
        print(json.dumps(line), flush=True)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def question(number: int) -> str:
    """The rows' text; every one is different."""
    return f"Row {number}: what is {number % 89 + 11} + {number % 97 + 3}? Answer with the number only."


JUDGE = "Rate this answer from 1 to 10.\nQuestion: {question}\nAnswer: {answer}"
"""The peers' second step."""


class NoTokens:
    """Stands in for a tiktoken encoding, which would be downloaded; four characters are a token."""

    def encode(self, text: str, **more: Any) -> list[int]:
        return [0] * (1 + len(text) // 4)
