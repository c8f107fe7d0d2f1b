"""Chat templates of local models: what stands in a message is text, whatever it spells.

A tokenizer reads `<|im_end|>` as the token that ends a turn wherever it stands, so a question, a candidate or a
training text that spells it would write turns of its own. Here a zero-width space is put into each such spelling:
what is shown stays readable, and no control token comes of it. Servers do this, or do not, on their side.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError

from anyprefer.models.system_role import SYSTEM_ROLES, merged_system

BREAK = "\u200b"
"""Zero-width space."""
_WRITTEN = re.compile(r"\[/?[A-Z_]{2,40}\]|<</?[A-Z_]{2,40}>>")
"""Role markers that some templates spell in plain text, as Llama 2's `[INST]`."""


def chat_ids(tokenizer: Any, chat: Sequence[Mapping[str, Any]], **options: Any) -> list[int]:
    """Token ids of the messages in the model's template. `options` go to `apply_chat_template`."""
    ids: list[int] = _applied(tokenizer, chat, return_dict=False, **options)
    return ids


def chat_text(tokenizer: Any, chat: Sequence[Mapping[str, Any]], **options: Any) -> str:
    """The same as text, whose only control tokens are the template's own."""
    text: str = _applied(tokenizer, chat, tokenize=False, **options)
    return text


def chat_inputs(processor: Any, chat: Sequence[Mapping[str, Any]], **options: Any) -> dict[str, Any]:
    """What a model that sees reads of messages whose contents are parts, `{"type": "text", "text": …}` and
    `{"type": "image", "image": PIL image}`: tensors of one row, `input_ids` (1, S) and the processor's others."""
    return dict(_applied(processor, chat, tokenize=True, return_dict=True, return_tensors="pt", **options))


def _applied(tokenizer: Any, chat: Sequence[Mapping[str, Any]], **options: Any) -> Any:
    """The template's work. One that has no system role, as Gemma's, gets the system's text before the first user's."""
    plain = plain_chat(tokenizer, chat)
    try:
        return tokenizer.apply_chat_template(plain, **options)
    except TemplateError:
        if not any(message["role"] in SYSTEM_ROLES for message in plain):
            raise
        return tokenizer.apply_chat_template(merged_system(plain), **options)


def shared_start(one: Sequence[int], other: Sequence[int]) -> int:
    """How many token ids both begin with."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def plain_chat(tokenizer: Any, chat: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The messages with contents of which no control token comes; each content is a text or parts."""
    return [{**message, "content": _plain(tokenizer, message["content"])} for message in chat]


def _plain(tokenizer: Any, content: Any) -> Any:
    if isinstance(content, str):
        return plain_text(tokenizer, content)
    return [{**part, "text": plain_text(tokenizer, part["text"])} if "text" in part else part for part in content]


def plain_text(tokenizer: Any, text: str) -> str:
    """The text with every spelling of a control token or role marker of this tokenizer or processor broken; else as
    it is."""
    control = _control(tokenizer)
    while control and control.search(text):  # again: what is left of one may be another
        text = control.sub(_broken, text)
    return text


def _broken(found: re.Match[str]) -> str:
    return found[0][0] + BREAK + found[0][1:] if len(found[0]) > 1 else ""


@lru_cache(maxsize=8)
def _control(owner: Any) -> re.Pattern[str] | None:
    """What no content may spell: the special tokens, those of pictures, and the markers the template writes."""
    tokenizer = getattr(owner, "tokenizer", owner)
    added = tokenizer.added_tokens_decoder.values()
    special = {str(token) for token in added if token.special} | set(tokenizer.all_special_tokens)
    special |= {*getattr(owner, "all_special_multimodal_tokens", ()), *_WRITTEN.findall(str(owner.chat_template))}
    spelled = sorted(special - {""}, key=len, reverse=True)
    if not spelled:
        return None
    first = "".join(sorted({re.escape(one[0]) for one in spelled}))
    return re.compile(f"(?=[{first}])(?:{'|'.join(map(re.escape, spelled))})")
