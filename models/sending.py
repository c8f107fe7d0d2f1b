"""The requests of the call that is being made: the first is admitted before, retries when they are sent."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol


class Admission(Protocol):
    """Who admits requests: a run's calls."""

    def admit(self) -> None:
        """Counts one more request. Raises `RunStopped` where none is to be made."""
        ...

    async def admitted_again(self) -> None:
        """The same for one that no pacer asks for."""
        ...


@dataclass
class Sending:
    """A call that is being made."""

    admission: Admission
    requests: int = 1
    """How many it took so far."""


SENDING: ContextVar[Sending | None] = ContextVar("anyprefer_sending", default=None)


def another_request() -> None:
    """Counts a further request of the call that is being made: a retry. Raises `BudgetSpent`."""
    if call := SENDING.get():
        call.admission.admit()
        call.requests += 1


async def further_request() -> None:
    """`another_request` for one that no pacer has asked for."""
    if call := SENDING.get():
        await call.admission.admitted_again()
        call.requests += 1
