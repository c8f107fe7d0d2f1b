"""Messages for models that know no system role: what the system says stands before the first user message's text."""

from __future__ import annotations

from typing import Any

SYSTEM_ROLES = ("system", "developer")


def merged_system(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages with what the system says put before the first user message's text."""
    said = "\n\n".join(_text(message["content"]) for message in messages if message["role"] in SYSTEM_ROLES)
    others = [message for message in messages if message["role"] not in SYSTEM_ROLES]
    at = next((place for place, message in enumerate(others) if message["role"] == "user"), None)
    if at is None:
        return [{"role": "user", "content": said}, *others]
    return [*others[:at], with_text(others[at], said, before=True), *others[at + 1 :]]


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(str(part.get("text", "")) for part in content or ())


def with_text(message: dict[str, Any], text: str, before: bool) -> dict[str, Any]:
    """The message with a text before or behind its own."""
    content = message["content"]
    if isinstance(content, str):
        return {**message, "content": f"{text}\n\n{content}" if before else f"{content}\n\n{text}"}
    part = {"type": "text", "text": text}
    return {**message, "content": [part, *content] if before else [*content, part]}
