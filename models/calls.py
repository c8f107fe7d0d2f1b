"""Around every model call of a run: answered from the ledger where it was made before, else admitted by
the budget, made, counted and recorded.

A call counts as in flight until its answer is in the ledger, and at most `slots` calls are in flight. So
a run that is killed repeats no more than these, and a budget is overrun by no more than these.

Costs are in US dollars; None is an unknown cost, which is not zero (see `prices.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage

from anyprefer.core.errors import AnypreferError, BudgetSpent, RunStopped
from anyprefer.core.game_state import GameState
from anyprefer.core.records import Usage
from anyprefer.models.packing import packed, question, unpacked, whole
from anyprefer.models.prices import Prices, used
from anyprefer.models.servers.response import estimated
from anyprefer.models.spending import Budget, CallStore, Spending
from anyprefer.models.traits import traits_of

log = logging.getLogger("anyprefer")


Once = Callable[[], Awaitable[list[AIMessage]]]
"""Makes a call; a message a choice."""


class Calls:
    """The model calls of one run."""

    def __init__(
        self,
        budget: Budget | None = None,
        prices: Prices | None = None,
        slots: int = 256,
        store: CallStore | None = None,
        spent: Usage | None = None,
    ) -> None:
        self.budget = budget or Budget()
        self.prices = prices or Prices()
        self.store = store
        self.requests = spent.calls if spent else 0
        self.tokens = spent.input_tokens + spent.output_tokens if spent else 0
        self.cost = (spent.cost or 0.0) if spent else 0.0
        self.stopped: RunStopped | None = None
        """Why no further call is made."""
        self._slots = asyncio.Semaphore(slots)
        self._quiet: set[str] = set()

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
                self.stop(BudgetSpent(f"the budget of {shown} is spent; go on with a higher max_{name}"))
                raise BudgetSpent(str(self.stopped))
        self.requests += 1

    async def make(
        self, task: str, key: str, model: BaseChatModel, once: Once, role: str, round: int, size: int = 0
    ) -> tuple[list[AIMessage], Usage]:
        """One call that was not made before, with `size` characters, and what it took."""
        async with self._slots:
            await self.admitted()
            sent = [1]
            token = _REQUESTS.set(sent)
            try:
                messages = await once()
            except Exception:
                await self.keep(task, key, None, Spending(role, round, Usage(), sent[0]))
                raise
            finally:
                _REQUESTS.reset(token)
            usage = self.used(messages, model, size)
            await self.keep(task, key, packed(messages), Spending(role, round, usage, sent[0]))
        return messages, usage

    def used(self, choices: Sequence[AIMessage], model: BaseChatModel, size: int) -> Usage:
        """What a call of so many characters took. Where `tokens` are limited and a server tells none they are
        estimated, so that the limit holds all the same; cost stays unknown."""
        usage = used(choices, self.prices, model)
        if not self.budget.tokens or choices[0].usage_metadata:
            return usage
        name = traits_of(model).name
        if name not in self._quiet:
            self._quiet.add(name)
            log.warning("%s tells no tokens: max_tokens counts an estimate, 4 characters a token", name)
        written = sum(len(choice.text) for choice in choices)
        return usage.model_copy(update={"input_tokens": estimated(size), "output_tokens": estimated(written)})

    async def admitted(self) -> None:
        """`admit` for a call's first request; a worker process asks the driver."""
        self.admit()

    async def admitted_again(self) -> None:
        """The same for a further one that no pacer asks for."""
        self.admit()

    async def keep(self, task: str, key: str, answer: bytes | None, spending: Spending) -> None:
        """Counts what a call took, and keeps its answer where answers are kept."""
        self.tokens += spending.usage.input_tokens + spending.usage.output_tokens
        self.cost += spending.usage.cost or 0.0
        if self.budget.cost and spending.usage.cost is None:
            self.stop(BudgetSpent(f"max_cost cannot be kept: the {spending.role} model told no tokens, so no cost"))
        if self.store:
            await self.store.keep_call(task, key, answer, spending)


