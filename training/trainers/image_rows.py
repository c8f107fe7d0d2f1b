"""Pairs with images as the trainer sees them: token ids with the tokens that stand for images, and which images.

The prompt is the one the model is sampled with (`chat_inputs`). A pair that is longer than `max_length` is left out and
named: cut, it would lose tokens of images, or what is preferred. So is one whose image cannot be opened.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from anyprefer.core.conversation import Message, with_images
from anyprefer.core.errors import InputError, TrainingError
from anyprefer.core.pictures import content_hash, opened
from anyprefer.core.values import stable_hash
from anyprefer.models.local.templates import chat_inputs, chat_text, shared_start
from anyprefer.training.trainers.tokens import PairIds, ready_rows

_log = logging.getLogger("anyprefer")
TYPES = ("token_type_ids", "mm_token_type_ids")
"""What some models read beside the ids, a number a token; 0 for those of answers."""
NAMED = 5
"""Pairs left out that are named; the others are counted."""


class ImageRows:
    """Reads rows with a processor, and notes the images they show."""

    def __init__(self, processor: Any, max_length: int, model: str) -> None:
        self._processor, self._max_length, self._model = processor, max_length, model
        self.sources: dict[str, str] = {}
        """Each image by the hash of its content."""
        self._prompts: dict[str, tuple[dict[str, list[int]], list[int]]] = {}

    def tokenised(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Each row with `prompt_ids`, `chosen_ids`, `rejected_ids`, their tokens as `length`, and `pictures`: the content
        hashes of its images in order; shortest first.

        Raises `TrainingError` where all are left out, and where the template refuses a row.
        """
        if not self._processor.chat_template:
            raise TrainingError(f"{self._model} has no chat template, so pairs cannot be written in it")
        found, left_out = list[PairIds](), list[str]()
        for number, row in enumerate(rows, 1):
            where = row.get("where", f"pair {number}")
            try:
                found.append(self._fitting(where, row))
            except InputError as error:
                left_out.append(f"{where}: {error}")
        _tell(left_out, len(rows))
        return ready_rows(found, self._processor.tokenizer, self._max_length, self._model)

    def _fitting(self, where: str, row: Mapping[str, Any]) -> PairIds:
        pair = self._read(where, row)
        if pair.length > self._max_length:
            raise InputError(f"{pair.length} tokens, those of images counted, and max_length is {self._max_length}")
        self.sources |= dict(zip(pair.more["pictures"], row["images"], strict=True))
        return pair

    def _read(self, where: str, row: Mapping[str, Any]) -> PairIds:
        pictures = [content_hash(image) for image in row["images"]]
        chat = _shown(row)
        whole, prompt = self._prompt(where, chat, [opened(image) for image in row["images"]])
        chosen, rejected = (self._ids([*chat, *_shown({"turns": row[name]})]) for name in ("chosen", "rejected"))
        start = min(shared_start(prompt, chosen), shared_start(prompt, rejected))
        kept = len(whole["input_ids"]) - len(prompt[start:])
        types = {name: whole[name][:kept] for name in TYPES if name in whole}
        length = kept + max(len(chosen), len(rejected)) - start
        ids = whole["input_ids"][:kept]
        return PairIds(
            {"pictures": pictures, **types}, where, length, ids, chosen[start:], rejected[start:], prompt[start:]
        )

    def _prompt(
        self, where: str, chat: Sequence[Message], pictures: Sequence[Any]
    ) -> tuple[dict[str, list[int]], list[int]]:
        """The prompt with every token of its images, and with one an image; read once for the same words about images of
        the same sizes, which decide how many tokens they take."""
        key = stable_hash([chat, [picture.size for picture in pictures]])
        if key not in self._prompts:
            self._prompts[key] = self._whole(where, chat, pictures), self._ids(chat, add_generation_prompt=True)
        return self._prompts[key]

    def _whole(self, where: str, chat: Sequence[Message], pictures: Sequence[Any]) -> dict[str, list[int]]:
        """The prompt with every token of its images."""
        left = list(pictures)
        parts = [{**message, "content": [_filled(part, left) for part in message["content"]]} for message in chat]
        try:
            made = chat_inputs(self._processor, parts, add_generation_prompt=True)
        except Exception as error:  # a template is a program of the model's, and processors check what they get
            raise TrainingError(
                f"{where}: {self._model} cannot read this conversation ({type(error).__name__}: {error}); "
                "change the row or train another model"
            ) from error
        return {name: made[name][0].tolist() for name in ("input_ids", *TYPES) if name in made}

    def _ids(self, chat: Sequence[Message], **options: Any) -> list[int]:
        """The chat with one token an image."""
        text, tokenizer = chat_text(self._processor, chat, **options), self._processor.tokenizer
        # as `apply_chat_template` of processors does
        begun = tokenizer.bos_token is not None and text.startswith(tokenizer.bos_token)
        ids: list[int] = tokenizer(text, add_special_tokens=not begun)["input_ids"]
        return ids


def _shown(row: Mapping[str, Any]) -> list[Message]:
    """The row's messages, every content as parts; images without a place stand before the last user's text."""
    turns, images = list(row["turns"]), row.get("images") or []
    places = sum(
        part["type"] == "image" for turn in turns if isinstance(turn["content"], list) for part in turn["content"]
    )
    if places > len(images):
        raise InputError(f"the prompt has places for {places} images, and the row has {len(images)}")
    chat = with_images(turns, images) if images else turns
    return [{**message, "content": _parts(message["content"])} for message in chat]


def _parts(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [part if part["type"] == "text" else {"type": "image"} for part in content]


def _filled(part: Mapping[str, Any], left: list[Any]) -> Mapping[str, Any]:
    return {"type": "image", "image": left.pop(0)} if part["type"] == "image" else part


def _tell(left_out: Sequence[str], rows: int) -> None:
    """Says which pairs are left out and why; raises where none is left."""
    if not left_out:
        return
    more = f"; and {len(left_out) - NAMED} more" if len(left_out) > NAMED else ""
    told = f"{len(left_out)} of {rows} pairs are left out: {'; '.join(left_out[:NAMED])}{more}"
    if len(left_out) == rows:
        raise TrainingError(f"there is nothing to train on: {told}")
    _log.warning("%s", told)
