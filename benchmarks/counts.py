"""What the benchmark's server counts, for GET /stats."""

from __future__ import annotations

import resource
import time
from bisect import bisect
from collections import Counter, deque

WINDOW = 60.0
"""Seconds over which a provider's requests and tokens a minute are counted."""


class Sliding:
    """The largest sum in any WINDOW seconds, exact: it is looked at whenever something is added."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, int]] = deque()
        self._sum = 0
        self.most = 0

    def add(self, now: float, amount: int) -> None:
        self._kept.append((now, amount))
        self._sum += amount
        while self._kept[0][0] <= now - WINDOW:
            self._sum -= self._kept.popleft()[1]
        self.most = max(self.most, self._sum)


class Counts:
    """Emptied by making a new one."""

    def __init__(self) -> None:
        self.roles: Counter[str] = Counter()
        """Requests that arrived, by role."""
        self.arrived: Counter[bytes] = Counter()
        self.served: Counter[bytes] = Counter()
        """By the body's hash: all requests, and those answered in full."""
        self.spent: dict[bytes, float] = {}
        """When a body was answered in full, or its connection went while it was: a provider bills both."""
        self.lost: list[float] = []
        """When connections went."""
        self.oldest = 0.0
        self.faults: Counter[str] = Counter()
        self.other: Counter[str] = Counter()
        self.again: Counter[str] = Counter()
        """Requests, by role, whose body was answered or being answered before."""
        self.abandoned = self.in_flight = self.peak = self.choices = 0
        self.prompt_tokens = self.completion_tokens = 0
        self.first = self.last = 0.0
        self.requests, self.tokens = Sliding(), Sliding()
        self.requests_each: Counter[int] = Counter()
        self.tokens_each: Counter[int] = Counter()
        """By the second since the first request."""

    def arrive(self, role: str, key: bytes) -> int:
        """Counts a request; returns how often the same body came before."""
        now = time.monotonic()
        self.first = self.first or now
        self.roles[role] += 1
        self.arrived[key] += 1
        if key in self.spent:
            self.again[role] += 1
            self.oldest = max(self.oldest, self._before_loss(self.spent[key]))
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        self.requests.add(now, 1)
        self.requests_each[int(now - self.first)] += 1
        return self.arrived[key] - 1

    def serve(self, key: bytes, taken: int, given: int, choices: int) -> None:
        """Counts an answer given in full. Its tokens count at the time of the answer."""
        now = time.monotonic()
        self.served[key] += 1
        self.spent[key] = now
        self.choices += choices
        self.prompt_tokens += taken
        self.completion_tokens += given
        self.tokens.add(now, taken + given)
        self.tokens_each[int(now - self.first)] += taken + given

    def end(self) -> None:
        """A request is over, however it went."""
        self.in_flight -= 1
        self.last = time.monotonic()

    def abandon(self, key: bytes) -> None:
        """The client went before its answer was there."""
        self.abandoned += 1
        self.end()
        self.spent[key] = self.last

    def lose(self) -> None:
        """A connection is gone."""
        self.lost.append(time.monotonic())

    def _before_loss(self, answered: float) -> float:
        """How long before the next loss of a connection something was answered."""
        at = bisect(self.lost, answered)
        return self.lost[at] - answered if at < len(self.lost) else 0.0

    def asdict(self) -> dict[str, object]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "calls": self.roles.total(),
            "roles": dict(self.roles),
            "ok": self.served.total(),
            "choices": self.choices,
            "distinct": len(self.arrived),
            "repeated": self.served.total() - len(self.served),
            "asked_again": self.again.total(),
            "asked_again_roles": {role: count for role, count in self.again.items() if count},
            "asked_again_oldest": round(self.oldest, 3),
            "abandoned": self.abandoned,
            "faults": dict(self.faults),
            "other": dict(self.other),
            "in_flight": self.in_flight,
            "peak": self.peak,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "seconds": round(self.last - self.first, 3),
            "most_requests_in_60s": self.requests.most,
            "most_tokens_in_60s": self.tokens.most,
            "requests_each_second": _bars(self.requests_each),
            "tokens_each_second": _bars(self.tokens_each),
            "server_cpu": round(used.ru_utime + used.ru_stime, 3),
        }


def _bars(counted: Counter[int]) -> list[int]:
    return [counted[second] for second in range(max(counted, default=-1) + 1)]
