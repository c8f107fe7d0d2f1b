"""Call or server: what a failure means, decided by other calls and by probes, never by luck.

A call has failed when it was tried often enough and the model answered somebody else, or a probe, meanwhile. A server
refuses everything when it refuses a probe too, and is given up when it has answered nobody for `patience` seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from anyprefer.core.errors import EndpointError
from anyprefer.core.server_settings import ServerSettings
from anyprefer.models.servers.failures import BadAnswer, Failure, HTTPStatusError
from anyprefer.models.servers.traffic import Call, Traffic

FIRST_WAIT = 0.5
"""Seconds before a second try, at most."""
ASSURED = 4
"""Probes that must be refused before a server that has answered is taken to refuse everything."""
STRAY = 2
"""Further tries of a call that alone is answered 403."""
FIXES = {
    401: "check the key",
    402: "the account has no credit; add to it",
    403: "check the key's rights and the account",
    404: "check the model's name and the URL's path, which often ends in /v1",
    429: "the account's quota is spent; add to it",
}

Probe = Callable[[Traffic, Call, bool], Awaitable[Failure | None]]
"""Sends a tiny request of our own to a call's model, or the call's own; None when the server deals with it."""


class Verdict:
    """What ends a call, or the run, at one server."""

    def __init__(self, limits: ServerSettings, probe: Probe) -> None:
        self._limits = limits
        self._probe = probe

    def tried_enough(self, call: Call, busy: bool, now: float) -> bool:
        """Whether a call that has failed once more has used up its tries."""
        too_often = call.suspect or call.failures > self._limits.retries
        return (too_often and not busy) or now - call.first_failure >= self._limits.patience

    async def raise_final(self, error: Failure, traffic: Traffic, call: Call) -> None:
        """Raises what no waiting helps: this call, or any."""
        kind, fresh = error.kind, call.standing.answered < 0
        own = kind == "forbidden" and not fresh
        if kind == "final" or (own and call.failures >= STRAY):
            raise error
        suspicious = not own and (_is_refusal(error) or (fresh and isinstance(error, BadAnswer)))
        if kind in ("never", "account") or (suspicious and await self._refuses_all(error, traffic, call)):
            reason = f"{call.standing.where} refuses every call: {error}; {_fix(error)}"
            call.standing.give_up(reason, traffic.now())
            traffic.gate.open()
            raise EndpointError(reason) from error

    async def _refuses_all(self, error: Failure, traffic: Traffic, call: Call) -> bool:
        """Whether probes are refused like this call, where nothing was answered yet the call itself once more."""
        standing, since = call.standing, traffic.now()
        async with standing.deciding:
            raise_given_up(call)
            again = [False] * ASSURED
            if standing.answered < 0 and isinstance(error, HTTPStatusError):
                again = [True] if error.of_all else [True, False]
            for number, same in enumerate(again):
                await asyncio.sleep(FIRST_WAIT * 2.0**number)
                if standing.answered >= since:
                    return False
                failure = await self._probe(traffic, call, same)
                if failure is None or not (_is_refusal(failure) or isinstance(failure, BadAnswer)):
                    return False
            return True

    async def decide(self, error: Failure, traffic: Traffic, call: Call, failed_at: float) -> None:
        """Whether it is the call or the server that fails. Raises the error when it is the call; when it is the
        server returns once that is back."""
        standing = call.standing
        enough = self.tried_enough(call, error.kind == "busy", failed_at)
        if enough and standing.answered >= call.first_failure:
            error.tried = (
                f"; tried {call.sent} times in {failed_at - call.begun:.0f} s, while other calls were answered "
                f"(retries = {self._limits.retries}, patience = {self._limits.patience:g} s)"
            )
            raise error
        await self.until_answered(traffic, call)
        if standing.back >= call.first_failure:
            call.start_again()
        call.suspect = call.suspect or enough

    async def until_answered(self, traffic: Traffic, call: Call) -> None:
        """Returns once this model has answered anybody. Raises `EndpointError` when it is given up instead."""
        standing, since = call.standing, traffic.now()
        async with standing.deciding:
            while standing.answered < since:
                raise_given_up(call)
                error = await self._probe(traffic, call, False)
                now = traffic.now()
                if error is None:
                    return
                if error.kind != "busy":
                    standing.is_down(error, now)
                if standing.spent(now):
                    standing.give_up(standing.silence(error, now), now)
                    traffic.gate.open()
                    raise EndpointError(standing.reason) from error
                await standing.pause()


def raise_given_up(call: Call) -> None:
    """Raises `EndpointError` when the server was given up while this call waited."""
    if call.standing.given_up >= call.begun:
        raise EndpointError(call.standing.reason)


def _is_refusal(error: Failure) -> bool:
    return error.kind in ("refused", "forbidden", "account")


def _fix(error: Failure) -> str:
    if isinstance(error, HTTPStatusError):
        return FIXES.get(error.status, FIXES[404] if error.status >= 400 else "check the URL")
    if isinstance(error, BadAnswer):
        return "check the URL's path, which often ends in /v1"
    return "check the URL and its certificate (SSL_CERT_FILE)"
