"""Conversations as tasks: messages of OpenAI's and TRL's form, or of ShareGPT's, in one normal form.

In the normal form a message has a `role` (system, user, assistant, tool) and a `content`: text, or a list of parts
`{"type": "text", "text": …}` and `{"type": "image"}`. Images themselves stand in the task's `images`, in order of
their places, as TRL has them. The system message that begins a conversation is the task's `system`, and a
conversation of one user message is that message's text: the same task, however its row spells it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Message = dict[str, Any]
Prompt = str | tuple[Message, ...]

ROLES: dict[str, str] = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(
        ("assistant", "gpt", "chatgpt", "bard", "bing", "bot", "ai", "model", "function_call"), "assistant"
    ),
    **dict.fromkeys(("tool", "function", "observation", "function_response", "tool_response"), "tool"),
}
"""Our name of each role that data sets write."""
_KEPT = ("tool_calls", "tool_call_id", "name")


def turns(messages: Iterable[Any]) -> list[Message]:
    """The messages with our roles; the content stays as it is. Raises `ValueError` naming the one that is none."""
    return [_turn(number, message) for number, message in enumerate(messages, 1)]


def _turn(number: int, message: Any) -> Message:
    if not isinstance(message, Mapping):
        raise ValueError(
            f"message {number} of the conversation is of type {type(message).__name__}; a message is "
            '{"role": "user", "content": …} or {"from": "human", "value": …}'
        )
    given = message.get("role") or message.get("from")
    role = ROLES.get(given.lower()) if isinstance(given, str) else None
    if role is None:
        raise ValueError(
            f"message {number} of the conversation has the role {given!r}; the roles are {', '.join(ROLES)}"
        )
    content = message["content"] if "content" in message else message.get("value")
    kept = {key: message[key] for key in _KEPT if message.get(key)}
    if "tool_calls" in kept:
        kept["tool_calls"] = _calls(number, kept["tool_calls"])
    return {"role": role, "content": content, **kept}


def _calls(number: int, given: Any) -> list[Any]:
    """A message's tool calls; tables hold them as JSON text."""
    try:
        calls = json.loads(given) if isinstance(given, str) else given
    except (ValueError, RecursionError):
        calls = None
    if not isinstance(calls, list | tuple) or not all(isinstance(call, Mapping) for call in calls):
        raise ValueError(f"message {number} of the conversation has tool_calls that are no list of objects")
    return list(calls)


def normal(messages: Iterable[Any], system: str | None = None, images: Sequence[Any] = ()) -> dict[str, Any]:
    """The task fields `prompt`, `system` and `images` of a conversation that waits for an answer.

    Raises `ValueError` where it does not end with a user's turn (or a tool's result after one), where a message
    has no text, where two system messages contradict each other or an image is missing.
    """
    chat = turns(messages)
    if not any(message["role"] == "user" for message in chat):
        raise ValueError("the conversation has no user message; give it one")
    if chat[-1]["role"] not in ("user", "tool"):
        raise ValueError(f"the conversation ends with a message of the {chat[-1]['role']}; it must end with the user's")
    found: list[Any] = []
    chat = [{**message, "content": _content(at, message, found)} for at, message in enumerate(chat, 1)]
    if chat[0]["role"] == "system":
        system, chat = _one_system(system, text_of(chat[0]["content"])), chat[1:]
    placed = _placed(found, list(images))
    if len(chat) > 1:
        return {"prompt": tuple(chat), "system": system, "images": placed}
    return {"prompt": text_of(chat[0]["content"]), "system": system, "images": placed}


def _content(number: int, message: Message, found: list[Any]) -> str | list[Message]:
    """The content in the normal form; `found` gets what stands in its image parts, None for a bare place."""
    content = message["content"]
    if isinstance(content, list | tuple):
        parts = [_part(number, part, found) for part in content]
        if any(part["type"] != "text" for part in parts):
            return parts
        content = "\n".join(part["text"] for part in parts)
    text = "" if content is None else content
    if not isinstance(text, str) or not (text.strip() or message["role"] != "user"):
        raise ValueError(f"message {number} of the conversation, by the {message['role']}, is empty or no text")
    return text


