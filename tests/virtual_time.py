"""An event loop on which hours pass in milliseconds: sleeping is only moving the clock.

def test_…(): virtual(main()), where main() uses asyncio.sleep and loop.time as ever
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if not events and timeout is None:
            raise RuntimeError("everything waits and nothing will happen any more")
        self.now += 0.0 if events else timeout or 0.0
        return events


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def virtual(main: Coroutine[Any, Any, T]) -> T:
    """Runs it to its end and returns what it returns."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(main)
