"""LangChain's messages to the chat completions protocol and back, for the common forms and fast.

What is not common is left to LangChain's own converters; see `openai_chat.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_openai.chat_models.base import _create_usage_metadata

SPOKEN = {
    *("model", "messages", "stream", "seed", "temperature", "top_p", "max_tokens", "max_completion_tokens", "stop"),
    *("n", "tools", "tool_choice", "parallel_tool_calls", "response_format", "presence_penalty", "frequency_penalty"),
    *("logit_bias", "user", "reasoning_effort", "verbosity", "service_tier", "store", "metadata"),
    *("safety_identifier", "prompt_cache_key", "extra_body", "logprobs", "top_logprobs"),
}
"""Parameters whose requests and answers are understood here."""

_ROLES: dict[type[BaseMessage], str] = {HumanMessage: "user", SystemMessage: "system", AIMessage: "assistant"}
_PARTS = ("text", "image_url")
BESIDE = ("reasoning_content", "reasoning", "function_call", "audio")
"""What may stand beside a message's content; kept where it says something."""

_SET = ("content", "usage_metadata", "additional_kwargs", "response_metadata", "tool_calls", "invalid_tool_calls")
_DEFAULTS: dict[str, Any] = {"type": "ai", "name": None, "id": None}


def common(message: BaseMessage) -> bool:
    """Whether the message has a form that `as_dicts` knows: text, or a user's OpenAI content parts."""
    kind, content = type(message), message.content
    if kind is ToolMessage:
        return isinstance(content, str)
    if kind not in _ROLES or any(message.additional_kwargs.values()):
        return False
    if kind is AIMessage:
        return isinstance(content, str) and not (message.tool_calls or message.invalid_tool_calls)  # type: ignore[attr-defined]
    return isinstance(content, str) or all(
        isinstance(part, dict) and part.get("type") in _PARTS and "extras" not in part for part in content
    )


def as_dicts(messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """Common messages as the protocol wants them."""
    return [_as_dict(message) for message in messages]


def _as_dict(message: BaseMessage) -> dict[str, Any]:
    if isinstance(message, ToolMessage):
        return {"role": "tool", "content": message.content, "tool_call_id": message.tool_call_id}
    spoken = {"role": _ROLES[type(message)], "content": message.content}
    if message.name is not None:
        spoken["name"] = message.name
    return spoken


def chat_result(answer: dict[str, Any], model: str, shaped: bool) -> ChatResult:
    """The answer as LangChain's ChatOpenAI gives it: a generation per choice. `shaped`: a response_format was sent."""
    generations = [_generation(message) for message in chat_messages(answer, shaped)]
    return ChatResult.model_construct(generations=generations, llm_output=_about(answer, model))


def chat_messages(answer: dict[str, Any], shaped: bool) -> list[AIMessage]:
    """A message a choice."""
    usage = _usage(answer)
    messages = [_message(choice, usage) for choice in answer["choices"]]
    if shaped:
        messages[0].additional_kwargs["parsed"] = None
    return messages


def chat_message(answer: dict[str, Any], model: str, shaped: bool) -> AIMessage:
    """The first choice as LangChain's `ainvoke` gives it."""
    message = _message(answer["choices"][0], _usage(answer))
    if shaped:
        message.additional_kwargs["parsed"] = None
    if len(answer["choices"]) == 1:
        message.response_metadata = {**_about(answer, model), **message.response_metadata}
    return message


def _usage(answer: dict[str, Any]) -> Any:
    usage = answer.get("usage")
    return _create_usage_metadata(usage, answer.get("service_tier")) if usage else None


def _about(answer: dict[str, Any], model: str) -> dict[str, Any]:
    about = {
        "token_usage": answer.get("usage"),
        "model_provider": "openai",
        "model_name": answer.get("model", model),
        "system_fingerprint": answer.get("system_fingerprint"),
        "id": answer.get("id"),
    }
    if answer.get("service_tier"):
        about["service_tier"] = answer["service_tier"]
    return about


def _ending(choice: dict[str, Any]) -> dict[str, Any]:
    return {"finish_reason": choice.get("finish_reason"), "logprobs": choice.get("logprobs")}


def _generation(message: AIMessage) -> ChatGeneration:
    text = message.content if isinstance(message.content, str) else str(message.text)
    return ChatGeneration.model_construct(text=text, message=message, generation_info=message.response_metadata)


def _message(choice: Any, usage: Any) -> AIMessage:
    """A choice as a message with how it ended, what it refused and what it thought. One that a filter emptied may
    have no message at all, and is an empty answer."""
    choice = choice if isinstance(choice, dict) else {}
    said = choice.get("message")
    said = said if isinstance(said, dict) else {"content": choice.get("text")}
    content, calls = said.get("content") or "", said.get("tool_calls")
    kept = {"refusal": said.get("refusal")}
    kept.update([(name, said[name]) for name in BESIDE if said.get(name)])
    if calls or not isinstance(content, str) or len(kept) > 1:
        valid, invalid = _tool_calls(calls)
        content = content if isinstance(content, str | list) else str(content)
        about = {"additional_kwargs": kept, "response_metadata": _ending(choice)}
        return AIMessage(content, tool_calls=valid, invalid_tool_calls=invalid, usage_metadata=usage, **about)
    # Text alone needs no validation, which would cost more than all else in this file; nor should pydantic look for
    # the defaults.
    return AIMessage.model_construct(
        _fields_set=set(_SET),
        content=content,
        usage_metadata=usage,
        additional_kwargs=kept,
        response_metadata=_ending(choice),
        tool_calls=[],
        invalid_tool_calls=[],
        **_DEFAULTS,
    )


def _tool_calls(calls: Any) -> tuple[list[Any], list[Any]]:
    """(calls that can be made, calls that cannot be read)."""
    valid, invalid = [], []
    for call in calls if isinstance(calls, list) else []:
        made = call.get("function") if isinstance(call, dict) else None
        name, given = (made.get("name"), made.get("arguments")) if isinstance(made, dict) else (None, call)
        key, arguments = call.get("id") if isinstance(call, dict) else None, _arguments(given)
        key = key if isinstance(key, str) else None
        if isinstance(name, str) and name and arguments is not None:
            valid.append(tool_call(name=name, args=arguments, id=key))
        else:
            text = given if isinstance(given, str) else json.dumps(given)
            invalid.append(invalid_tool_call(name=str(name or ""), args=text, id=key, error="not a JSON object"))
    return valid, invalid


def _arguments(given: Any) -> dict[str, Any] | None:
    """A call's arguments: JSON text as the protocol has it, an object (TGI), JSON of JSON text; None for what is no
    object. Nothing at all is no argument."""
    for _ in range(3):
        if not isinstance(given, str):
            break
        try:
            given = json.loads(given) if given.strip() else {}
        except (ValueError, RecursionError):
            return None
    return given if isinstance(given, dict) else {} if given is None else None
