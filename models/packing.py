"""A call as the ledger keeps it: its key and its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage

from anyprefer.core.values import stable_hash
from anyprefer.models.answer import ending
from anyprefer.models.traits import traits_of

_KEPT = ("content", "tool_calls", "invalid_tool_calls", "usage_metadata", "response_metadata", "additional_kwargs")


def packed(choices: Sequence[AIMessage]) -> bytes:
    """Messages as JSON."""
    return orjson.dumps([{name: getattr(message, name) for name in _KEPT} for message in choices], default=str)


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
    said = [[message.type, message.content] for message in messages]
    return stable_hash([traits.name, traits.where, said, dict(kwargs)])[:40]
