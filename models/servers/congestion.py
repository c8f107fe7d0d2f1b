"""How many requests a server is asked at once: as many as it bears.

A window of answers in which more than a third were 429 makes it fewer; otherwise the number grows again.
Growth stops where it raises the share of 429, so that the number comes to rest at what the server
bears; a share that is the same at any number (a server that refuses at random) stops nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from math import sqrt

WINDOW = 20
"""Answers a window holds at least, or as many as requests are let through where that is less."""
SECOND = 1.0
"""Seconds a window lasts, unless so much is refused that fewer requests must be sent at once."""
CONGESTED = 1 / 3
"""Share of 429 in a window above which fewer requests are let through."""
FLOODED = 1 / 2
"""Share of 429 that ends a window before its time."""
SHRINK, EASE = 0.7, 0.9
GROW = 1.1
QUIET = 0.05
"""Share of 429 that needs no explanation."""
LONGEST_HOLD = 32
"""Windows, at most, between two tries to grow beyond what a server bore."""


class Gate:
    """A limit on requests in flight, fair in the order of arrival, that follows the server's 429s."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(most)
        """Requests let through at once, 1 ≤ limit ≤ most."""
        self.in_flight = 0
        self.epoch = 0
        """Answers to requests of an earlier epoch tell nothing of the present limit."""
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._again: deque[asyncio.Future[None]] = deque()
        self._opens_at = 0.0
        self._opening: asyncio.TimerHandle | None = None
        self._bearable = self.limit
        self._usual: float | None = 0.0
        """The share of 429 at a number the server bears; None while it is being found out."""
        self._higher: float | None = None
        self._hold, self._held = 1, 0
        self._answers = self._refused = 0
        self._wait = 0.0
        self._begun = self._loop.time()

    async def enter(self, again: bool = False) -> int:
        """Waits for a place, before all that were never let through when it is asked `again`. Returns the epoch."""
        if self._waiting or self._again or not self._free():
            place = self._loop.create_future()
            (self._again if again else self._waiting).append(place)
            self.admit()
            try:
                await place
            except BaseException:
                if place.done() and not place.cancelled() and place.exception() is None:
                    self.leave()
                raise
        else:
            self.in_flight += 1
        return self.epoch

    def leave(self) -> None:
        """Gives a place back."""
        self.in_flight -= 1
        self.admit()

    def admit(self) -> None:
        """Lets through whoever may go."""
        while (self._again or self._waiting) and self._free():
            place = (self._again or self._waiting).popleft()
            if not place.done():
                self.in_flight += 1
                place.set_result(None)

    def close_for(self, seconds: float) -> None:
        """Lets nobody through for so long."""
        opens_at = self._loop.time() + seconds
        if opens_at > self._opens_at:
            self._opens_at = opens_at
            if self._opening:
                self._opening.cancel()
            self._opening = self._loop.call_at(opens_at, self._reopen)

    def open(self) -> None:
        """Ends closing."""
        if self._opening:
            self._opening.cancel()
        self._reopen()

    def _reopen(self) -> None:
        self._opening, self._opens_at = None, 0.0
        self.admit()

    def _free(self) -> bool:
        return self._opening is None and self.in_flight < int(self.limit)

    def note(self, epoch: int, refused: bool, wait: float = 0.0) -> None:
        """Counts an answer; `refused` is a 429 that asked to wait so many seconds."""
        if epoch != self.epoch or self._loop.time() < self._begun:
            return
        self._answers += 1
        if refused:
            self._refused += 1
            self._wait = max(self._wait, wait)
        if self._loop.time() - self._begun >= SECOND:
            enough = self._answers >= min(WINDOW, self.limit)
        else:
            enough = self._answers >= max(WINDOW, self.limit) and self._refused > FLOODED * self._answers
        if enough:
            self._conclude()

    def _begin(self) -> None:
        self._answers = self._refused = 0
        self._wait = 0.0
        self._begun = self._loop.time()

    def _conclude(self) -> None:
        """What a full window says of the limit."""
        share, answers, wait = self._refused / self._answers, self._answers, self._wait
        self._begin()
        if share > CONGESTED and (self._usual is None or self.limit <= self._bearable):
            self._usual = self._higher = None
            self._set(self.limit * SHRINK)
            self._bearable = self.limit
            if wait:
                self.close_for(wait)
        elif self._usual is None:
            self._compare(share)
        elif share > self._usual + QUIET + 1.5 * sqrt((self._usual * (1 - self._usual) + 0.02) / answers):
            self._fall_back()
        elif self.limit < self.most:
            self._grow()

    def _compare(self, share: float) -> None:
        """Whether 429s have grown fewer with the limit; as long as they do it is still too high."""
        if share <= QUIET or (self._higher is not None and share > 0.6 * self._higher):
            self._usual, self._hold, self._held = share, 1, 0
        else:
            self._higher = share
            self._set(self.limit * SHRINK)
        self._bearable = self.limit

    def _fall_back(self) -> None:
        """Back to what the server bore, and each time twice as long until growing is tried again."""
        if self.limit > self._bearable:
            self._hold = min(LONGEST_HOLD, 2 * self._hold)
            self._set(self._bearable)
            self._begun += SECOND  # the server may still be counting what was too much
        elif self.limit < self.most:
            self._set(self.limit * EASE)
            self._bearable = self.limit
        self._held = 0

    def _grow(self) -> None:
        if self.limit > self._bearable:
            self._bearable, self._hold = self.limit, 1
        self._held += 1
        if self._held >= self._hold:
            self._held = 0
            self._set(self.limit * GROW + 1)

    def _set(self, limit: float) -> None:
        self.limit = min(float(self.most), max(1.0, limit))
        self.epoch += 1
        self.admit()
