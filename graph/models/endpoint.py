"""One model server as all roles share it: how fast it is asked, what is tried again, when it is given up.

| what comes | what happens |
|---|---|
| 429 | the call waits as the server asks, else 0.5 to 30 s; many of them, and fewer requests are sent (`gate.py`) |
| 408, 409, 5xx, no whole answer | again after a random share of 0.5, 1, 2, … 30 s, at most `retries` times |
| nothing succeeds any more | all wait, one tries (`health.py`); after `patience` an `EndpointError` stops the run |
| 401, 404, 403 before any success | `EndpointError` stops the run |
| other 4xx | `HTTPStatusError`, which is this call's failure |
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from anyprefer.graph.errors import EndpointError, RunStopped
from anyprefer.graph.models.failures import Failure, HTTPStatusError, TransportError
from anyprefer.graph.models.gate import Gate
from anyprefer.graph.models.health import PROBE, Health
from anyprefer.graph.models.http import Route, send
from anyprefer.graph.models.limits import ALONE, Limits
from anyprefer.graph.models.pacing import Pacer

Send = Callable[[Route, bytes], Awaitable[dict[str, Any]]]

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds."""
ENOUGH = 20
"""Answers before the latency is known well enough to hedge."""
LOOK = 1.0
"""Seconds after which a request in flight is looked at again, since the latency may have become known."""
MENDS = {
    401: "check the key",
    403: "check the key's rights",
    404: "check the model's name and the URL's path, which often ends in /v1",
    429: "the account's quota is spent; add to it",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One call as the endpoint sees it."""

    route: Route
    body: bytes
    model: str
    """The model's name, for messages."""
    retries: int | None = None
    """The model's own `max_retries`, which then counts whatever the server's state; None: the endpoint's."""


class _Call:
    """What became of a request so far."""

    __slots__ = ("begun", "failures", "first_failure", "refusals", "request", "sent")

    def __init__(self, request: Request, now: float) -> None:
        self.request = request
        self.begun = now
        self.first_failure = float("inf")
        self.sent = self.failures = self.refusals = 0


class _Traffic:
    """An endpoint's state on one event loop; all calls of a run are made on one."""

    def __init__(self, url: str, limits: Limits) -> None:
        self.now = asyncio.get_running_loop().time
        self.gate = Gate(limits.connections)
        self.pacer = Pacer(limits.rpm, limits.tpm)
        self.health = Health(url, limits.patience)
        self.latencies: deque[float] = deque(maxlen=200)

    def slow(self, times: float) -> float:
        """Seconds after which a request is slow: so many times the 95th percentile; infinite while that is unknown."""
        if len(self.latencies) < ENOUGH:
            return float("inf")
        return times * sorted(self.latencies)[int(0.95 * len(self.latencies))]


Sent = Callable[[_Traffic, _Call], Awaitable[dict[str, Any]]]


class Endpoint:
    """A base URL with its limits."""

    def __init__(self, url: str, limits: Limits = ALONE, send: Send = send) -> None:
        self.url = url
        self.limits = limits
        self._send = send
        self._traffic: dict[asyncio.AbstractEventLoop, _Traffic] = {}

    async def ask(self, request: Request) -> dict[str, Any]:
        """The answer's JSON object.

        Raises `HTTPStatusError` or `TransportError` when this call fails, `EndpointError` when all would,
        `BudgetSpent` when the run may not send it once more.
        """
        traffic = self._traffic.get(asyncio.get_running_loop()) or self._new_traffic()
        call = _Call(request, traffic.now())
        while True:
            try:
                return await self._attempt(traffic, call, self._hedged)
            except (HTTPStatusError, TransportError) as error:
                wait = self._wait_after(error, traffic, call)
            if wait:
                await asyncio.sleep(wait)
            if traffic.health.given_up >= call.begun:
                raise EndpointError(traffic.health.reason)

    def _new_traffic(self) -> _Traffic:
        self._traffic = {loop: traffic for loop, traffic in self._traffic.items() if not loop.is_closed()}
        return self._traffic.setdefault(asyncio.get_running_loop(), _Traffic(self.url, self.limits))

    async def _attempt(self, traffic: _Traffic, call: _Call, sent: Sent) -> dict[str, Any]:
        """Sends the request once, when there is a place and its turn has come."""
        gate, pacer, size = traffic.gate, traffic.pacer, len(call.request.body)
        epoch = await gate.enter(again=call.sent > 0)
        try:
            charged = 0.0 if pacer.idle else await pacer.pace(size)
            if call.sent:
                _another_request()
            call.sent += 1
            begun = traffic.now()
            answer = await sent(traffic, call)
            traffic.latencies.append(traffic.now() - begun)
        except HTTPStatusError as error:
            gate.note(epoch, error.status == 429, min(error.retry_after or 0.0, self.limits.patience))
            pacer.settle(charged, size, 0, 0)
            raise
        finally:
            gate.leave()
        gate.note(epoch, False)
        if traffic.health.succeeded(traffic.now()):
            gate.open()
        if not pacer.idle:
            usage = answer.get("usage") or {}
            pacer.settle(charged, size, usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0)
        return answer

    async def _once(self, traffic: _Traffic, call: _Call) -> dict[str, Any]:
        return await self._send(call.request.route, call.request.body)

    async def _hedged(self, traffic: _Traffic, call: _Call) -> dict[str, Any]:
        """The request, and others beside it one after another while it is slow; the first answer counts."""
        if not self.limits.hedge:
            return await self._once(traffic, call)
        first = asyncio.create_task(self._once(traffic, call))
        tries = [first]
        try:
            while not await self._over(first, traffic):
                tries.append(asyncio.create_task(self._attempt(traffic, call, self._once)))
                await asyncio.wait({first, tries[-1]}, return_when=asyncio.FIRST_COMPLETED)
                done = [one for one in (first, tries[-1]) if one.done()]
                if answers := [one for one in done if one.exception() is None]:
                    return answers[0].result()
                if first.done():
                    return await tries[-1]
                if isinstance(tries[-1].exception(), RunStopped):
                    break
            return await first
        finally:
            for one in tries:
                one.add_done_callback(_heard)
                one.cancel()

    async def _over(self, first: asyncio.Task[Any], traffic: _Traffic) -> bool:
        """Waits until the request is over or slow; whether it is over."""
        begun = traffic.now()
        while not first.done() and (left := begun + traffic.slow(self.limits.hedge) - traffic.now()) > 0:
            await asyncio.wait({first}, timeout=min(left, LOOK))
        return first.done()

    def _wait_after(self, error: Failure, traffic: _Traffic, call: _Call) -> float:
        """Seconds until the call is tried again. Raises what ends it."""
        health, gate, now = traffic.health, traffic.gate, traffic.now()
        self._raise_final(error, traffic, call.request)
        call.first_failure = min(call.first_failure, now)
        health.failed(error, id(call), gate.in_flight, now)
        refused = isinstance(error, HTTPStatusError) and error.status == 429
        call.refusals += refused
        call.failures += not refused and not health.away
        if self._failed(call, refused, health.answered, now):
            raise error
        if health.spent(now):
            reason = health.give_up(error, now)
            gate.turn_away(reason, EndpointError)
            gate.open()
            raise EndpointError(reason) from error
        if health.away:
            gate.probe(after=health.probe_after)
            return 0.0
        return self._backoff(error, call.refusals if refused else call.failures)

    def _raise_final(self, error: Failure, traffic: _Traffic, request: Request) -> None:
        """Raises what no waiting mends."""
        status = error.status if isinstance(error, HTTPStatusError) else None
        spent = status == 429 and "insufficient_quota" in str(error)
        refused = status in (401, 404) or (status == 403 and traffic.health.answered < 0)
        if spent or refused or (status is None and not error.retryable):
            mend = MENDS.get(status or 0, "check the URL and its certificate (SSL_CERT_FILE)")
            raise EndpointError(f"{request.model} at {self.url} refuses every call: {error}; {mend}") from error
        if not error.retryable:
            raise error

    def _failed(self, call: _Call, refused: bool, answered: float, now: float) -> bool:
        """Whether the call has failed for good: the server answers others, and this one was tried often enough."""
        if call.request.retries is not None:
            return call.sent > call.request.retries
        if answered < call.first_failure:
            return False
        if refused:
            return now - call.first_failure >= self.limits.patience
        return call.failures > self.limits.retries

    def _backoff(self, error: Failure, times: int) -> float:
        if error.retry_after is not None:
            return random.uniform(1.0, 1.2) * min(error.retry_after, self.limits.patience)
        most = LONGEST_WAIT if isinstance(error, HTTPStatusError) else PROBE
        longest = min(most, FIRST_WAIT * 2.0 ** min(times - 1, 10))
        refused = isinstance(error, HTTPStatusError) and error.status == 429
        return random.uniform(0.5 if refused else 0.0, 1.0) * longest


class Endpoints:
    """The endpoints of one run, by base URL."""

    def __init__(self, limits: Limits = ALONE) -> None:
        self.limits = limits
        self._by_url: dict[str, Endpoint] = {}

    def at(self, url: str) -> Endpoint:
        """The endpoint of a base URL, the same one for every model there."""
        key = url.rstrip("/")
        return self._by_url.setdefault(key, Endpoint(key, self.limits))


def _heard(task: asyncio.Task[Any]) -> None:
    """Takes note of an error nobody waits for any more, or asyncio would log it."""
    if not task.cancelled():
        task.exception()


def _another_request() -> None:
    """Counts a further request against the run's budget."""
    from anyprefer.graph.calls import another_request  # it imports the models

    another_request()
