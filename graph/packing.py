"""A call's answer as the ledger keeps it."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from langchain_core.messages import AIMessage

_KEPT = ("content", "tool_calls", "invalid_tool_calls", "usage_metadata", "response_metadata", "additional_kwargs")


def packed(choices: Sequence[AIMessage]) -> bytes:
    """Messages as JSON."""
    return orjson.dumps([{name: getattr(message, name) for name in _KEPT} for message in choices], default=str)


def unpacked(data: bytes) -> list[AIMessage]:
    """The messages `packed` made JSON of."""
    return [AIMessage(**message) for message in orjson.loads(data)]
