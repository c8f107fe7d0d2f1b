"""An act as the ledger keeps it: a call's key, and the form of its value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import asdict
from typing import Any, Generic, TypeVar, cast

import orjson
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage

from anyprefer.core.images import url_key
from anyprefer.core.records import Finding
from anyprefer.core.values import stable_hash
from anyprefer.models.answer import Answer, ending
from anyprefer.models.spending import Spending
from anyprefer.models.traits import traits_of

T = TypeVar("T")


class Form(Generic[T]):
    """How an act is made and its value kept: by default at once, as JSON, and for nothing."""

    turn: AbstractAsyncContextManager[Any] = nullcontext()
    """Held while the act is made and until its value is kept."""

    def pack(self, value: T) -> bytes | None:
        """None for a value without a JSON form: it is not kept, and the act is made again."""
        try:
            return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError):
            return None

    def unpack(self, kept: bytes) -> T:
        """The value `pack` made bytes of."""
        return cast("T", json.loads(kept))

    def spending(self, value: T | None) -> Spending | None:
        """What counts, where the act is a call; `value` is None when it failed."""
        return None


class _Findings(Form[Finding]):
    def pack(self, value: Finding) -> bytes | None:
        return JSON.pack(asdict(value))

    def unpack(self, kept: bytes) -> Finding:
        return Finding(**JSON.unpack(kept))


class _Contents(Form[list[Any]]):
    def pack(self, value: list[Any]) -> bytes | None:
        return JSON.pack([content_told(content) for content in value])

    def unpack(self, kept: bytes) -> list[Any]:
        return [content_of(told) for told in JSON.unpack(kept)]


JSON: Form[Any] = Form()
FINDINGS = _Findings()
"""What a tool found."""
CONTENTS = _Contents()
"""What a target sampled: answers, or any JSON values."""

_ANSWER = "anyprefer.Answer"


def content_told(content: Any) -> Any:
    """A sampled content as JSON; an answer under a key that no other content has."""
    return {_ANSWER: asdict(content)} if isinstance(content, Answer) else content


def content_of(told: Any) -> Any:
    """The content `content_told` made JSON of."""
    return Answer(**told[_ANSWER]) if isinstance(told, dict) and told.keys() == {_ANSWER} else told


_KEPT = ("content", "tool_calls", "invalid_tool_calls", "usage_metadata", "response_metadata", "additional_kwargs")


def packed(choices: Sequence[AIMessage]) -> bytes:
    """Messages as JSON."""
    told = [{name: getattr(message, name) for name in _KEPT} for message in choices]
    try:
        return orjson.dumps(told, default=str)
    except TypeError:  # an integer beyond 64 bits, half a surrogate pair
        return json.dumps(told, ensure_ascii=False, default=str).encode("utf-8", "replace")


def unpacked(data: bytes) -> list[AIMessage]:
    """The messages `packed` made JSON of."""
    return [AIMessage(**message) for message in orjson.loads(data)]


def whole(choice: AIMessage) -> bool:
    """Whether an answer is neither empty nor cut off."""
    return bool(choice.content or choice.tool_calls) and ending(choice) in ("", "stop")


def question(model: BaseChatModel, messages: Sequence[BaseMessage], kwargs: Mapping[str, Any]) -> str:
    """What was asked, and of whom. With how often it was asked it is a key: samples of a model without seeds
    differ by that alone."""
    traits = traits_of(model)
    return stable_hash([traits.name, traits.where, said_in(messages), dict(kwargs)])[:40]


def said_in(messages: Sequence[BaseMessage]) -> list[Any]:
    """Each message's type and content, images by what stands for them: a content's hash is quickly had, and the same for
    every way to give it."""
    return [[message.type, _without_bytes(message.content)] for message in messages]


def _without_bytes(content: Any) -> Any:
    if isinstance(content, str):
        return content
    return [
        _keyed(part) if isinstance(part, dict) and isinstance(part.get("image_url"), dict) else part for part in content
    ]


def _keyed(part: dict[str, Any]) -> dict[str, Any]:
    url = part["image_url"].get("url")
    if not isinstance(url, str) or not url.startswith("data:image/"):
        return part
    return {**part, "image_url": {**part["image_url"], "url": url_key(url)}}


def is_call(key: str) -> bool:
    """Whether an act's key is of a model call; those of other acts begin with a role."""
    return ":" not in key
