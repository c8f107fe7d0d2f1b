"""Whether a model server is there at all.

Calls are told apart from the server: a call fails when the server goes on answering others, the server
is away when nothing has succeeded since. While it is away calls wait, and one at a time tries.
"""

from __future__ import annotations

import logging
import random

from anyprefer.graph.models.failures import Failure, HTTPStatusError

log = logging.getLogger("anyprefer")

ABSENT, REFUSING = 2.0, 30.0
"""Seconds without a success after which it is logged: when calls fail, and when all are refused with 429."""
PROBE = 5.0
"""Seconds at most between two tries at a server that is away."""
ROW = 3
"""Failures in a row, at least, before a server counts as away."""
AWAY = (502, 503, 504, 520, 521, 522, 523, 524, 529)
"""Statuses by which something before the server says that it does not answer."""


class Health:
    """Successes and failures of one endpoint."""

    def __init__(self, url: str, patience: float) -> None:
        self.url = url
        self.patience = patience
        self.answered = float("-inf")
        """When a call was last answered in full."""
        self.failing_since: float | None = None
        """When the first failure came after that."""
        self.away = False
        self.given_up = float("-inf")
        """When the server was last given up."""
        self.reason = ""
        self._row = 0
        self._callers: set[int] = set()
        self._probes = 0
        self._said = False

    def succeeded(self, now: float) -> bool:
        """Notes an answer; whether the server was away until now."""
        self.answered = now
        if self.failing_since is None:
            return False
        if self._said:
            log.warning("%s answers again after %.0f s", self.url, now - self.failing_since)
        was_away, self.away = self.away, False
        self.failing_since, self._row, self._probes, self._said = None, 0, 0, False
        self._callers.clear()
        return was_away

    def failed(self, error: Failure, caller: int, in_flight: int, now: float) -> None:
        """Notes a failure that may pass. A 429 is a sign of life, though not an answer."""
        if self.failing_since is None:
            self.failing_since = now
        status = error.status if isinstance(error, HTTPStatusError) else None
        if status == 429:
            return self._say(error, now, REFUSING)
        self._row += 1
        self._callers.add(caller)
        if self._row >= max(ROW, in_flight):
            self.away = self.away or (len(self._callers) > 1 and (status is None or status in AWAY))
            self._say(error, now, ABSENT)

    def _say(self, error: Failure, now: float, patience: float) -> None:
        """Once per absence, when nothing has succeeded for so many seconds."""
        absent = now - (self.failing_since or now)
        if absent >= patience and not self._said:
            self._said = True
            log.warning(
                "%s has not answered for %.0f s (%s). Waiting for it up to %.0f s; Ctrl-C ends the run, and the same"
                " command goes on with it later",
                *(self.url, absent, error, self.patience),
            )

    def spent(self, now: float) -> bool:
        """Whether nothing has succeeded for longer than the patience lasts."""
        return self.failing_since is not None and now - self.failing_since >= self.patience

    def give_up(self, error: Failure, now: float) -> str:
        """The reason to raise in all calls that wait. The next call starts anew."""
        since = now - (self.failing_since or now)
        self.reason = f"{self.url} has not answered any call for {since:.0f} s: {error}; go on when it does"
        self.given_up = now
        self.failing_since, self.away, self._row, self._probes, self._said = None, False, 0, 0, False
        self._callers.clear()
        return self.reason

    def probe_after(self) -> float:
        """Seconds until the next try at a server that is away."""
        self._probes += 1
        return random.uniform(0.5, 1.0) * min(PROBE, 0.5 * 2.0 ** min(self._probes, 10))
