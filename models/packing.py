"""Messages and what acts brought, as ledger and tape keep them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

import orjson
from langchain_core.messages import AIMessage, BaseMessage

from anyprefer.core.images import url_key
from anyprefer.models.answer import Answer

T = TypeVar("T")


@dataclass(frozen=True)
class Form(Generic[T]):
    """The form in which a value is kept."""

    pack: Callable[[T], bytes | None]
    """None for a value that has none: it is not kept, and the act is made again."""
    unpack: Callable[[bytes], T]
    """The value `pack` made bytes of."""


def json_form(told: Callable[[T], Any], of: Callable[[Any], T]) -> Form[T]:
    """JSON: `told` gives that of a value, `of` the value of that."""

    def pack(value: T) -> bytes | None:
        try:
            return json.dumps(told(value), ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError):
            return None

    return Form(pack, lambda kept: of(json.loads(kept)))


JSON: Form[Any] = json_form(lambda value: value, lambda told: told)

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


MESSAGES = Form(packed, unpacked)
"""A model's answer, a message a choice."""


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
