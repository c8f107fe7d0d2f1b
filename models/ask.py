"""The one place where a node talks to a chat model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage

from anyprefer.core.errors import AnswerError
from anyprefer.core.values import derive_seed
from anyprefer.models.account import answers, current_account, last_key
from anyprefer.models.answer import read_answer

T = TypeVar("T")


async def call(
    model: BaseChatModel, messages: Sequence[Any], role: str, binding: Mapping[str, Any] | None = None, **sampling: Any
) -> AIMessage:
    """One call, through the run's account where there is one (`models/account.py`). `role` names it in traces
    and token counts; sampling settings a model does not have are left out.

    Raises `ModelError` with the server's words, secrets removed, and `RunStopped` when the run is over.
    """
    return (await answers(model, role, messages, {**sampling, **(binding or {})}))[0]


async def choices(
    model: BaseChatModel, messages: Sequence[Any], role: str, count: int, **sampling: Any
) -> list[AIMessage]:
    """One call that asks a model whose traits say `choices` for so many (`n`); fewer come from a server that does not
    know `n`."""
    return await answers(model, role, messages, {**sampling, "n": count})


def recorded(model: BaseChatModel, messages: Sequence[Any], **sampling: Any) -> bool:
    """Whether the run has the answer to a `call` like this already."""
    account = current_account()
    return bool(account and account.knows(model, messages, sampling))


async def all_done(calls: Iterable[Awaitable[T]]) -> list[T]:
    """Their results in order. When one fails the others are let finish first: their answers are paid for."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return cast("list[T]", results)


REASKS = 1
"""How often an answer that cannot be parsed is asked for again: a model that fails twice mostly fails further."""


async def ask(
    model: BaseChatModel,
    messages: Sequence[Any],
    role: str,
    parse: Callable[[AIMessage], T],
    seed: int,
    **sampling: Any,
) -> T:
    """Asks until `parse` accepts the answer, at most 1 + REASKS times, each with its own seed and with what could
    not be read of the answers before.

    Raises the last `AnswerError`: what cannot be parsed never becomes a value.
    """
    asked, unread = list(messages), list[str]()
    for attempt in range(1 + REASKS):
        answer = await call(model, asked, role, seed=derive_seed(seed, role, attempt), **sampling)
        try:
            return parse(answer)
        except AnswerError as error:
            unread.append(last_key())
            if attempt == REASKS:
                if account := current_account():
                    account.unread.update(unread)
                raise _with_cause(error, answer, role, sampling) from error
            asked[-1] = _with_note(asked[-1], f"Your answer number {attempt + 1} could not be read: {error.reason}.")
    raise AssertionError("unreachable")


def _with_cause(error: AnswerError, answer: AIMessage, role: str, sampling: Mapping[str, Any]) -> AnswerError:
    """The error with how the answer ended, where that is why it could not be read, and the setting that helps."""
    if read_answer(answer).ended != "length":
        return error
    limit = f"judge_max_new_tokens = {sampling.get('max_tokens')}"
    return AnswerError(f"{error.reason} ({role}: cut off at {limit}; raise it)", error.text)


def _with_note(message: BaseMessage, note: str) -> BaseMessage:
    """The same message with a paragraph more: roles still alternate, and a greedy model has another question."""
    added: Any = f"{message.content}\n\n{note}"
    if isinstance(message.content, list):
        added = [*message.content, {"type": "text", "text": note}]
    return message.model_copy(update={"content": added})
