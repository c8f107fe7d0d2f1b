"""What `kill.py` plays with beside models: a target that rolls out and two tools, slow and noted in a file.

Every act adds a line when it begins and one when it has returned: `begin KIND WHAT` and `end KIND WHAT`. ACTS names
the file.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from anyprefer.core.records import Candidate
from anyprefer.core.task import Task
from anyprefer.core.values import derive_seed, stable_hash
from anyprefer.tools import Finding, tool

ACTS = "ANYPREFER_KILL_ACTS"
SECONDS = 0.1


@contextmanager
def noted(kind: str, *what: object) -> Iterator[None]:
    """An act that shows in the file."""
    name = stable_hash([str(part) for part in what])[:16]
    _note(f"begin {kind} {name}\n")
    yield
    _note(f"end {kind} {name}\n")


def _note(line: str) -> None:
    file = os.open(os.environ[ACTS], os.O_WRONLY | os.O_APPEND | os.O_CREAT)  # one write a line, whoever else writes
    os.write(file, line.encode())
    os.close(file)


@tool
async def look(task: Task) -> Finding:
    """Looks at the question."""
    with noted("tool", "look", task.id):
        await asyncio.sleep(SECONDS)
    return Finding("It was looked at.", data={"length": len(task.text)})


@tool
def weigh(candidate: Candidate, task: Task) -> Finding:
    """Weighs an answer."""
    with noted("tool", "weigh", task.id, candidate.text):
        time.sleep(SECONDS)
    return Finding("It was weighed.", verdict=len(candidate.text) % 10 / 10)


class Policy:
    """Rolls out without any model."""

    name = "policy"

    async def sample(self, task: Task, prompt: str, seeds: Sequence[int]) -> list[Any]:
        """A path of numbers a seed."""
        with noted("rollout", task.id, prompt, seeds):
            await asyncio.sleep(SECONDS)
        return [f"path {derive_seed(prompt, seed)}" for seed in seeds]
