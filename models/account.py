"""One task's acts, a model call, a tool use or a rollout: answered from the ledger where it was made before, else made
and recorded; a call is admitted by the run's budget and counted too (`calls.py`).

An act counts as in flight until its value is in the ledger, so a run that is killed repeats no more than these.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig

from anyprefer.core.errors import AnypreferError, ModelError
from anyprefer.core.listening import note
from anyprefer.core.records import Usage
from anyprefer.core.secrets import redact
from anyprefer.core.values import stable_hash
from anyprefer.models.answer import whole
from anyprefer.models.calls import ActStore, Calls, Spending
from anyprefer.models.packing import JSON, MESSAGES, Form, said_in
from anyprefer.models.sending import Sending
from anyprefer.models.traits import accepted, who_and_where

T = TypeVar("T")


class ChatCall:
    """What a model is asked, in a round of the game."""

    def __init__(
        self, model: BaseChatModel, role: str, messages: Sequence[Any], settings: Mapping[str, Any], round: int = 1
    ) -> None:
        """Sampling settings a model does not have are left out; with `n` it is asked for so many choices at once."""
        self.model, self.role, self.messages, self.round = model, role, list(messages), round
        self.traits, self.settings = accepted(model, settings)
        self._sending: Sending | None = None

    @property
    def question(self) -> str:
        """What is asked, and of whom. With how often it was asked it is a key: samples of a model without seeds differ
        by that alone."""
        return stable_hash([self.traits.name, self.traits.where, said_in(self.messages), self.settings])[:40]

    async def sent(self) -> list[AIMessage]:
        """The answer, a message a choice. Raises `ModelError` with the server's words, secrets removed, and `RunStopped`
        when the run is over."""
        config: RunnableConfig = {"run_name": self.role, "tags": [f"role:{self.role}"]}
        answers: list[AIMessage]
        try:
            if "n" in self.settings:
                answers = await cast("Any", self.model).achoices(self.messages, config, **self.settings)
            else:
                answers = [await self.model.ainvoke(self.messages, config, **self.settings)]
        except AnypreferError:
            raise
        except Exception as error:
            said = f"{type(error).__name__}: {redact(str(error))}"
            raise ModelError(f"{self.role} ({who_and_where(self.model)}) did not answer: {said}") from error
        if not answers or not isinstance(answers[0], AIMessage):
            kind = type(answers[0]).__name__ if answers else "nothing"
            raise ModelError(f"{self.role} ({who_and_where(self.model)}) returned {kind} instead of a message")
        return answers

    async def admitted(self, calls: Calls) -> list[AIMessage]:
        """`sent`, once the run's budget admits it; its requests are counted."""
        self._sending = await calls.begin()
        return await self.sent()

    def spending(self, calls: Calls, choices: list[AIMessage] | None) -> Spending | None:
        """What it took, None when it was never sent; what was sent now counts against the budget."""
        if self._sending is None:
            return (
                Spending(self.role, self.round, calls.used(choices, self.traits, self.messages), 0) if choices else None
            )
        usage = calls.took(self.role, choices, self.traits, self.messages) if choices else Usage()
        return Spending(self.role, self.round, usage, self._sending.requests)


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
        self._known = {key: value for key, value in (known or {}).items() if value}
        self._answers: dict[str, tuple[Spending, list[AIMessage]]] = {}
        """Of the calls made, by key."""
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
        self, model: BaseChatModel, role: str, messages: Sequence[Any], settings: Mapping[str, Any]
    ) -> list[AIMessage]:
        """The same for a model call, which is counted: the answer is a message a choice."""
        call = ChatCall(model, role, messages, settings, self.round)
        return await self._act(call.question, partial(call.admitted, self.calls), MESSAGES, call)

    async def _act(self, key: str, make: Callable[[], Awaitable[T]], form: Form[T], call: ChatCall | None = None) -> T:
        place = self._next(key)
        self._asked[key] += 1
        _LAST.set(place)
        if (within := _WITHIN.get()) is not None:
            within.append(place)
        recorded = self._known.pop(place, None)
        if recorded is None:
            return await self._sheltered(self._made(place, make, form, call))
        value = form.unpack(recorded)
        self._count(place, value, self._spending(call, value))
        await note(f"{call.role if call else key.partition(':')[0]} (recorded)", answer=value if call else None)
        return value

    def _next(self, key: str) -> str:
        return f"{key}-{self._asked[key] + 1}"

    async def _sheltered(self, act: Coroutine[Any, Any, T]) -> T:
        """An act that continues when the step it is made for is cancelled by an error beside it: it is paid for."""
        made = asyncio.ensure_future(act)
        self._acts.add(made)
        made.add_done_callback(self._back)
        return await asyncio.shield(made)

    def _back(self, act: asyncio.Future[Any]) -> None:
        self._acts.discard(act)
        if not act.cancelled():
            act.exception()  # or asyncio logs it where the step was cancelled

    async def _made(self, place: str, make: Callable[[], Awaitable[T]], form: Form[T], call: ChatCall | None) -> T:
        """Runs in a context of its own, which those acts share that it is made of."""
        if self._over:
            raise AnypreferError(f"task {self.task} has failed, nothing is asked for it any more")
        within: list[str] = []
        _WITHIN.set(within)
        async with self.calls.slots if call else nullcontext():
            try:
                value = await make()
            except Exception:
                await self._keep(place, None, self._spending(call, None))
                raise
            spending = self._spending(call, value)
            await self._keep(place, form.pack(value) if self.store and not within else None, spending)
        self._count(place, value, spending)
        return value

    def _spending(self, call: ChatCall | None, value: Any) -> Spending | None:
        return call.spending(self.calls, value) if call else None

    async def _keep(self, place: str, value: bytes | None, spending: Spending | None) -> None:
        if self.store and (spending or value is not None):
            await self.store.keep_act(self.task, place, value, spending)

    def _count(self, place: str, value: Any, spending: Spending | None) -> None:
        if spending:
            at = spending.round, spending.role
            self.used[at] = self.used[at] + spending.usage if at in self.used else spending.usage
            self._answers[place] = spending, value

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
        """Played again, the task asks again for what was cut off, empty or, by `ask` or in general, `unreadable`."""
        unread = self.unread or set(self._answers) if unreadable else set()
        for key, (spent, choices) in self._answers.items():
            if key in unread or not all(map(whole, choices)):
                await self._keep(key, b"", Spending(spent.role, spent.round, Usage(), 0))

    def knows(self, model: BaseChatModel, messages: Sequence[Any], settings: Mapping[str, Any]) -> bool:
        """Whether the next answer to this question was recorded."""
        return bool(self._known) and self._next(ChatCall(model, "", messages, settings).question) in self._known

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


