"""What keeps a tool's uses bounded: a time limit each, turns for those that run in threads, and no new use of a tool
whose earlier ones hang.

Python cannot end a thread. A use that is given up on keeps its thread until it returns by itself; while `STUCK` uses
of a tool do, it is not started again and its knowledge says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import logging
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from anyprefer.core.errors import ToolFailure

if TYPE_CHECKING:
    from anyprefer.tools.base import KnowledgeTool

THREADS = 64
"""Tool uses that run in threads at once."""
STUCK = 3
"""Uses of one tool that may hang at once before it is not started any more."""

_log = logging.getLogger("anyprefer")
_turns: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = weakref.WeakKeyDictionary()


class _Uses:
    """One function's uses in threads; those of all runs of the process count together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[object] = set()
        self._stuck: set[object] = set()
        self.proven = False
        """Whether any use has come back in time: before, no more are started at once than may hang."""

    def begin(self, name: str) -> object:
        """A new use. Raises `ToolFailure` where too many hang."""
        with self._lock:
            hanging = len(self._stuck) if self.proven or not self._stuck else len(self._running)
            if hanging >= STUCK:
                raise ToolFailure(
                    f"not started: {hanging} earlier uses of {name} still hang after their time limit; "
                    "it is started again when they return"
                )
            use = object()
            self._running.add(use)
            return use

    def end(self, use: object) -> None:
        with self._lock:
            self.proven = self.proven or use not in self._stuck
            self._running.discard(use)
            self._stuck.discard(use)

    def give_up(self, use: object, name: str) -> None:
        with self._lock:
            if use not in self._running:
                return
            self._stuck.add(use)
            if len(self._stuck) == STUCK:
                _log.warning("tool %s hangs: %d uses have not returned, it is not started until they do", name, STUCK)


_uses: weakref.WeakKeyDictionary[Callable[..., Any], _Uses] = weakref.WeakKeyDictionary()


def limited(tool: KnowledgeTool, seconds: float) -> KnowledgeTool:
    """The same tool, given up on after `seconds`.

    At most `THREADS` uses run in threads at once, of a tool that has never returned yet at most `STUCK`, and of one whose
    model is in this process and answers one use at a time (`alone`) one; a use that waits for its turn is not running
    out of time.
    """
    waits = not inspect.iscoroutinefunction(tool.function)
    uses = _uses.setdefault(tool.function, _Uses())
    alone = tool.alone and not tool.set_options.get("url")
    single: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = weakref.WeakKeyDictionary()
    first: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = weakref.WeakKeyDictionary()

    async def function(**inputs: Any) -> Any:
        if not waits or tool.at_once(inputs):
            found = tool.function(**inputs)  # its caller makes errors of exits
            return await _within(found, seconds) if inspect.isawaitable(found) else found
        loop = asyncio.get_running_loop()
        careful = first.setdefault(loop, asyncio.Semaphore(STUCK))
        own = single.setdefault(loop, asyncio.Semaphore(1)) if alone else contextlib.nullcontext()
        async with own, contextlib.nullcontext() if uses.proven else careful, _turn():
            return await _in_thread(tool, uses, seconds, inputs)

    return tool.model_copy(update={"function": function})


async def _in_thread(tool: KnowledgeTool, uses: _Uses, seconds: float, inputs: dict[str, Any]) -> Any:
    use = uses.begin(tool.name)

    def work() -> Any:
        try:
            return tool.function(**inputs)
        finally:
            uses.end(use)

    try:
        return await _within(in_daemon_thread(work, tool.name), seconds)
    finally:
        uses.give_up(use, tool.name)


async def in_daemon_thread(call: Callable[[], Any], name: str) -> Any:
    """Runs a blocking call; a daemon thread, because one that hangs must not hold up the exit."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: Any, error: BaseException | None) -> None:
        if not done.done():
            done.set_exception(error) if error else done.set_result(result)

    def work() -> None:
        result, error = None, cast("BaseException | None", None)
        try:
            result = context.run(call)
        except StopIteration as raised:  # a future refuses this one and waits forever: python/cpython#112182
            error = RuntimeError("the tool raised StopIteration")
            error.__cause__ = raised
        except Exception as raised:
            error = raised
        except BaseException as raised:  # such as SystemExit, which would end the run
            error = RuntimeError(f"tool {name} raised {type(raised).__name__}")
            error.__cause__ = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, daemon=True, name=f"anyprefer-tool-{name}").start()
    return await done


async def _within(use: Any, seconds: float) -> Any:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await use
    except TimeoutError:
        if limit.expired():
            raise ToolFailure(f"no answer within {seconds:g} s") from None
        raise  # the tool's own time limit


def _turn() -> asyncio.Semaphore:
    """The turns of this event loop's tools that run in threads."""
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(THREADS))
