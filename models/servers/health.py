"""What is known of one model at a server: whether it is there, and whether it refuses everybody.

A call that fails again and again is told apart from a server that does by another call: one of another task, or
where there is none a tiny request of our own (`probe_body`). While the server is down only that one is sent, now
and then, and all calls wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import Any

import orjson

from anyprefer.models.servers.failures import Failure, HTTPStatusError

log = logging.getLogger("anyprefer")

ABSENT, REFUSING = 2.0, 30.0
"""Seconds without a success after which it is logged: when calls fail, and when all are refused with 429."""
PROBE = 5.0
"""Seconds at most between two probes of a server that is down."""
ROW = 3
"""Failures in a row, at least, before a server is probed that other calls may still find there."""
PROBE_TOKENS = 16
"""Tokens the answer to a probe may have."""
_LEFT_OUT = ("tools", "tool_choice", "parallel_tool_calls", "response_format", "n", "logprobs", "top_logprobs", "stop")


class Standing:
    """Successes and failures of one model at one server."""

    def __init__(self, where: str, patience: float) -> None:
        self.where = where
        """The model and the server, for messages."""
        self.patience = patience
        self.answered = float("-inf")
        """When a call, or a probe, was last answered in full."""
        self.failing_since: float | None = None
        """When the first failure came after that."""
        self.down = False
        """Whether a probe failed after that."""
        self.back = float("-inf")
        """When it was last answered after having been down."""
        self.given_up = float("-inf")
        """When it was last given up."""
        self.reason = ""
        """Why."""
        self.deciding = asyncio.Lock()
        """Held by the call that finds out for all."""
        self._answers = asyncio.Event()
        self._row = 0
        self._callers: set[int] = set()
        self._probes = 0
        self._said = False

    def succeeded(self, now: float) -> bool:
        """Notes an answer; whether the server was down until now."""
        self.answered = now
        if self.failing_since is None:
            return False
        if self._said:
            log.warning("%s answers again after %.0f s", self.where, now - self.failing_since)
        was_down = self.down
        if was_down:
            self.back = now
        self._begin()
        self._answers.set()
        return was_down

    def failed(self, error: Failure, caller: int, in_flight: int, now: float) -> bool:
        """Notes a failure that may pass; whether so many came in a row that the server should be probed.

        A 429 is a sign of life, though not an answer."""
        if self.failing_since is None:
            self.failing_since = now
            self._answers.clear()
        if isinstance(error, HTTPStatusError) and error.status == 429:
            self._say(error, now, REFUSING)
            return False
        self._row += 1
        self._callers.add(caller)
        return self._row >= max(ROW, in_flight) and len(self._callers) > 1

    def is_down(self, error: Failure, now: float) -> None:
        """Notes that a probe failed."""
        self.down = True
        self._say(error, now, ABSENT)

    def _say(self, error: Failure, now: float, patience: float) -> None:
        """Once per absence, when nothing has succeeded for so many seconds."""
        absent = now - (now if self.failing_since is None else self.failing_since)
        if absent >= patience and not self._said:
            self._said = True
            log.warning(
                "%s has not answered for %.0f s (%s). Waiting for it up to %.0f s; Ctrl-C ends the run, and the same"
                " command resumes it later",
                *(self.where, absent, error, self.patience),
            )

    def spent(self, now: float) -> bool:
        """Whether nothing has succeeded for as long as the patience lasts."""
        return self.failing_since is not None and now - self.failing_since >= self.patience

    def give_up(self, reason: str, now: float) -> str:
        """The reason to raise in all calls that wait. The next call starts again."""
        self.reason, self.given_up = reason, now
        self._begin()
        return reason

    def silence(self, error: Failure, now: float) -> str:
        """The words for a server that does not answer any more."""
        since = now - (now if self.failing_since is None else self.failing_since)
        return f"{self.where} has not answered any call for {since:.0f} s: {error}; resume when it does"

    async def pause(self) -> None:
        """Waits until the next probe is due, or somebody was answered."""
        self._probes += 1
        seconds = random.uniform(0.5, 1.0) * min(PROBE, 0.5 * 2.0 ** min(self._probes, 10))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._answers.wait(), seconds)

    def _begin(self) -> None:
        self.failing_since, self.down, self._row, self._probes, self._said = None, False, 0, 0, False
        self._callers.clear()


def probe_body(body: bytes) -> bytes:
    """A request with the same parameters and another, harmless and tiny question."""
    asked: dict[str, Any] = {name: value for name, value in orjson.loads(body).items() if name not in _LEFT_OUT}
    asked["messages"] = [{"role": "user", "content": "Reply with OK."}]
    for name in ("max_tokens", "max_completion_tokens"):
        if name in asked:
            asked[name] = PROBE_TOKENS
    return orjson.dumps(asked)
