"""What a run may spend, one call's spending as the ledger adds it up, and the requests of the call being made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from anyprefer.core.records import Usage


@dataclass(frozen=True)
class Budget:
    """What a run may spend in all, earlier parts of a resumed run counted; 0 is no limit."""

    calls: int = 0
    """Requests sent, retries among them."""
    tokens: int = 0
    """Tokens read and written."""
    cost: float = 0.0
    """US dollars."""


@dataclass(frozen=True)
class Spending:
    """One call, as the ledger adds it up; `usage` counts no call when it was never answered."""

    role: str
    round: int
    usage: Usage
    requests: int = 1
    """Requests it took: the first and retries."""


class ActStore(Protocol):
    """Where acts' values are kept: the ledger, or what stands for it in a worker process."""

    async def keep_act(self, task: str, key: str, value: bytes | None, spending: Spending | None) -> None:
        """Returns once the value is safe. None only counts what was spent, an empty one stands for none; `spending` is
        a call's."""
        ...


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


_SENDING: ContextVar[Sending | None] = ContextVar("anyprefer_sending", default=None)


@contextmanager
def sending(admission: Admission) -> Iterator[Sending]:
    """Requests made within are one call's; the first is admitted before."""
    call = Sending(admission)
    token = _SENDING.set(call)
    try:
        yield call
    finally:
        _SENDING.reset(token)


def another_request() -> None:
    """Counts a further request of the call that is being made: a retry. Raises `BudgetSpent`."""
    if call := _SENDING.get():
        call.admission.admit()
        call.requests += 1


async def further_request() -> None:
    """`another_request` for one that no pacer has asked for."""
    if call := _SENDING.get():
        await call.admission.admitted_again()
        call.requests += 1
