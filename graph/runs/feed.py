"""The input of a run, read beside the event loop: a slow file, hub or generator holds up no call in flight."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")
AHEAD = 16
"""Items that are read before they are asked for, at most."""


class Feed(Generic[T]):
    """Items in order.

    They are read in a thread of the feed's own, which the end of the program does not wait for (a pipe may stay
    silent for ever), and at most `ahead` of them before they are asked for, since every change of threads costs a run
    CPU; those of a list, which cost nothing to read, where they are asked for.
    """

    def __init__(self, items: Iterable[T], in_memory: bool = False, ahead: int = AHEAD) -> None:
        self.over = False
        """Whether there are no more items."""
        self._items: Iterator[T] = iter(items)
        self._in_memory = in_memory
        self._ahead = ahead
        self._asked = 0
        self._requests: SimpleQueue[int] = SimpleQueue()
        self._ready: deque[T] = deque()
        self._done = False
        self._error: BaseException | None = None
        self._woken: asyncio.Event | None = None
        self._waiting = False

    async def take(self, most: int) -> list[T]:
        """At least one item and at most so many; none when it is over. Raises what reading raised."""
        if self._in_memory:
            taken = list(islice(self._items, most))
            self.over = not taken
            return taken
        if self._woken is None:
            self._woken = asyncio.Event()
            threading.Thread(target=self._read, args=[asyncio.get_running_loop()], daemon=True, name="input").start()
        if not self._ready:
            self._ask(most)
        while not (self._ready or self._done):
            self._woken.clear()
            self._waiting = True
            if self._ready or self._done:  # came meanwhile
                break
            await self._woken.wait()
        self._waiting = False
        taken = self.at_hand(most)
        self.over = not taken
        if self.over and self._error:
            raise self._error
        return taken

    def at_hand(self, most: int) -> list[T]:
        """The same of what has been read already, which may be nothing."""
        taken = [self._ready.popleft() for _ in range(min(most, len(self._ready)))]
        self._asked -= len(taken)
        if self._woken and 2 * len(self._ready) < self._ahead:
            self._ask(self._ahead)
        return taken

    def _ask(self, most: int) -> None:
        if most > self._asked:
            self._requests.put(most - self._asked)
            self._asked = most

    def close(self) -> None:
        """Nothing more is read."""
        self._requests.put(0)

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._done and (count := self._requests.get()):
            for _ in range(count):
                try:
                    self._ready.append(next(self._items))
                except StopIteration:
                    self._done = True
                except BaseException as error:
                    self._error, self._done = error, True
                if self._waiting:
                    self._waiting = False
                    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                        loop.call_soon_threadsafe(self._wake)
                if self._done:
                    return

    def _wake(self) -> None:
        if self._woken:
            self._woken.set()
