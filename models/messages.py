"""LangChain messages of prompts, tasks and images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, convert_to_messages

from anyprefer.core import conversation
from anyprefer.core.conversation import Message
from anyprefer.core.images import image_url
from anyprefer.core.task import Task


def user(text: str, images: Sequence[str] = (), found: Sequence[tuple[str, str]] = ()) -> HumanMessage:
    """A user message, with the task's images before the text where there are any, then those that tools `found`, each
    below whose it is; one that was found several times is shown once, one of the task's own not again."""
    if not (images or found):
        return HumanMessage(text)
    urls = [image_url(image) for image in images]
    finders: dict[str, list[str]] = {}
    for source, image in found:
        finders.setdefault(image_url(image), []).append(source)
    parts: list[str | dict[str, Any]] = [_picture(url) for url in urls]
    for url, sources in finders.items():
        if url not in urls:
            parts += [_text(" ".join(dict.fromkeys(sources))), _picture(url)]
    return HumanMessage([*parts, _text(text)])


def _picture(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def asked(
    policy: str, question: str, images: Sequence[str] = (), found: Sequence[tuple[str, str]] = ()
) -> list[BaseMessage]:
    """A system message with the policy, and the user message of the question (`user`)."""
    return [SystemMessage(policy), user(question, images, found)]


def task_messages(task: Task, prompt: str) -> list[Any]:
    """What the target is shown: the task's system message if any, what was said before, then p_t; images where they
    belong (`Task.messages`)."""
    if isinstance(task.prompt, str):
        return [*([SystemMessage(task.system)] if task.system else []), user(prompt, task.images)]
    urls = [image_url(image) for image in task.images]
    return [_langchain(message) for message in conversation.with_images(task.messages(prompt), urls)]


def _langchain(message: Message) -> BaseMessage:
    if message["role"] == "tool" and not message.get("tool_call_id"):  # as many data sets have it; servers refuse that
        return HumanMessage(message["content"])
    try:
        return convert_to_messages([message])[0]
    except (KeyError, TypeError, ValueError):  # tool calls without an id, or whose arguments are no JSON
        if not message.get("tool_calls"):
            raise
        return AIMessage(conversation.said(message))
