"""One task's acts, a model call, a tool use or a rollout: answered from the ledger where it was made before, else made
and recorded; a call is admitted by the run's budget and counted too (`calls.py`).

An act counts as in flight until its value is in the ledger, so a run that is killed repeats no more than these.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Generic, TypeVar, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig

from anyprefer.core.errors import AnypreferError, ModelError
from anyprefer.core.records import Usage
from anyprefer.core.secrets import redact
from anyprefer.core.values import stable_hash
from anyprefer.models.answer import whole
from anyprefer.models.calls import ActStore, Calls, Sending, Spending
from anyprefer.models.packing import packed, said_in, unpacked
from anyprefer.models.traits import accepted, who_and_where

T = TypeVar("T")


class Form(Generic[T]):
    """How an act is made and its value kept: at once, as JSON, and for nothing."""

    turn: AbstractAsyncContextManager[Any] = nullcontext()
    """Held while the act is made and until its value is kept."""

    def __init__(self, told: Callable[[T], Any] | None = None, of: Callable[[Any], T] | None = None) -> None:
        """`told` gives the JSON of a value, `of` the value of that JSON; by default it is its own."""
        self._told, self._of = told, of

    def pack(self, value: T) -> bytes | None:
        """None for a value without a JSON form: it is not kept, and the act is made again."""
        try:
            told = self._told(value) if self._told else value
            return json.dumps(told, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError):
            return None

    def unpack(self, kept: bytes) -> T:
        """The value `pack` made bytes of."""
        told = json.loads(kept)
        return self._of(told) if self._of else cast("T", told)

    def spending(self, value: T | None) -> Spending | None:
        """What counts, where the act is a call; `value` is None when it failed."""
        return None


JSON: Form[Any] = Form()


class ChatCall:
    """What a model is asked."""

    def __init__(self, model: BaseChatModel, role: str, messages: Sequence[Any], settings: Mapping[str, Any]) -> None:
        """Sampling settings a model does not have are left out; with `n` it is asked for so many choices at once."""
        self.model, self.role, self.messages = model, role, list(messages)
        self.traits, self.settings = accepted(model, settings)

    @property
    def question(self) -> str:
        """What is asked, and of whom. With how often it was asked it is a key: samples of a model without seeds differ
        by that alone."""
        return stable_hash([self.traits.name, self.traits.where, said_in(self.messages), self.settings])[:40]

    async def sent(self) -> list[AIMessage]:
        """The answer, a message a choice. Raises `ModelError` with the server's words, secrets removed, and `RunStopped`
        when the run is over."""
        config: RunnableConfig = {"run_name": self.role, "tags": [f"role:{self.role}"]}
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


class _Counted(Form[list[AIMessage]]):
    """A model call as an act: it waits for a slot, is admitted by the budget, and counted."""

    def __init__(self, call: ChatCall, calls: Calls, round: int) -> None:
        self.turn = calls.slots
        self._call, self._calls, self._round = call, calls, round
        self._sending: Sending | None = None

    async def make(self) -> list[AIMessage]:
        self._sending = await self._calls.begin()
        return await self._call.sent()

    def pack(self, value: list[AIMessage]) -> bytes:
        return packed(value)

    def unpack(self, kept: bytes) -> list[AIMessage]:
        return unpacked(kept)

    def spending(self, value: list[AIMessage] | None) -> Spending | None:
        """What it took; None for one that was never sent."""
        if value is None and not self._sending:
            return None
        call, requests = self._call, self._sending.requests if self._sending else 0
        usage = Usage() if value is None else self._calls.used(value, call.traits, call.messages)
        return Spending(call.role, self._round, usage, requests)


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

    async def answer(self, call: ChatCall) -> list[AIMessage]:
        """The same for a model call, which is counted."""
        asked, counted = call.question, _Counted(call, self.calls, self.round)
        self._keys[self._next(asked)] = (call.role, self.round)
        choices = await self._act(asked, counted.make, counted)
        if not all(whole(choice) for choice in choices):
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
                await self._keep(place, None, form.spending(None))
                raise
            spending = form.spending(value)
            await self._keep(place, form.pack(value) if self.store and not within else None, spending)
        self._count(spending)
        return value

    async def _keep(self, place: str, value: bytes | None, spending: Spending | None) -> None:
        if spending or value is not None:
            await self.calls.keep(self.task, place, value, spending, self.store)

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
            await self._keep(key, b"", Spending(role, round, Usage(), 0))

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


async def answers(
    model: BaseChatModel, role: str, messages: Sequence[Any], settings: Mapping[str, Any]
) -> list[AIMessage]:
    """What a model answers, a message a choice: through the account where there is one."""
    call, account = ChatCall(model, role, messages, settings), current_account()
    return await (account.answer(call) if account else call.sent())
