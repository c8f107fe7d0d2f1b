"""Around every act of a run, a model call, a tool use or a rollout: answered from the ledger where it was made before,
else made and recorded; a call is admitted by the budget and counted too.

An act counts as in flight until its value is in the ledger, and at most `slots` calls are in flight. So
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
from typing import Any, TypeVar

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage

from anyprefer.core.errors import AnypreferError, BudgetSpent, RunStopped
from anyprefer.core.records import Usage
from anyprefer.models.chat_call import ChatCall, Once
from anyprefer.models.image_tokens import text_size
from anyprefer.models.packing import JSON, Form, question, whole
from anyprefer.models.prices import Prices, used
from anyprefer.models.servers.response import estimated
from anyprefer.models.spending import ActStore, Budget, Spending
from anyprefer.models.traits import traits_of

log = logging.getLogger("anyprefer")
T = TypeVar("T")


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
                self.stop(BudgetSpent(f"the budget of {shown} is spent; go on with a higher max_{name}"))
                raise BudgetSpent(str(self.stopped))
        self.requests += 1

    def used(self, choices: Sequence[AIMessage], model: BaseChatModel, size: int) -> Usage:
        """What a call of so many characters took. Where `tokens` are limited and a server tells none they are
        estimated, those of images too, so that the limit holds all the same; cost stays unknown."""
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

    async def keep(
        self, task: str, key: str, value: bytes | None, spending: Spending | None, store: ActStore | None = None
    ) -> None:
        """Counts what a call took, and keeps an act's value where values are kept, by default in the run's `store`; None:
        it has none to keep."""
        if spending:
            self.tokens += spending.usage.input_tokens + spending.usage.output_tokens
            self.cost += spending.usage.cost or 0.0
            if self.budget.cost and spending.usage.cost is None:
                self.stop(BudgetSpent(f"max_cost cannot be kept: the {spending.role} model told no tokens, so no cost"))
        store = store or self.store
        if store and (spending or value is not None):
            await store.keep_act(task, key, value, spending)


class Account:
    """One task's acts while it is played: what is done, each once, and what it took."""

    def __init__(
        self, calls: Calls, task: str, known: Mapping[str, bytes] | None = None, store: ActStore | None = None
    ) -> None:
        """`known` is what was kept of the task's acts; `store` keeps more, by default the run's."""
        self.calls = calls
        self.task = task
        self.store = store or calls.store
        self.round = 1
        """The round the game is in, from 1."""
        self.used: dict[tuple[int, str], Usage] = {}
        """Per round and role, answers from the ledger counted as when they were made."""
        self.unread: set[str] = set()
        """Keys of answers that do not hold what was asked for."""
        self._flawed: set[str] = set()
        """Keys of answers that are cut off or empty."""
        self._known = {key: value for key, value in (known or {}).items() if value}
        self._keys: dict[str, tuple[str, int]] = {}
        """Keys of the calls made, with role and round."""
        self._asked: Counter[str] = Counter()
        self._over = False
        self._acts: set[asyncio.Future[Any]] = set()
        """Those in flight."""

    async def once(self, role: str, key: str, make: Callable[[], Awaitable[T]], form: Form[T] = JSON) -> T:
        """What this act brought before, else what `make` brings, kept before it is returned. `role` says what kind of
        act it is, `key` holds all that could change its value; the n-th act under a key has the n-th value kept under it.

        An error is not kept: the act is tried again when the run is resumed. Nor is a value that has no form to keep it
        in, or that other acts or calls brought, which are kept themselves.
        """
        return await self._act(f"{role}:{key}", make, form)

    async def answer(
        self,
        model: BaseChatModel,
        role: str,
        messages: Sequence[BaseMessage],
        kwargs: Mapping[str, Any],
        once: Once,
    ) -> list[AIMessage]:
        """The same for a model call, which is counted: the answer is a message a choice."""
        size = text_size([message.content for message in messages]) if self.calls.budget.tokens else 0
        call = ChatCall(self.calls, model, once, role, self.round, size)
        asked = question(model, messages, kwargs)
        self._keys[self._next(asked)] = (role, self.round)
        choices = await self._act(asked, call.make, call)
        if not all(map(whole, choices)):
            self._flawed.add(last_key())
        return choices

    async def _act(self, key: str, make: Callable[[], Awaitable[T]], form: Form[T]) -> T:
        place = self._next(key)
        self._asked[key] += 1
        _LAST.set(place)
        if (within := _WITHIN.get()) is not None:
            within.append(place)
        recorded = self._known.pop(place, None)
        if recorded is None:
            return await self._sheltered(self._made(place, make, form))
        value = form.unpack(recorded)
        self._count(form.spending(value))
        return value

    def _next(self, key: str) -> str:
        return f"{key}-{self._asked[key] + 1}"

    async def _sheltered(self, act: Coroutine[Any, Any, T]) -> T:
        """An act that goes on when the step it is made for is cancelled by an error beside it: it is paid for."""
        made = asyncio.ensure_future(act)
        self._acts.add(made)
        made.add_done_callback(self._back)
        return await asyncio.shield(made)

    def _back(self, act: asyncio.Future[Any]) -> None:
        self._acts.discard(act)
        if not act.cancelled():
            act.exception()  # or asyncio logs it where the step was cancelled

    async def _made(self, place: str, make: Callable[[], Awaitable[T]], form: Form[T]) -> T:
        """Runs in a context of its own, which those acts share that it is made of."""
        if self._over:
            raise AnypreferError(f"task {self.task} has failed, nothing is asked for it any more")
        within: list[str] = []
        _WITHIN.set(within)
        async with form.turn:
            try:
                value = await make()
            except Exception:
                await self.calls.keep(self.task, place, None, form.spending(None), self.store)
                raise
            spending = form.spending(value)
            kept = form.pack(value) if self.store and not within else None
            await self.calls.keep(self.task, place, kept, spending, self.store)
        self._count(spending)
        return value

    def _count(self, spending: Spending | None) -> None:
        if spending:
            at = spending.round, spending.role
            self.used[at] = self.used[at] + spending.usage if at in self.used else spending.usage

    async def settled(self) -> None:
        """The task has failed: nothing is asked any more, and what is in flight, which is paid for, comes back first."""
        self._over = True
        try:
            while self._acts:
                await asyncio.wait([*self._acts])
        except BaseException:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Cancels the acts in flight."""
        for act in self._acts:
            act.cancel()

    async def forget(self, unreadable: bool) -> None:
        """Played again, the task asks anew for what was cut off, empty or, by `ask` or in general, `unreadable`."""
        unread = self.unread or set(self._keys) if unreadable else set()
        for key in sorted(unread | self._flawed):
            role, round = self._keys[key]
            await self.calls.keep(self.task, key, b"", Spending(role, round, Usage(), 0), self.store)

    def knows(self, model: BaseChatModel, messages: Sequence[BaseMessage], kwargs: Mapping[str, Any]) -> bool:
        """Whether the next answer to this question was recorded."""
        return bool(self._known) and self._next(question(model, messages, kwargs)) in self._known

    def usage(self, round: int | None = None) -> dict[str, Usage]:
        """Per role, in alphabetical order; of one round, or of all."""
        totals: dict[str, Usage] = {}
        for (number, role), usage in sorted(self.used.items(), key=lambda item: item[0][1]):
            if round is None or number == round:
                totals[role] = totals[role] + usage if role in totals else usage
        return totals


_LAST: ContextVar[str] = ContextVar("anyprefer_last", default="")
"""The key of the act this context made last."""
_WITHIN: ContextVar[list[str] | None] = ContextVar("anyprefer_within", default=None)
"""The keys of the acts made so far within the act that is being made."""
_ACCOUNT: ContextVar[Account | None] = ContextVar("anyprefer_account", default=None)


def current_account() -> Account | None:
    """The account of the task that is being played here; None outside a run."""
    return _ACCOUNT.get()


def last_key() -> str:
    """The key of the call made last, by the step that asks."""
    return _LAST.get()


@contextmanager
def accounted(account: Account) -> Iterator[None]:
    """All acts made within go through the account."""
    token = _ACCOUNT.set(account)
    try:
        yield
    finally:
        _ACCOUNT.reset(token)
