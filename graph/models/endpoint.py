"""One model server as all roles share it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from anyprefer.graph.models.http import Route, send
from anyprefer.graph.models.limits import ALONE, Limits

Send = Callable[[Route, bytes], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Request:
    """One call as the endpoint sees it."""

    route: Route
    body: bytes
    model: str
    """The model's name, for messages."""
    retries: int | None = None
    """The model's own `max_retries`; None: the endpoint's."""


class Endpoint:
    """A base URL with its limits."""

    def __init__(self, url: str, limits: Limits = ALONE, send: Send = send) -> None:
        self.url = url
        self.limits = limits
        self._send = send

    async def ask(self, request: Request) -> dict[str, Any]:
        """The answer's JSON object."""
        return await self._send(request.route, request.body)


class Endpoints:
    """The endpoints of one run, by base URL."""

    def __init__(self, limits: Limits = ALONE) -> None:
        self.limits = limits
        self._by_url: dict[str, Endpoint] = {}

    def at(self, url: str) -> Endpoint:
        """The endpoint of a base URL, the same one for every model there."""
        key = url.rstrip("/")
        return self._by_url.setdefault(key, Endpoint(key, self.limits))
