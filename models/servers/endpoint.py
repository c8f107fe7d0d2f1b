"""One model server as all roles share it: how fast it is asked, what is tried again, when it is given up.

| what comes | what happens |
|---|---|
| a refused optional part | the same request without it (`negotiation.py`) |
| 429 | the call waits for 0.5 to 30 s, longer if the server asks for it; many of them, and fewer requests are sent (`congestion.py`) |
| 408, 409, 425, 5xx, no whole answer | again after a random share of 0.5, 1, 2, … 8 s, at most `retries` times |
| so often, or for as long as `patience` | if the model answers other calls, or a probe, this call has failed; else all wait |
| nothing is answered, probes neither | an `EndpointError` after `patience` stops the run |
| 401, 404, a redirect, no credit, 403 or nonsense before any answer | a probe decides: `EndpointError` stops the run, or as above |
| 402 | `EndpointError` stops the run |
| other 4xx | `HTTPStatusError`, which is this call's failure |
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from anyprefer.core.listening import note
from anyprefer.core.secrets import keep_secrets_in, public_url, redact
from anyprefer.core.server_settings import ALONE, ServerSettings
from anyprefer.core.settings import RunSettings
from anyprefer.models.sending import another_request
from anyprefer.models.servers.blame import FIRST_WAIT, Verdict, raise_given_up
from anyprefer.models.servers.failures import Failure, HTTPStatusError, TransportError
from anyprefer.models.servers.health import probe_body
from anyprefer.models.servers.http import Route, send
from anyprefer.models.servers.keys import Keys
from anyprefer.models.servers.negotiation import Terms
from anyprefer.models.servers.response import tokens
from anyprefer.models.servers.traffic import Call, Request, Traffic

_Answer = Coroutine[Any, Any, dict[str, Any]]
Send = Callable[[Route, bytes], _Answer]

LONGEST_WAIT = 8.0
"""Seconds; a server that is down is waited for otherwise."""
LONGEST_REFUSED = 30.0
"""Seconds between two tries that are answered with 429."""


class Endpoint:
    """A base URL with its limits."""

    def __init__(self, url: str, limits: ServerSettings = ALONE, send: Send = send) -> None:
        self.url = public_url(url)
        self.limits = limits
        self._send = send
        self._traffic: dict[asyncio.AbstractEventLoop, Traffic] = {}
        self._terms: dict[str, Terms] = {}
        self._verdict = Verdict(limits, self._probe)

    def terms(self, model: str) -> Terms:
        """What a model here takes, shared by all who ask it."""
        if model not in self._terms:
            self._terms[model] = Terms(f"{model} at {self.url}", self.limits.leave_out)
        return self._terms[model]

    async def ask(self, request: Request) -> dict[str, Any]:
        """The answer's JSON object.

        Raises `HTTPStatusError` or `TransportError` when this call fails, `EndpointError` when all would,
        `BudgetSpent` when the run may not send it once more.
        """
        traffic = self._traffic.get(asyncio.get_running_loop()) or self._new_traffic()
        call = Call(request, traffic.standing(request.model), traffic.now())
        while True:
            if call.standing.down:
                await self._verdict.until_answered(traffic, call)
            try:
                return await self._attempt(traffic, call)
            except (HTTPStatusError, TransportError) as error:
                wait = await self._after(error, traffic, call)
                await note("retry", error=redact(str(error)), seconds=round(wait, 3))
            if wait:
                await asyncio.sleep(wait)
            raise_given_up(call)

    def _new_traffic(self) -> Traffic:
        self._traffic = {loop: traffic for loop, traffic in self._traffic.items() if not loop.is_closed()}
        return self._traffic.setdefault(asyncio.get_running_loop(), Traffic(self.url, self.limits))

    async def _attempt(self, traffic: Traffic, call: Call) -> dict[str, Any]:
        """Sends the request once, when there is a place and its turn has come."""
        gate, pacer, size = traffic.gate, traffic.pacer, call.request.size
        epoch = await gate.enter(again=call.sent > 0)
        try:
            raise_given_up(call)
            charged = 0.0 if pacer.idle else await pacer.pace(size)
            if call.sent:
                another_request()
            call.sent += 1
            answer = await self._sent(call.request)
        except HTTPStatusError as error:
            gate.note(epoch, error.status == 429, min(error.retry_after or 0.0, self.limits.patience))
            pacer.settle(charged, size, 0, 0)
            raise
        finally:
            gate.leave()
        gate.note(epoch, False)
        if call.standing.succeeded(traffic.now()):
            gate.open()
        if not pacer.idle:
            pacer.settle(charged, size, *tokens(answer, size))
        return answer

    def _sent(self, request: Request) -> _Answer:
        if request.deal is None:
            return self._send(request.route, request.body)
        return request.deal.sent(request.body, partial(self._send, request.route))

    async def _after(self, error: Failure, traffic: Traffic, call: Call) -> float:
        """Seconds until the call is tried again. Raises what ends it."""
        request, standing, now = call.request, call.standing, traffic.now()
        await self._verdict.raise_final(error, traffic, call)
        if standing.back >= call.first_failure:
            call.start_again()
        call.first_failure = min(call.first_failure, now)
        busy = error.kind == "busy"
        call.refusals += busy
        call.failures += not busy
        many = standing.failed(error, id(call), traffic.gate.in_flight, now)
        if request.retries is not None:
            if call.sent > request.retries:
                raise error
        elif many or self._verdict.tried_enough(call, busy, now):
            await self._verdict.decide(error, traffic, call, now)
        return self._backoff(error, call.refusals if busy else call.failures)

    async def _probe(self, traffic: Traffic, call: Call, same: bool) -> Failure | None:
        """Sends a tiny request of our own to the same model, or the `same` request; None when the server deals with
        it."""
        request = call.request
        body = request.deal.known() if request.deal else request.body
        body = body if same else probe_body(body)
        surplus = request.surplus if same else 0
        probe = Call(Request(request.route, body, request.model, surplus=surplus), call.standing, call.begun)
        probe.sent = 1  # it is one more request of the call it is sent for
        try:
            await self._attempt(traffic, probe)
        except (HTTPStatusError, TransportError) as error:
            if error.kind != "final":
                return error
            if call.standing.succeeded(traffic.now()):
                traffic.gate.open()
        return None

    def _backoff(self, error: Failure, times: int) -> float:
        """Seconds until the next try. A server may ask for more, never for less."""
        busy = error.kind == "busy"
        longest = min(LONGEST_REFUSED if busy else LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(max(0, times - 1), 10))
        own = random.uniform(0.5 if busy else 0.0, 1.0) * longest
        return max(own, random.uniform(1.0, 1.2) * min(error.retry_after or 0.0, self.limits.patience))


class Servers:
    """The servers of one run: their keys, and an endpoint for each base URL."""

    def __init__(self, settings: RunSettings) -> None:
        """Raises `ModelSetupError` as `Keys` does."""
        self.keys = Keys(settings)
        for server in (settings, *settings.servers.values()):
            keep_secrets_in({**server.headers, **server.extra_body})
        self._settings = settings
        self._by_url: dict[str, Endpoint] = {}

    def at(self, url: str) -> Endpoint:
        """The endpoint of a base URL, the same one for every model there."""
        key = url.rstrip("/")
        if key not in self._by_url:
            self._by_url[key] = Endpoint(key, self._settings.server(key))
        return self._by_url[key]
