"""The one place where a node talks to a chat model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage

from anyprefer.core.errors import AnswerError
from anyprefer.core.values import derive_seed
from anyprefer.models.account import call, choices, current_account, last_key, recorded
from anyprefer.models.answer import read_answer

__all__ = ["all_done", "ask", "call", "choices", "recorded"]

T = TypeVar("T")


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
