"""LangChain's messages to the chat completions protocol and back, for the common forms and fast.

What is not common is left to LangChain's own converters; see `openai_chat.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers.openai_tools import make_invalid_tool_call, parse_tool_call
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
    usage = _usage(answer)
    generations = [_generation(choice, usage) for choice in answer["choices"]]
    _note_refusal(generations[0].message, answer, shaped)
    return ChatResult.model_construct(generations=generations, llm_output=_about(answer, model))


def chat_message(answer: dict[str, Any], model: str, shaped: bool) -> AIMessage:
    """The first choice as LangChain's `ainvoke` gives it."""
    first = answer["choices"][0]
    message = _message(first["message"], _usage(answer))
    _note_refusal(message, answer, shaped)
    about = _about(answer, model) if len(answer["choices"]) == 1 else {}
    message.response_metadata = {**about, **_ending(first)}
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


def _note_refusal(message: BaseMessage, answer: dict[str, Any], shaped: bool) -> None:
    message.additional_kwargs["refusal"] = answer["choices"][0]["message"].get("refusal")
    if shaped:
        message.additional_kwargs["parsed"] = None


def _ending(choice: dict[str, Any]) -> dict[str, Any]:
    return {"finish_reason": choice.get("finish_reason"), "logprobs": choice.get("logprobs")}


def _generation(choice: dict[str, Any], usage: Any) -> ChatGeneration:
    message = _message(choice["message"], usage)
    text = message.content if isinstance(message.content, str) else str(message.text)
    return ChatGeneration.model_construct(text=text, message=message, generation_info=_ending(choice))


def _message(said: dict[str, Any], usage: Any) -> AIMessage:
    content, calls = said.get("content") or "", said.get("tool_calls")
    if calls or not isinstance(content, str) or said.get("function_call") or said.get("audio"):
        valid, invalid = _tool_calls(calls or [])
        kept = {key: said[key] for key in ("function_call", "audio") if said.get(key)}
        return AIMessage(
            content, tool_calls=valid, invalid_tool_calls=invalid, usage_metadata=usage, additional_kwargs=kept
        )
    # Text alone needs no validation, which would cost more than all else in this file.
    return AIMessage.model_construct(
        content=content,
        usage_metadata=usage,
        additional_kwargs={},
        response_metadata={},
        tool_calls=[],
        invalid_tool_calls=[],
    )


def _tool_calls(calls: Sequence[dict[str, Any]]) -> tuple[list[Any], list[Any]]:
    valid, invalid = [], []
    for call in calls:
        try:
            valid.append(parse_tool_call(call, return_id=True))
        except Exception as error:
            invalid.append(make_invalid_tool_call(call, str(error)))
    return valid, invalid
