"""A request, what became of it so far, and what is under way at one server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from anyprefer.core.server_settings import ServerSettings
from anyprefer.models.servers.congestion import Gate
from anyprefer.models.servers.health import Standing
from anyprefer.models.servers.http import Route
from anyprefer.models.servers.negotiation import Deal
from anyprefer.models.servers.rate_limits import Pacer


@dataclass(frozen=True, slots=True)
class Request:
    """One call as the endpoint sees it."""

    route: Route
    body: bytes
    model: str
    """The model's name, for messages."""
    retries: int | None = None
    """The model's own `max_retries`, which then counts whatever the server's state; None: the endpoint's."""
    deal: Deal | None = None
    """What of it the model may refuse; None where it is sent as it is."""
    surplus: int = 0
    """Bytes of the body that images take beyond those of a text of as many tokens."""

    @property
    def size(self) -> int:
        """Bytes that tokens are estimated from."""
        return max(0, len(self.body) - self.surplus)


class Call:
    """What became of a request so far."""

    __slots__ = ("begun", "failures", "first_failure", "refusals", "request", "sent", "standing", "suspect")

    def __init__(self, request: Request, standing: Standing, now: float) -> None:
        self.request = request
        self.standing = standing
        self.begun = now
        self.sent = 0
        self.start_again()

    def start_again(self) -> None:
        """Forgets failures that were the server's."""
        self.first_failure = float("inf")
        self.failures = self.refusals = 0
        self.suspect = False
        """Whether a probe was answered after this call had used up its tries."""


class Traffic:
    """An endpoint's state on one event loop; all calls of a run are made on one."""

    def __init__(self, url: str, limits: ServerSettings) -> None:
        self.now = asyncio.get_running_loop().time
        self.gate = Gate(limits.connections)
        self.pacer = Pacer(limits.rpm, limits.tpm)
        self._patience, self._url = limits.patience, url
        self._standings: dict[str, Standing] = {}

    def standing(self, model: str) -> Standing:
        """What is known of a model here."""
        if model not in self._standings:
            self._standings[model] = Standing(f"{model} at {self._url}", self._patience)
        return self._standings[model]
