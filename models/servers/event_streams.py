"""An answer that came as an event stream, put together: some servers stream although nobody asked them to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")


def merged(values: Sequence[Any]) -> Any:
    """One answer from a stream's values; None when the stream was cut off.

    Values without choices among them (an error) stand for themselves.
    """
    chunks = [value for value in values if isinstance(value, dict) and isinstance(value.get("choices"), list)]
    whole = next((chunk for chunk in chunks if any("message" in choice for choice in _choices(chunk))), None)
    if whole or not chunks:
        return whole or next((value for value in values if isinstance(value, dict)), values[0])
    made: dict[int, _Choice] = {}
    for choice in (choice for chunk in chunks for choice in _choices(chunk)):
        index = choice.get("index")
        made.setdefault(index if isinstance(index, int) else 0, _Choice()).take(choice)
    if "[DONE]" not in values and not all(choice.ending for choice in made.values()):
        return None
    usage = next((chunk["usage"] for chunk in reversed(chunks) if chunk.get("usage")), None)
    return {**chunks[0], "usage": usage, "choices": [made[index].made(index) for index in sorted(made)]}


def _choices(chunk: dict[str, Any]) -> list[dict[str, Any]]:
    return [choice for choice in chunk["choices"] if isinstance(choice, dict)]


class _Choice:
    """One choice while its pieces come."""

    def __init__(self) -> None:
        self.ending: Any = None
        self._texts: dict[str, list[str]] = {}
        self._calls: dict[int, dict[str, Any]] = {}

    def take(self, choice: dict[str, Any]) -> None:
        """Takes one more piece."""
        self.ending = choice.get("finish_reason") or self.ending
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return
        for name in _TEXTS:
            if isinstance(delta.get(name), str):
                self._texts.setdefault(name, []).append(delta[name])
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict) and isinstance(call.get("function"), dict):
                self._take_call(call, call["function"])

    def _take_call(self, call: dict[str, Any], function: dict[str, Any]) -> None:
        index = call.get("index")
        into = self._calls.setdefault(index if isinstance(index, int) else 0, {"name": "", "arguments": []})
        into["id"] = call.get("id") or into.get("id")
        into["name"] = function.get("name") or into["name"]
        into["arguments"].append(str(function.get("arguments") or ""))

    def made(self, index: int) -> dict[str, Any]:
        """The choice as an answer that was not streamed has it."""
        message: dict[str, Any] = {"role": "assistant", "content": None}
        message.update((name, "".join(pieces)) for name, pieces in self._texts.items())
        if self._calls:
            message["tool_calls"] = [
                {"id": call["id"], "type": "function", "function": {**_named(call)}} for call in self._calls.values()
            ]
        return {"index": index, "finish_reason": self.ending, "message": message}


def _named(call: dict[str, Any]) -> dict[str, str]:
    return {"name": call["name"], "arguments": "".join(call["arguments"])}
