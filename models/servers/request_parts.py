"""The optional parts of a chat request: how a refusal names each, and what is sent instead.

| part | instead |
|---|---|
| temperature, top_p | left out, for the value that was refused; for every value once two were |
| max_tokens | the other of its two names (max_completion_tokens), then left out |
| response_format | a JSON schema becomes json_object with the schema in the text, then left out |
| logprobs | fewer of them (5), then left out |
| system | a developer message where the server speaks of one, then text before the first user message |
| tools | the caller asks by text (`PartRefused`) |
| seed, n and everything else | left out |

Words are those of OpenAI, Azure, Mistral, TGI, vLLM, SGLang, llama.cpp, Ollama, Gemini, Groq and OpenRouter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from anyprefer.models.system_role import SYSTEM_ROLES, merged_system, with_text

Payload = dict[str, Any]
Instead = Callable[[Payload, str], Payload | None]
"""(request, the server's words) → the request as it is sent instead; None where this way does not fit."""

FEWER = 5
"""Likeliest tokens asked for where a server does not tell 20."""
NEVER = ("model", "messages", "extra_body", "stop", "stream")
"""What a request is nothing without."""
_TOO_LONG = re.compile(
    r"context.{0,12}(?:length|window|size)|maximum context|n_ctx|too long|inputs.{0,3} tokens \+", re.I
)
"""A prompt that does not fit is this call's own fault, though the words name max_tokens."""


@dataclass(frozen=True)
class Part:
    """One optional part of a request."""

    name: str
    keys: tuple[str, ...]
    """Its fields in the request."""
    words: re.Pattern[str]
    """Found in a refusal of it."""
    instead: tuple[Instead, ...] = ()
    """What is tried, in this order, before it is left out."""
    by_value: bool = False
    """Whether another value may be taken where one is refused."""
    then: str = "left out"
    """What is done without it, for messages."""

    def named(self, words: str) -> bool:
        """Whether a server's words speak of it."""
        return bool(self.words.search(words)) and not (self.name == "max_tokens" and _TOO_LONG.search(words))

    def done(self, step: int) -> str:
        """What is done after so many refusals, in words."""
        return self.instead[step - 1].__doc__ or "" if step <= len(self.instead) else self.then

    def without(self, payload: Payload) -> Payload:
        """The request without it."""
        if self.name == "system":
            return {**payload, "messages": merged_system(payload["messages"])}
        return {key: value for key, value in payload.items() if key not in self.keys}


def _other_name(payload: Payload, words: str) -> Payload:
    """sent by its other name"""
    names = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
    return {names.get(key, key): value for key, value in payload.items()}


def _json_object(payload: Payload, words: str) -> Payload | None:
    """json_object, with the schema in the text"""
    shape = payload["response_format"]
    if shape.get("type") != "json_schema" or not words:
        return None
    schema = json.dumps(shape["json_schema"].get("schema"), ensure_ascii=False)
    *earlier, last = payload["messages"]
    asked = with_text(last, f"Write your answer as one JSON object of this JSON schema:\n{schema}", before=False)
    return {**payload, "response_format": {"type": "json_object"}, "messages": [*earlier, asked]}


def _fewer(payload: Payload, words: str) -> Payload | None:
    """fewer of them"""
    if not words or (payload.get("top_logprobs") or 0) <= FEWER:
        return None
    return {**payload, "top_logprobs": FEWER}


def _developer(payload: Payload, words: str) -> Payload | None:
    """sent as a developer message"""
    if not re.search(r"developer.{0,9}(?:role|message)|['\"`]developer['\"`]", words, re.I):
        return None
    renamed = [{**said, "role": "developer"} if said["role"] == "system" else said for said in payload["messages"]]
    return {**payload, "messages": renamed}


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


PARTS = (
    Part("temperature", ("temperature",), _words("temperature|greedy"), by_value=True),
    Part("top_p", ("top_p",), _words(r"top.?p\b|nucleus"), by_value=True),
    Part("seed", ("seed",), _words(r"seed\b"), then="left out, so its samples cannot be repeated"),
    Part("max_tokens", ("max_tokens", "max_completion_tokens"), _words(
        r"max.{0,3}(?:completion|new|output)?.?tokens|maxOutputTokens|\b(?:completion|output) tokens"
    ), (_other_name,)),
    Part("n", ("n",), _words(
        r"[`'\"\[(]n[`'\"\])]|\bn\s*(?:[><=:]|must|is\b|should|can|parameter)|(?:argument|param\w*|field|property|supplied|value)s?\W{1,3}n\b"
        r"|\(n,|(?:multiple|one|single|several|\d) (?:\w+ )?(?:candidate|choice|completion|output|sequence)|candidate.?count|best.?of"
    ), then="asked one answer at a time"),
    Part("tools", ("tools", "tool_choice", "parallel_tool_calls"), _words(r"tool|function.{0,3}(?:call|declaration)|\bfunctions\b"), then="asked for by text"),
    Part("response_format", ("response_format",), _words(
        r"response.?(?:format|schema|mime)|json.?(?:schema|object|mode|output)|schema|grammar|guided|structured.?output|must contain the word"
    ), (_json_object,)),
    Part("logprobs", ("logprobs", "top_logprobs"), _words("log.?prob"), (_fewer,)),
    Part("system", (), _words(
        r"\bsystem\W{0,3}(?:role|message|prompt|instruction)|[`'\"]system[`'\"]|developer (?:instruction|role|message)|\broles?\b"
        r"|(?:support|allow|role|from)\w*\W{1,3}system\b|only user|starts? with (?:a )?user"
    ), (_developer,), then="its text goes before the first user message"),
)  # fmt: skip
_BY_KEY = {key: part for part in PARTS for key in part.keys}
SYSTEM = PARTS[-1]
TOOLS = _BY_KEY["tools"]


@cache
def _plain(key: str) -> Part:
    return Part(key, (key,), _words(rf"\b{re.escape(key).replace('_', '.?')}\b"))


def parts_of(payload: Payload) -> list[Part]:
    """The optional parts of a request, each once."""
    found = dict.fromkeys(_BY_KEY.get(key) or _plain(key) for key in payload if key not in NEVER)
    if any(message["role"] in SYSTEM_ROLES for message in payload["messages"]):
        found[SYSTEM] = None
    return list(found)
