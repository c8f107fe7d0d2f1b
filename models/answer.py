"""What a chat model's answer is: text, how it ended, what it refused, what it thought.

Read here, once, wherever an answer comes in; sampling, selecting, judging, rating, TextGrad and evaluation take it
from `read_answer`. Thoughts are never an answer: no parser of scores sees them, and two answers that differ in their
thoughts alone are one.

| where thoughts stand | who writes them so |
|---|---|
| `reasoning_content`, `reasoning` beside the content | DeepSeek, vLLM, SGLang, Groq, OpenRouter |
| content parts of type `thinking`, `reasoning` | Anthropic, Mistral |
| `<think>…</think>` and its kin in the text; the opening mark may be missing, the closing one cut off | Qwen, R1, Magistral, Kimi |
| `<|channel|>analysis<|message|>…` | gpt-oss |
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.messages import AIMessage, BaseMessage

Ending = Literal["", "stop", "length", "filter", "error"]

_ENDINGS: dict[str, Ending] = {
    **dict.fromkeys(("stop", "eos", "eos_token", "end_turn", "stop_sequence", "tool_calls", "tool_use"), "stop"),
    **dict.fromkeys(("function_call", "complete", "completed", "finish_reason_unspecified"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "model_length", "incomplete"), "length"),
    **dict.fromkeys(("content_filter", "safety", "refusal", "recitation", "blocklist", "prohibited_content"), "filter"),
    **dict.fromkeys(("error", "abort", "cancelled", "insufficient_system_resource"), "error"),
}
_NAMES = ("finish_reason", "stop_reason", "done_reason")
_MARKS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<reflection>", "</reflection>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
)
_ANY = re.compile("|".join(re.escape(mark) for pair in _MARKS for mark in pair), re.IGNORECASE)
_CLOSING = {opening.lower(): closing.lower() for opening, closing in _MARKS}
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)[^<]*<\|message\|>")
_CONTROL = re.compile(r"<\|(?:start|end|return|call|channel|message|constrain)\|>")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as everything that reads answers sees it."""

    text: str
    """What was answered, without thoughts, stripped; may be empty."""
    ended: Ending = ""
    """`stop`: complete; `length`: cut off at the token limit; `filter`: a content filter ended it; `error`: the
    server did; empty: the model did not say."""
    refusal: str = ""
    """The server's `refusal` field: why it will not answer."""
    thoughts: str = ""
    """What it thought before, kept for the row and read by nobody else."""

    @property
    def complete(self) -> bool:
        """Whether nothing is missing at its end, as far as the model said."""
        return self.ended in ("", "stop")

    @property
    def flaw(self) -> str:
        """Why there is no whole answer, with the setting that helps; empty where there is one."""
        if self.refusal:
            return f"the model refused: {self.refusal[:200]}"
        if self.ended == "filter":
            return "a content filter ended the answer"
        if self.ended == "error":
            return "the server ended the answer with an error"
        if self.ended == "length":
            if self.thoughts and not self.text:
                return "the token limit came while it was still thinking"
            return "the answer was cut off at the token limit"
        if not self.text:
            return "the model only thought and answered nothing" if self.thoughts else "the answer is empty"
        return ""


def read_answer(message: BaseMessage) -> Answer:
    """The answer in a chat model's message. Takes what any provider's LangChain class returns; raises nothing."""
    said = message.content if isinstance(message.content, str) else str(message.text)
    text, thoughts = split_thoughts(said)
    told = "\n\n".join([part for part in (*_told(message), thoughts) if part])
    refusal = message.additional_kwargs.get("refusal")
    return Answer(text, ending(message), refusal if isinstance(refusal, str) else "", told)


def ending(message: BaseMessage) -> Ending:
    """How the answer ended, by whichever name its server gives that; an unknown word is no known ending."""
    for name in _NAMES:
        said = message.response_metadata.get(name)
        if isinstance(said, str) and said:
            return _ENDINGS.get(said.lower(), "")
    return ""


def whole(message: AIMessage) -> bool:
    """Whether the answer is neither empty nor cut off."""
    return bool(message.content or message.tool_calls) and ending(message) in ("", "stop")


def split_thoughts(text: str) -> tuple[str, str]:
    """(answer, thoughts), both stripped. A closing mark without an opening one ends thoughts that began before the
    text. An opening one that is never closed begins thoughts that were cut off, unless an answer stands before it:
    that one speaks of the mark. Linear in the text's length."""
    if "<|channel|>" in text:
        return _channels(text)
    if not _ANY.search(text):
        return text.strip(), ""
    answer: list[str] = []
    thoughts: list[str] = []
    opened, start, at = "", 0, 0
    for mark in _ANY.finditer(text):
        said, name = text[at : mark.start()], mark[0].lower()
        if opened:
            if name != _CLOSING[opened]:
                continue
            thoughts.append(said)
            opened = ""
        elif name in _CLOSING:
            answer.append(said)
            opened, start = name, mark.start()
        elif not thoughts:  # the template opened the thoughts, so the text begins within them
            thoughts, answer = [*answer, said], []
        else:
            answer.append(said)
        at = mark.end()
    if opened and "".join(answer).strip():
        answer.append(text[start:])
    else:
        (thoughts if opened else answer).append(text[at:])
    return "".join(answer).strip(), "\n\n".join(part.strip() for part in thoughts if part.strip())


def _channels(text: str) -> tuple[str, str]:
    """gpt-oss's channels: `final` is the answer, all others are thoughts."""
    parts = _CHANNEL.split(text)
    kept: dict[bool, list[str]] = {True: [_CONTROL.split(parts[0])[0]], False: []}
    for channel, body in zip(parts[1::2], parts[2::2], strict=True):
        kept[channel == "final"].append(_CONTROL.split(body)[0])
    return "".join(kept[True]).strip(), "\n\n".join(part.strip() for part in kept[False] if part.strip())


def _told(message: BaseMessage) -> Iterator[str]:
    """Thoughts that stand beside the text."""
    for name in ("reasoning_content", "reasoning"):
        said: Any = message.additional_kwargs.get(name)
        if isinstance(said, str) and said.strip():
            yield said.strip()
            break
    if isinstance(message.content, list):
        for part in message.content:
            if isinstance(part, dict) and part.get("type") in ("thinking", "reasoning"):
                yield "".join(str(part[key]) for key in ("thinking", "reasoning") if isinstance(part.get(key), str))
