"""Messages → what a local model reads: the chat template's token ids and, of a model that sees, its pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage, convert_to_openai_messages

from anyprefer.core.errors import ModelError
from anyprefer.models.local.prompts import Prompt
from anyprefer.models.local.templates import chat_ids, chat_inputs
from anyprefer.models.local.weights import Weights, picture_tokens

Chat = Sequence[Mapping[str, Any]]
"""Messages in OpenAI's form."""
_IDS = ("input_ids", "attention_mask")
_CROSS = "cross_attention_mask"


def as_dicts(messages: list[BaseMessage]) -> list[dict[str, Any]]:
    """LangChain's messages in OpenAI's form; a content is a text, or parts of type text and image_url."""
    converted = convert_to_openai_messages(messages)
    return converted if isinstance(converted, list) else [converted]


def prompt_of(weights: Weights, chat: Chat) -> Prompt:
    """The chat ready for the assistant's turn, or in the middle of one that it ends with.

    Raises `ModelError` for a model without a chat template, a part that it cannot read and a prompt longer than it
    reads, pictures counted; `InputError` for a picture that cannot be opened.
    """
    owner = weights.processor or weights.tokenizer
    if not owner.chat_template:
        name = weights.tokenizer.name_or_path
        raise ModelError(f"{name} has no chat template: it is not a chat model; use an -Instruct one")
    begun = chat[-1]["role"] == "assistant"
    turn = {"add_generation_prompt": not begun, "continue_final_message": begun}
    prompt = _pictured(weights, chat, turn) if weights.processor else _written(weights.tokenizer, chat, turn)
    _check_length(prompt, weights)
    return prompt


def _written(tokenizer: Any, chat: Chat, turn: Mapping[str, bool]) -> Prompt:
    texts = [{**entry, "content": _text(entry.get("content") or "")} for entry in chat]
    return Prompt(tuple(chat_ids(tokenizer, texts, **turn)))


def _text(content: Any) -> str:
    """Text of a message; raises `ModelError` for an image or any other part that is not text."""
    if isinstance(content, str):
        return content
    for part in content:
        if part.get("type") != "text":
            raise ModelError(
                f"LocalChat runs text models and this one cannot read a message part of type {part.get('type')!r}"
            )
    return "\n".join(part["text"] for part in content)


def _pictured(weights: Weights, chat: Chat, turn: Mapping[str, bool]) -> Prompt:
    shown: list[str] = []
    parts = [{**entry, "content": _parts(entry.get("content") or "", shown)} for entry in chat]
    made = chat_inputs(weights.processor, parts, **turn)
    if _CROSS in made:
        raise ModelError(
            f"{weights.tokenizer.name_or_path} reads pictures beside the text, which is not supported here"
        )
    ids = tuple(made["input_ids"][0].tolist())
    marks = picture_tokens(weights)
    closed = max((at + 1 for at, token in enumerate(ids) if token in marks), default=len(ids) if shown else 0)
    told = tuple(hashlib.sha256(image.encode()).hexdigest() for image in shown)
    return Prompt(ids, told, {name: made[name] for name in made if name not in _IDS}, closed)


def _parts(content: Any, shown: list[str]) -> list[dict[str, Any]]:
    """A content as chat templates of models that see take it; `shown` gets its images as they were given."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [_part(part, shown) for part in content]


def _part(part: Mapping[str, Any], shown: list[str]) -> dict[str, Any]:
    from anyprefer.core.pictures import opened  # Pillow is loaded where there are images

    if part.get("type") == "text":
        return {"type": "text", "text": part["text"]}
    if part.get("type") != "image_url":
        raise ModelError(f"LocalChat reads texts and images, no message part of type {part.get('type')!r}")
    shown.append(part["image_url"]["url"])
    return {"type": "image", "image": opened(shown[-1])}


def _check_length(prompt: Prompt, weights: Weights) -> None:
    """Raises `ModelError` for a prompt that the model was not made to read: it would answer all the same, with noise."""
    most = getattr(weights.model.config.get_text_config(), "max_position_embeddings", None)
    count = len(prompt.ids)
    if isinstance(most, int) and count >= most:
        pictures = f", {len(prompt.pictures)} pictures counted," if prompt.pictures else ""
        name = weights.tokenizer.name_or_path
        raise ModelError(
            f"the prompt has {count} tokens{pictures} and {name} reads {most}; shorten it or use another model"
        )
