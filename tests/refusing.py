"""How servers refuse optional parts of a request: words by server and part, for tests of the negotiation."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from aiohttp import web

PARTS = ("temperature", "top_p", "seed", "max_tokens", "n", "tools", "response_format", "logprobs", "system")


def sent(asked: dict[str, Any], part: str) -> bool:
    """Whether a request has the part."""
    if part == "system":
        return any(message["role"] == "system" for message in asked["messages"])
    return part in asked


def openai(part: str) -> Any:
    if part == "max_tokens":
        said = (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
    elif part == "system":
        said = "Unsupported value: 'messages[0].role' does not support 'system' with this model."
    elif part == "temperature":
        said = "Unsupported value: 'temperature' does not support 0.0 with this model. Only the default (1) value is supported."
    elif part == "response_format":
        said = "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model."
    else:
        said = f"Unsupported parameter: '{part}' is not supported with this model."
    param = "messages[0].role" if part == "system" else part
    return {
        "error": {"message": said, "type": "invalid_request_error", "param": param, "code": "unsupported_parameter"}
    }


def azure(part: str) -> Any:
    said = {
        "system": "Unrecognized message role: system",
        "response_format": "response_format value as json_schema is enabled only for api versions 2024-08-01-preview and later",
    }.get(part, f"Unrecognized request argument supplied: {part}")
    return {"error": {"message": said, "type": "invalid_request_error", "param": None, "code": None}}


def mistral(part: str) -> Any:
    if part == "system":
        return {
            "object": "error",
            "message": "Unexpected role 'system' after role 'user'",
            "type": "invalid_request_error",
        }
    place = {"type": "extra_forbidden", "loc": ["body", part], "msg": "Extra inputs are not permitted", "input": 1}
    return {"detail": [place]}


def tgi(part: str) -> Any:
    said = {
        "temperature": "Input validation error: `temperature` must be strictly positive",
        "top_p": "Input validation error: `top_p` must be > 0.0 and < 1.0",
        "max_tokens": "Input validation error: `max_new_tokens` must be strictly positive",
        "n": "Input validation error: `best_of` must be > 0 and <= 2. Given: 5",
        "tools": "Tool error: tool calling is not supported by this model",
        "response_format": "Input validation error: grammar is not supported",
        "logprobs": "Input validation error: `top_logprobs` is not supported",
        "system": "Template error: invalid operation: System role not supported (in <string>:1)",
    }.get(part, f"Input validation error: `{part}` is not supported")
    return {"error": said, "error_type": "validation"}


def vllm(part: str) -> Any:
    said = {
        "tools": '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
        "system": "System role not supported",
        "n": "n must be 1 when using greedy sampling, got 5.",
        "response_format": "guided decoding is not supported by this backend",
        "max_tokens": "max_tokens must be at least 16, got 5.",
    }.get(part, f"[{{'type': 'extra_forbidden', 'loc': ('body', '{part}'), 'msg': 'Extra inputs are not permitted'}}]")
    return {"object": "error", "message": said, "type": "BadRequestError", "param": None, "code": 400}


def llama_cpp(part: str) -> Any:
    said = {
        "tools": "tools param requires --jinja flag",
        "n": "Only one completion choice is allowed",
        "response_format": "failed to parse grammar",
        "logprobs": "logprobs is not supported with tools + stream",
        "system": "Conversation roles must alternate user/assistant/user/assistant/...",
    }.get(part, f"Unsupported param: {part}")
    return {"error": {"code": 500, "message": said, "type": "server_error"}}


def gemini(part: str) -> Any:
    said = {
        "n": "Multiple candidates is not enabled for this model",
        "system": "Developer instruction is not enabled for models/gemma-3-27b-it",
        "tools": "Function calling is not enabled for models/gemma-3-27b-it",
        "response_format": "JSON mode is not enabled for models/gemma-3-27b-it",
        "logprobs": "Logprobs is not enabled for models/gemini-2.5-pro",
        "max_tokens": 'Invalid JSON payload received. Unknown name "maxOutputTokens": Cannot find field.',
    }.get(part, f'Invalid JSON payload received. Unknown name "{part}": Cannot find field.')
    return [{"error": {"code": 400, "message": said, "status": "INVALID_ARGUMENT"}}]


def groq(part: str) -> Any:
    said = {
        "n": "'n' : number must be at most 1",
        "tools": "`tool calling` is not supported with this model",
        "response_format": "This model does not support response format `json_schema`.",
        "system": "'messages.0' : for 'role:system' the following must be satisfied: role is not supported",
    }.get(part, f"'{part}' : property '{part}' is unsupported")
    return {"error": {"message": said, "type": "invalid_request_error"}}


WORDS = {
    "openai": openai, "azure": azure, "mistral": mistral, "tgi": tgi,
    "vllm": vllm, "llama.cpp": llama_cpp, "gemini": gemini, "groq": groq,
}  # fmt: skip
SILENT = "a server that names nothing"
"""Whose refusals say `Bad Request`."""


def refused(asked: dict[str, Any], parts: Collection[str], status: int, server: str) -> web.Response | None:
    """The server's refusal of the first of the parts that a request has, None when it has none of them."""
    found = next((part for part in PARTS if part in parts and sent(asked, part)), None)
    if found is None:
        return None
    said = WORDS[server](found) if server in WORDS else {"error": {"message": "Bad Request"}}
    return web.Response(status=status, text=json.dumps(said), content_type="application/json")