class Account:
    """One task's dealings with the models while it is played."""

    def __init__(self, calls: Calls, task: str, known: Mapping[str, bytes] | None = None) -> None:
        self.calls = calls
        self.task = task
        self.round = 1
        """The round the game is in, from 1."""
        self.state: GameState | None = None
        """What the step now at work was given; a failed task's row is made from it."""
        self.used: dict[tuple[int, str], Usage] = {}
        """Per round and role, answers from the ledger counted as when they were made."""
        self.unread: set[str] = set()
        """Keys of answers that do not hold what was asked for."""
        self._flawed: set[str] = set()
        """Keys of answers that are cut off or empty."""
        self._known = {key: answer for key, answer in (known or {}).items() if answer}
        self._keys: dict[str, tuple[str, int]] = {}
        self._asked: Counter[str] = Counter()
        self.sheltered = False
        """Whether calls outlive the steps they are made for, which LangGraph cancels when one beside them fails."""
        self._over = False
        self._open: set[asyncio.Future[None]] = set()
        self._calls: set[asyncio.Future[list[AIMessage]]] = set()

    async def answer(
        self,
        model: BaseChatModel,
        role: str,
        messages: Sequence[BaseMessage],
        kwargs: Mapping[str, Any],
        once: Once,
    ) -> list[AIMessage]:
        """The recorded answer to this question, else the one `once` brings: a message a choice."""
        asked = question(model, messages, kwargs)
        self._asked[asked] += 1
        round, key = self.round, f"{asked}-{self._asked[asked]}"
        recorded = self._known.pop(key, None)
        self._keys[key] = (role, round)
        _LAST.set(key)
        size = sum(len(message.text) for message in messages) if self.calls.budget.tokens else 0
        if recorded is None:
            made = self._made(key, model, once, role, round, size)
            choices = await (self._sheltered(made) if self.sheltered else made)
        else:
            choices = unpacked(recorded)
            self._count(round, role, self.calls.used(choices, model, size))
        if not all(map(whole, choices)):
            self._flawed.add(key)
        return choices

    async def _sheltered(self, call: Coroutine[Any, Any, list[AIMessage]]) -> list[AIMessage]:
        """A call that goes on when the step it is made for is cancelled by an error beside it: it is paid for."""
        made = asyncio.ensure_future(call)
        self._calls.add(made)
        made.add_done_callback(self._calls.discard)
        return await asyncio.shield(made)

    async def _made(
        self, key: str, model: BaseChatModel, once: Once, role: str, round: int, size: int
    ) -> list[AIMessage]:
        if self._over:
            raise AnypreferError(f"task {self.task} has failed, nothing is asked for it any more")
        back = asyncio.get_running_loop().create_future()
        self._open.add(back)
        try:
            choices, usage = await self.calls.make(self.task, key, model, once, role, round, size)
            self._count(round, role, usage)
        finally:
            self._open.discard(back)
            back.set_result(None)
        return choices

    def _count(self, round: int, role: str, usage: Usage) -> None:
        before = self.used.get((round, role))
        self.used[round, role] = before + usage if before else usage

    async def settled(self) -> None:
        """The task has failed: nothing is asked any more, and what is in flight, which is paid for, comes back first."""
        self._over = True
        try:
            while self._open:
                await asyncio.wait([*self._open])
        except BaseException:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Cancels the calls in flight."""
        for call in self._calls:
            call.cancel()

    async def forget(self, unreadable: bool) -> None:
        """Played again, the task asks anew for what was cut off, empty or, by `ask` or in general, `unreadable`."""
        unread = self.unread or set(self._keys) if unreadable else set()
        for key in sorted(unread | self._flawed):
            role, round = self._keys[key]
            await self.calls.keep(self.task, key, b"", Spending(role, round, Usage(), 0))

    def knows(self, model: BaseChatModel, messages: Sequence[BaseMessage], kwargs: Mapping[str, Any]) -> bool:
        """Whether the next answer to this question was recorded."""
        asked = question(model, messages, kwargs)
        return f"{asked}-{self._asked[asked] + 1}" in self._known

    def usage(self, round: int | None = None) -> dict[str, Usage]:
        """Per role, in alphabetical order; of one round, or of all."""
        totals: dict[str, Usage] = {}
        for (number, role), usage in sorted(self.used.items(), key=lambda item: item[0][1]):
            if round is None or number == round:
                totals[role] = totals[role] + usage if role in totals else usage
        return totals


_LAST: ContextVar[str] = ContextVar("anyprefer_last", default="")
"""The key of the call this context made last."""
_ACCOUNT: ContextVar[Account | None] = ContextVar("anyprefer_account", default=None)
_REQUESTS: ContextVar[list[int] | None] = ContextVar("anyprefer_requests", default=None)
"""Requests of the call that is being made, as a list of one number."""


def current_account() -> Account | None:
    """The account of the task that is being played here; None outside a run."""
    return _ACCOUNT.get()


def last_key() -> str:
    """The key of the call made last, by the step that asks."""
    return _LAST.get()


@contextmanager
def accounted(account: Account) -> Iterator[None]:
    """All calls made within go through the account."""
    token = _ACCOUNT.set(account)
    try:
        yield
    finally:
        _ACCOUNT.reset(token)


def another_request() -> None:
    """Counts a further request of the call that is being made: a retry or a hedge. Raises `BudgetSpent`."""
    account, sent = _ACCOUNT.get(), _REQUESTS.get()
    if account is not None and sent is not None:
        account.calls.admit()
        sent[0] += 1


async def further_request() -> None:
    """`another_request` for one that no pacer has asked for."""
    account, sent = _ACCOUNT.get(), _REQUESTS.get()
    if account is not None and sent is not None:
        await account.calls.admitted_again()
        sent[0] += 1
