"""What a run may spend, and one call's spending as the ledger adds it up."""

from __future__ import annotations

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
    """Requests it took: the first, retries and hedges."""


class CallStore(Protocol):
    """Where answers are kept: the ledger, or what stands for it in a worker process."""

    async def keep_call(self, task: str, key: str, answer: bytes | None, spending: Spending) -> None:
        """Returns once the answer is safe; None only counts what was spent, an empty one stands for none."""
        ...