def _part(number: int, part: Any, found: list[Any]) -> Message:
    kind = part.get("type", "text") if isinstance(part, Mapping) else "text" if isinstance(part, str) else None
    if kind in ("text", "input_text", "output_text"):
        text = part if isinstance(part, str) else part.get("text")
        if isinstance(text, str):
            return {"type": "text", "text": text}
    if kind in ("image_url", "image", "input_image"):
        given = next((part[key] for key in ("image_url", "image", "url", "path") if part.get(key) is not None), None)
        found.append(given["url"] if isinstance(given, Mapping) and "url" in given else given)
        return {"type": "image"}
    raise ValueError(f"message {number} of the conversation has a part of type {kind!r}; text and images can be shown")


def _one_system(given: str | None, told: str) -> str | None:
    if given and told and given.strip() != told.strip():
        raise ValueError("the row has a system message and its conversation begins with another; keep one of them")
    return given or told or None


def _placed(found: Sequence[Any], images: list[Any]) -> list[Any]:
    """All images in order: those that stand in their parts, the others at the bare places, the rest behind."""
    bare = found.count(None)
    if bare > len(images):
        raise ValueError(f"the conversation has places for {bare} images, and the row has {len(images)}")
    return [one if one is not None else images.pop(0) for one in found] + images


def text_of(content: Any) -> str:
    """A message's text, its images left out."""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] == "text")


def last_user(prompt: Sequence[Message]) -> int:
    """Where the last user turn stands."""
    return max(at for at, message in enumerate(prompt) if message["role"] == "user")


def question(prompt: Prompt) -> str:
    """The last user turn's text; of a text the text itself."""
    return prompt if isinstance(prompt, str) else text_of(prompt[last_user(prompt)]["content"])


def rendered(prompt: Prompt) -> str:
    """The whole conversation as text, each turn under its role; a text is itself."""
    return (
        prompt
        if isinstance(prompt, str)
        else "\n\n".join(f"{message['role'].capitalize()}: {said(message)}" for message in prompt)
    )


def said(message: Message) -> str:
    """A message as text, its images marked and its tool calls as JSON."""
    content = message["content"]
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    texts = [part["text"] if part["type"] == "text" else "[image]" for part in parts]
    called = [json.dumps(call.get("function", call), ensure_ascii=False) for call in message.get("tool_calls", ())]
    return "\n".join([*filter(None, texts), *called])


def turns_of(prompt: Prompt) -> list[Message]:
    """The messages of a conversation; of a text the one that asks it."""
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)


def asked(prompt: Prompt, text: str) -> list[Message]:
    """The messages with `text` as the last user turn's: what was said before, and that turn's images, stay."""
    if isinstance(prompt, str):
        return [{"role": "user", "content": text}]
    at = last_user(prompt)
    content = prompt[at]["content"]
    places = [] if isinstance(content, str) else [part for part in content if part["type"] == "image"]
    told = [*places, {"type": "text", "text": text}] if places else text
    return [*prompt[:at], {**prompt[at], "content": told}, *prompt[at + 1 :]]


def with_images(chat: Sequence[Message], urls: Sequence[str]) -> list[Message]:
    """The messages with `image_url` parts at their places; images without one stand before the last user turn."""
    left = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    shown = [{**message, "content": _filled(message["content"], left)} for message in chat]
    if left:
        at = last_user(shown)
        content = shown[at]["content"]
        rest = content if isinstance(content, list) else [{"type": "text", "text": content}]
        shown[at] = {**shown[at], "content": [*left, *rest]}
    return shown


def _filled(content: Any, left: list[Message]) -> Any:
    if isinstance(content, str):
        return content
    return [left.pop(0) if part["type"] == "image" else part for part in content]
