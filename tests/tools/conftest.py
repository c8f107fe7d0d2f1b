from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from anyprefer.core.records import Candidate
from anyprefer.core.task import Task
from anyprefer.tools import Finding, KnowledgeTool

Ask = Callable[..., Awaitable[Finding]]


@pytest.fixture(scope="session")
def index_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, index_cache: Path) -> None:
    monkeypatch.setenv("ANYPREFER_CACHE", str(index_cache))


@pytest.fixture
def ask() -> Ask:
    """Calls a candidate-level tool the way the game does."""

    async def call(tool: KnowledgeTool, prompt: str, answer: Any, reference: Any = None, **options: Any) -> Finding:
        task = Task(id="t", prompt=prompt, reference=reference)
        candidate = Candidate(index=0, content=answer, seed=1)
        found = await tool.with_options(**options).ainvoke({"task": task, "candidate": candidate})
        assert isinstance(found, Finding)
        return found

    return call
