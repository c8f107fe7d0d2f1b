"""Turns many small concurrent calls into few large batches: a queue and one worker thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

PATIENCE = 0.02
"""Seconds without a new call after which the waiting ones run. Small beside a batch, long beside an event loop's turn."""


class Batcher(Generic[Item, Result]):
    """Collects submitted items and hands them, all that wait at once, to `work` on one thread.

    `work` settles each item's future itself; whatever it raises is passed to the futures still open.
    """

    def __init__(self, work: Callable[[Sequence[tuple[Item, Future[Result]]]], None]) -> None:
        self._work = work
        self._waiting: list[tuple[Item, Future[Result]]] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._open = True

    def submit(self, item: Item) -> Future[Result]:
        """Queue one item; the first one starts the thread. A closed batcher opens again."""
        future: Future[Result] = Future()
        with self._changed:
            self._open = True
            self._waiting.append((item, future))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="anyprefer-batcher", daemon=True)
                self._thread.start()
            self._changed.notify()
        return future

    def close(self) -> None:
        """Finish what waits, then stop the thread and wait for it."""
        with self._changed:
            self._open = False
            self._changed.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        while (batch := self._collect()) is not None:
            try:
                self._work(batch)
            except BaseException as error:  # a worker thread must answer its callers, whatever happened
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)

    def _collect(self) -> list[tuple[Item, Future[Result]]] | None:
        """All waiting items once no new one came for PATIENCE; None when closed (the thread then ends)."""
        with self._changed:
            while not self._waiting:
                if not self._open:
                    self._thread = None
                    return None
                self._changed.wait()
            count = -1
            while self._open and count != len(self._waiting):
                count = len(self._waiting)
                self._changed.wait(PATIENCE)
            taken, self._waiting = self._waiting, []
        return [(item, future) for item, future in taken if future.set_running_or_notify_cancel()]