async def call(
    model: BaseChatModel, messages: Sequence[Any], role: str, binding: Mapping[str, Any] | None = None, **sampling: Any
) -> AIMessage:
    """One call, through the run's account where there is one. `role` names it in traces and token counts; sampling
    settings a model does not have are left out.

    Raises `ModelError` with the server's words, secrets removed, and `RunStopped` when the run is over.
    """
    return (await _answers(model, messages, role, {**sampling, **(binding or {})}))[0]


async def choices(
    model: BaseChatModel, messages: Sequence[Any], role: str, count: int, **sampling: Any
) -> list[AIMessage]:
    """One call that asks a model whose traits say `choices` for so many (`n`); fewer come from a server that does not
    know `n`."""
    return await _answers(model, messages, role, {**sampling, "n": count})


async def _answers(
    model: BaseChatModel, messages: Sequence[Any], role: str, settings: Mapping[str, Any]
) -> list[AIMessage]:
    if account := _ACCOUNT.get():
        return await account.answer(model, role, messages, settings)
    return await ChatCall(model, role, messages, settings).sent()


def recorded(model: BaseChatModel, messages: Sequence[Any], **sampling: Any) -> bool:
    """Whether the run has the answer to a `call` like this already."""
    account = _ACCOUNT.get()
    return bool(account and account.knows(model, messages, sampling))
