"""Requests and tokens a minute, kept to in every window of 60 seconds and not only on average.

Token buckets that refill steadily and hold no more than about a hundredth of a minute: whatever a
server's window is, it sees at most limit · 1.02, and at least limit · 0.98 while there is demand.
"""

from __future__ import annotations

import asyncio

MINUTE = 60.0
STEADY = 0.995
"""Share of the limit a bucket refills with, so that the burst on top stays within the limit."""
BURST = 0.01
"""Share of a minute's limit that may be sent at once."""
LOOK = 0.25
"""Seconds after which a waiting request looks again, since answers correct what others were charged."""
FIRST_TOKENS_PER_BYTE = 0.25
FIRST_ANSWER = 256.0
"""Tokens an answer is charged with before any was seen."""
LEARN = 0.05
"""Weight of the newest answer in what is learnt."""


class Bucket:
    """At most `limit` a minute."""

    def __init__(self, limit: float, now: float) -> None:
        self.rate = limit * STEADY / MINUTE
        self.burst = max(1.0, limit * BURST)
        self.level = self.burst
        self._filled = now

    def wait(self, amount: float, now: float) -> float:
        """Seconds until `amount` may be taken, 0 for at once. More than the burst is paid for afterwards."""
        self.level = min(self.burst, self.level + (now - self._filled) * self.rate)
        self._filled = now
        return max(0.0, (min(amount, self.burst) - self.level) / self.rate)

    def take(self, amount: float) -> None:
        """Takes the amount; a negative one gives back."""
        self.level = min(self.burst, self.level - amount)


class Pacer:
    """Lets requests go one after another, in the order they came, as the limits allow."""

    def __init__(self, rpm: int, tpm: int) -> None:
        self._now = asyncio.get_running_loop().time
        self._requests = Bucket(rpm, self._now()) if rpm else None
        self._tokens = Bucket(tpm, self._now()) if tpm else None
        self._turn = asyncio.Lock()
        self._per_byte = FIRST_TOKENS_PER_BYTE
        self._answer = FIRST_ANSWER
        self._seen = False
        self.idle = not (rpm or tpm)
        """Whether there is nothing to keep to."""

    async def pace(self, size: int) -> float:
        """Waits for the turn of a request whose body has `size` bytes; the tokens it was charged."""
        async with self._turn:
            while (wait := self._wait(size)) > 1e-6:
                await asyncio.sleep(min(wait, LOOK))
            if self._requests:
                self._requests.take(1)
            charged = self._estimate(size)
            if self._tokens:
                self._tokens.take(charged)
            return charged

    def settle(self, charged: float, size: int, read: int, written: int) -> None:
        """Corrects the charge by what the answer says it took, and learns from it. All 0: the request was refused."""
        if not self._tokens:
            return
        self._tokens.take(read + written - charged)
        if read or written:
            weight = LEARN if self._seen else 1.0
            self._seen = True
            self._per_byte += weight * (read / max(1, size) - self._per_byte)
            self._answer += weight * (written - self._answer)

    def _estimate(self, size: int) -> float:
        return size * self._per_byte + self._answer

    def _wait(self, size: int) -> float:
        now = self._now()
        requests = self._requests.wait(1, now) if self._requests else 0.0
        return max(requests, self._tokens.wait(self._estimate(size), now) if self._tokens else 0.0)
