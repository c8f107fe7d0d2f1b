"""Images made smaller for a server that says how large they may be (`image_side`)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import BaseMessage

from anyprefer.core.errors import InputError
from anyprefer.core.images import smaller


async def sized(messages: Sequence[BaseMessage], side: int) -> list[BaseMessage]:
    """The messages, no image in them with more than `side` pixels at its longer side; 0: all as they are. An image behind
    an http(s) URL stays."""
    if not side or all(isinstance(message.content, str) for message in messages):
        return list(messages)
    return await asyncio.to_thread(lambda: [_sized(message, side) for message in messages])


def _sized(message: BaseMessage, side: int) -> BaseMessage:
    if isinstance(message.content, str):
        return message
    return message.model_copy(update={"content": [_part(part, side) for part in message.content]})


def _part(part: Any, side: int) -> Any:
    shown = part.get("image_url") if isinstance(part, dict) else None
    if not isinstance(shown, dict) or not str(shown.get("url")).startswith("data:"):
        return part
    try:
        return {**part, "image_url": {**shown, "url": smaller(shown["url"], side)}}
    except InputError:  # the server says what is wrong with it
        return part
