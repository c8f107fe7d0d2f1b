"""What a run may spend on model calls, and what it has spent: one `Calls` for all its tasks (`account.py` has one task's).

At most `slots` calls are in flight, and one counts as in flight until its answer is in the ledger, so a budget is
overrun by no more than these. Costs are in US dollars; None is an unknown cost, which is not zero (see `prices.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from langchain_core.messages import AIMessage, BaseMessage

from anyprefer.core.errors import BudgetSpent, RunStopped
from anyprefer.core.records import Usage
from anyprefer.models.image_tokens import text_size
from anyprefer.models.prices import Prices, used
from anyprefer.models.sending import SENDING, Sending
from anyprefer.models.servers.response import estimated
from anyprefer.models.traits import Traits

log = logging.getLogger("anyprefer")


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


class Calls:
    """The model calls of one run."""

    def __init__(
        self,
        budget: Budget | None = None,
        prices: Prices | None = None,
        slots: int = 256,
        store: ActStore | None = None,
        spent: Usage | None = None,
    ) -> None:
        self.budget = budget or Budget()
        self.prices = prices or Prices()
        self.store = store
        self.requests, self.tokens, self.cost = 0, 0, 0.0
        self.take_up(spent or Usage())
        self.stopped: RunStopped | None = None
        """Why no further call is made."""
        self.slots = asyncio.Semaphore(slots)
        """Calls in flight."""
        self._quiet: set[str] = set()

    def take_up(self, spent: Usage) -> None:
        """Counts what was spent before."""
        self.requests += spent.calls
        self.tokens += spent.input_tokens + spent.output_tokens
        self.cost += spent.cost or 0.0

    def stop(self, reason: RunStopped) -> None:
        """No further call is made; those in flight come back and are kept. The first reason stays."""
        self.stopped = self.stopped or reason

    def admit(self) -> None:
        """Counts one more request. Raises `BudgetSpent` when a limit is reached, and what the run was stopped for."""
        if self.stopped:
            raise self.stopped
        for name, limit, spent in (
            ("calls", self.budget.calls, self.requests),
            ("tokens", self.budget.tokens, self.tokens),
            ("cost", self.budget.cost, self.cost),
        ):
            if limit and spent >= limit:
                shown = f"${limit:g}" if name == "cost" else f"{limit:,} {name}"
                self.stop(BudgetSpent(f"the budget of {shown} is spent; resume with a higher max_{name}"))
                raise BudgetSpent(str(self.stopped))
        self.requests += 1

    async def admitted(self) -> None:
        """`admit` for a call's first request; a worker process asks the driver."""
        self.admit()

    async def admitted_again(self) -> None:
        """The same for a further one that no pacer asks for."""
        self.admit()

    async def begin(self) -> Sending:
        """Admits a call. Requests that the asyncio task makes from now on are the call's."""
        await self.admitted()
        call = Sending(self)
        SENDING.set(call)
        return call

    def used(self, choices: Sequence[AIMessage], traits: Traits, messages: Sequence[BaseMessage]) -> Usage:
        """What a call with these messages took. Where `tokens` are limited and a server tells none they are
        estimated, those of images too, so that the limit holds all the same; cost stays unknown."""
        usage = used(choices, self.prices, traits)
        if not self.budget.tokens or choices[0].usage_metadata:
            return usage
        if traits.name not in self._quiet:
            self._quiet.add(traits.name)
            log.warning("%s reports no token counts: max_tokens counts an estimate, 4 characters a token", traits.name)
        read = estimated(text_size([message.content for message in messages]))
        written = estimated(sum(len(choice.text) for choice in choices))
        return usage.model_copy(update={"input_tokens": read, "output_tokens": written})

    def took(self, role: str, choices: Sequence[AIMessage], traits: Traits, messages: Sequence[BaseMessage]) -> Usage:
        """`used` of a call that has just been sent: it counts."""
        usage = self.used(choices, traits, messages)
        self.count(role, usage)
        return usage

    def count(self, role: str, usage: Usage) -> None:
        """Counts what a call took."""
        self.tokens += usage.input_tokens + usage.output_tokens
        self.cost += usage.cost or 0.0
        if self.budget.cost and usage.cost is None:
            self.stop(BudgetSpent(f"max_cost cannot be kept: the {role} model reported no token counts, so no cost"))
