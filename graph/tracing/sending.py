"""Hands traces over in the background: a run neither waits for a viewer nor fails with it.

At most `WAITING` traces wait, further ones are left out; one that cannot be sent is lost, the first loss is a warning and the
number of them another at the end. After a loss the next try waits, so that an outage costs no work.
"""

from __future__ import annotations

import logging
import re
from queue import Full, Queue
from threading import Event, Thread
from typing import Protocol

from anyprefer.core.images import url_key
from anyprefer.core.secrets import Scrub, redact, scrubber
from anyprefer.graph.tracing.tree import Trace

log = logging.getLogger("anyprefer")

WAITING = 256
"""Traces that wait at most; one has about 100 kB."""
LONGEST_PAUSE = 60.0
"""Seconds between tries in an outage."""


class Destination(Protocol):
    """A viewer that takes traces."""

    name: str

    def send(self, trace: Trace) -> None:
        """Sends one, with its scores; raises whatever keeps it from that."""
        ...

    def close(self) -> None:
        """Lets go of connections."""
        ...


class Sending:
    """A destination with a queue before it and a thread of its own."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._queue: Queue[Trace | None] = Queue(WAITING)
        self._closing = Event()
        self._failures = 0
        self.lost = 0
        """Traces that were not sent."""
        self._thread = Thread(target=self._work, name="anyprefer-traces", daemon=True)
        self._thread.start()

    def put(self, trace: Trace) -> None:
        """Returns at once."""
        try:
            self._queue.put_nowait(trace)
        except Full:
            self.lose("they come faster than they are sent; --trace-share traces fewer")

    def close(self) -> None:
        """Sends what waits, as long as that succeeds."""
        self._closing.set()
        while self._thread.is_alive():
            try:
                self._queue.put(None, timeout=0.1)
                break
            except Full:
                continue
        self._thread.join()
        self._destination.close()
        if self.lost > 1:
            log.warning(
                "%d traces were not sent to %s; rows have all they would have shown", self.lost, self._destination.name
            )

    def _work(self) -> None:
        while (trace := self._queue.get()) is not None:
            if self._closing.is_set() and self._failures:
                self.lose("")
                continue
            try:
                self._destination.send(trace.cleaned(cleaner()))
                self._failures = 0
            except Exception as error:
                self._failures += 1
                self.lose(f"{type(error).__name__}: {error}")
                self._closing.wait(min(LONGEST_PAUSE, 2.0 ** (self._failures - 1)))

    def lose(self, why: str) -> None:
        """Counts a trace that is not sent; the first one is a warning."""
        self.lost += 1
        if self.lost == 1:
            log.warning("a trace was not sent to %s, the run continues: %s", self._destination.name, redact(why))


_IMAGE = re.compile(r"(data:image/[\w.+-]+;)base64,[A-Za-z0-9+/=]{32,}")


def cleaner() -> Scrub:
    """Takes secrets out of a text; images in it leave their hashes."""
    scrub = scrubber()

    def clean(text: str) -> str:
        if "base64," in text:
            text = _IMAGE.sub(lambda found: f"{found[1]}sha256,{url_key(found[0])}", text)
        return scrub(text)

    return clean
