"""Running async work from synchronous code, on one background loop that stays."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

CLEAN_UP_SECONDS = 10
TURN_SECONDS = 0.5
"""How long Python sleeps at most before it looks for signals: one that comes just before it falls asleep wakes nobody."""

_loops: list[asyncio.AbstractEventLoop] = []
_lock = threading.Lock()


def run_blocking(work: Coroutine[Any, Any, T], on_interrupt: Callable[[], None] | None = None) -> T:
    """Runs a coroutine from synchronous code on one background loop, whose connections stay usable
    between calls. The caller's context goes along, so traces stay nested. An interrupted wait (Ctrl-C)
    calls `on_interrupt` and waits on; the second one, or the first where there is nothing to
    call, cancels the work and lets it clean up."""
    over = threading.Event()

    async def watched() -> T:
        try:
            return await work
        finally:
            over.set()

    future = asyncio.run_coroutine_threadsafe(watched(), _background_loop())

    def result() -> T:
        while not (over.wait(TURN_SECONDS) or future.done()):
            pass
        return future.result()

    try:
        try:
            return result()
        except KeyboardInterrupt:
            if on_interrupt is None:
                raise
            on_interrupt()
            return result()
    except BaseException:
        if future.cancel():
            over.wait(CLEAN_UP_SECONDS)
        raise


def exit_as_error(raised: BaseException, who: str) -> None:
    """Raises a `RuntimeError` instead of the SystemExit or KeyboardInterrupt of somebody's code: in a task they would end
    the event loop. A KeyboardInterrupt in the main thread is the user's, and nothing is raised for it."""
    if isinstance(raised, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
        return
    raise RuntimeError(f"{who} raised {type(raised).__name__}") from raised


def on_background_loop() -> bool:
    """Whether this thread runs the background loop, so that waiting for its work would never end."""
    try:
        return asyncio.get_running_loop() in _loops
    except RuntimeError:
        return False


def _background_loop() -> asyncio.AbstractEventLoop:
    with _lock:
        if not _loops:
            _loops.append(_new_loop())
            threading.Thread(target=_run, args=(_loops[0],), daemon=True, name="anyprefer").start()
        return _loops[0]


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """Runs a loop for ever: a task that raises SystemExit or KeyboardInterrupt ends, the loop does not."""
    while True:
        with contextlib.suppress(SystemExit, KeyboardInterrupt):
            loop.run_forever()


def _new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it is installed: less CPU per call."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
