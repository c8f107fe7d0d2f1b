"""What all workers of a run share, kept by the driver: budget, pace, ledger and log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from anyprefer.core.settings import RunSettings
from anyprefer.models.calls import Calls, Spending
from anyprefer.models.servers.rate_limits import Pacer

if TYPE_CHECKING:
    from anyprefer.graph.runs.workers.process import Answer, Message

log = logging.getLogger("anyprefer")


class Shared:
    """One of a run.

    `rpm` and `tpm` are kept by one `Pacer` a server: requests of all workers pass it one after another,
    whichever worker has how many. They leave a worker some milliseconds later, which keeps every window of
    60 seconds within 2%.
    """

    def __init__(self, calls: Calls, settings: RunSettings) -> None:
        self.calls = calls
        self.known: dict[str, dict[str, bytes]] = {}
        """What is kept of every task in flight, by key: what its next worker is given when one dies."""
        self._settings = settings
        self._pacers: dict[str, Pacer] = {}
        self._said: dict[str, tuple[str, object]] = {}

    def pacer(self, url: str) -> Pacer:
        """The pacer of a server."""
        if url not in self._pacers:
            server = self._settings.server(url)
            self._pacers[url] = Pacer(server.rpm, server.tpm)
        return self._pacers[url]

    def said(self, worker: object, level: int, template: str, subject: str, text: str) -> None:
        """Logs a worker's line, unless another worker's said the same of the same subject last."""
        last = self._said.get(subject)
        if last and last[0] == template and last[1] is not worker:
            return
        self._said[subject] = (template, worker)
        log.log(level, "%s", text)


class Service:
    """What the driver does for one worker, message by message; the methods not named `take` or `gone` are
    what a `Message` may want."""

    def __init__(self, shared: Shared, answer: Callable[[list[Answer]], None]) -> None:
        """`answer` sends a batch of answers to the worker."""
        self.shared = shared
        self._calls = shared.calls
        self._send = answer
        self._answers: list[Answer] = []
        self._handling: set[asyncio.Task[None]] = set()

    def take(self, messages: Sequence[Message]) -> None:
        """Begins to do what they want, in their order."""
        for number, what, values in messages:
            task = asyncio.create_task(self._handle(number, _WANTS[what], values), name=what)
            self._handling.add(task)
            task.add_done_callback(self._handling.discard)

    async def gone(self) -> None:
        """The worker is no more; what it handed over is kept first."""
        for pacing in [task for task in self._handling if task.get_name() == "pace"]:
            pacing.cancel()
        await asyncio.gather(*self._handling, return_exceptions=True)

    async def _handle(self, number: int, want: Callable[..., Any], values: tuple[Any, ...]) -> None:
        try:
            value = want(self, *values)
            if asyncio.iscoroutine(value):
                value = await value
        except Exception as error:
            value = error
        if number:
            if not self._answers:
                asyncio.get_running_loop().call_soon(self._flush)
            self._answers.append((number, value))

    def _flush(self) -> None:
        answers, self._answers = self._answers, []
        self._send(answers)

    def _admit(self) -> None:
        self._calls.admit()

    def _unsent(self) -> None:
        """A request that was admitted too late."""
        self._calls.requests -= 1

    def _another(self) -> None:
        """A request that is on its way already."""
        self._calls.requests += 1

    async def _keep(self, task: str, key: str, value: bytes | None, spending: Spending | None) -> None:
        if spending:
            self._calls.count(spending.role, spending.usage)
        if self._calls.store and (spending or value is not None):
            await self._calls.store.keep_act(task, key, value, spending)
        if value is not None and task in self.shared.known:
            self.shared.known[task][key] = value

    async def _pace(self, url: str, size: int | None, again: bool) -> float:
        if again and self._calls.stopped:
            raise self._calls.stopped
        charged = 0.0 if size is None else await self.shared.pacer(url).pace(size)
        if again:
            self._calls.admit()
        return charged

    def _settle(self, url: str, charged: float, size: int, read: int, written: int) -> None:
        self.shared.pacer(url).settle(charged, size, read, written)

    def _log(self, level: int, template: str, subject: str, text: str) -> None:
        self.shared.said(self, level, template, subject, text)


_WANTS: dict[str, Callable[..., Any]] = {
    "admit": Service._admit,
    "unsent": Service._unsent,
    "another": Service._another,
    "keep": Service._keep,
    "pace": Service._pace,
    "settle": Service._settle,
    "log": Service._log,
}
