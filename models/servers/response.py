"""What the body of a 200 says: the protocol's answer, checked and with sound numbers, or the error it is.

A server's answer is read twice before it is called none: by orjson, then by the standard library's reader, which
takes what servers really write (NaN, a byte order mark, half a surrogate pair, UTF-16, text behind the JSON, an
event stream nobody asked for). Errors that gateways put into a 200 are raised with the status they stand for.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import orjson

from anyprefer.models.servers.event_streams import merged
from anyprefer.models.servers.failures import BadAnswer, HTTPStatusError, server_words

MOST_TOKENS = 10**8
"""Tokens one answer can have taken; a larger number is none."""
_WHITE = " \t\r\n\ufeff\0"
_MARKED = ("data:", "event:", "id:", "retry:", ":")
"""How lines of an event stream begin."""
_STATUSES = {
    **dict.fromkeys(("invalid_api_key", "authentication", "unauthorized", "not authenticated"), 401),
    **dict.fromkeys(("insufficient_balance", "insufficient balance", "payment_required"), 402),
    **dict.fromkeys(("permission", "forbidden"), 403),
    **dict.fromkeys(("not_found", "not found", "unexpected endpoint"), 404),
    **dict.fromkeys(("insufficient_quota", "rate_limit", "rate limit", "too many requests"), 429),
    **dict.fromkeys(("overloaded", "unavailable"), 503),
    **dict.fromkeys(("context_length", "invalid_request", "content_policy", "content_filter"), 400),
}
"""What stands in a code, a type or a message for a status; the first that is found counts."""


def read(content: bytes, secrets: tuple[str, ...] = ()) -> dict[str, Any]:
    """The answer: `choices` has at least one choice with a message, `usage` sound numbers or None.

    Raises `BadAnswer` for what is none, and `HTTPStatusError` for an error in a 200, with the server's words.
    """
    try:
        answer = orjson.loads(content)
    except ValueError:
        answer = _read_again(content, secrets)
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    if not isinstance(answer, dict):
        raise BadAnswer(f"Answer error: no JSON object: {server_words(content, secrets)}")
    if not answer.get("choices") and (status := _status(answer)):
        raise HTTPStatusError(status, server_words(content, secrets))
    if flaw := _flaw(answer.get("choices")):
        raise BadAnswer(f"Answer error: {flaw}: {server_words(content, secrets)}")
    answer["usage"] = told(answer.get("usage"))
    return answer


def tokens(answer: dict[str, Any], size: int) -> tuple[int, int]:
    """(read, written) as the server told; else estimated from the sizes of request and answer, 4 bytes a token."""
    if usage := answer.get("usage"):
        return usage["prompt_tokens"], usage["completion_tokens"]
    said = sum(len(str(choice.get("message") or "")) for choice in answer["choices"])
    return estimated(size), estimated(said)


def estimated(size: int) -> int:
    """Tokens of a text of so many characters, where nobody counted them."""
    return -(-size // 4)


def told(usage: Any) -> dict[str, Any] | None:
    """The usage with sound numbers, 0 to MOST_TOKENS; None where a server does not tell, or tells what cannot be."""
    if not isinstance(usage, dict) or not (usage.get("prompt_tokens") or usage.get("completion_tokens")):
        return None
    if _sound(usage):
        return usage
    read, written, total = (_number(usage.get(f"{name}_tokens")) for name in ("prompt", "completion", "total"))
    if read is None or (written is None and total is None):
        return None
    written = max(0, (total or 0) - read) if written is None else written
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _sound(usage: dict[str, Any]) -> bool:
    numbers = _is_number(usage.get("prompt_tokens")) and _is_number(usage.get("completion_tokens"))
    if not numbers or not _is_number(usage.get("total_tokens", 0)):
        return False
    return all(_are_numbers(usage.get(f"{name}_tokens_details")) for name in ("prompt", "completion"))


def _are_numbers(details: Any) -> bool:
    if not isinstance(details, dict):
        return details is None
    return all(given is None or _is_number(given) for given in details.values())


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MOST_TOKENS


def _number(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, float) and math.isfinite(value):
        value = math.ceil(value)
    return value if _is_number(value) else None


def _flaw(choices: Any) -> str:
    """What is wrong with an answer's choices; makes an empty message of one that a filter or a limit left out."""
    if not isinstance(choices, list) or not choices:
        return "an answer without choices"
    said = False
    for number, choice in enumerate(choices):
        message = choice.get("message") if type(choice) is dict else None
        if type(message) is dict and type(message.get("content")) is str:
            said = True
        elif flaw := _odd(choices, number, message):
            return flaw
        else:
            said = said or message is not None or choices[number].get("finish_reason") not in (None, "stop")
        _tidy(choices[number])
    return "" if said else "a choice without message"


def _odd(choices: list[Any], number: int, message: Any) -> str:
    """What is wrong with a choice that has no text; without a message it gets an empty one."""
    choice = choices[number] = {"index": number} if choices[number] is None else choices[number]
    if not isinstance(choice, dict):
        return "a choice that is no object"
    if message is None:
        choice["message"] = {"role": "assistant", "content": None}
    elif not isinstance(message, dict) or not _is_content(message.get("content")):
        return "a message that is no message"
    return ""


def _is_content(content: Any) -> bool:
    if content is None or isinstance(content, str):
        return True
    return isinstance(content, list) and all(
        isinstance(part, str) or (isinstance(part, dict) and isinstance(part.get("text", ""), str)) for part in content
    )


def _tidy(choice: dict[str, Any]) -> None:
    """How it ended is a word, log-probabilities are an object, or they are not there."""
    ending, logprobs = choice.get("finish_reason"), choice.get("logprobs")
    if ending is not None and not isinstance(ending, str):
        choice["finish_reason"] = None
    if logprobs is not None and not isinstance(logprobs, dict):
        choice["logprobs"] = None


def _status(answer: dict[str, Any]) -> int:
    """The status an answer without choices stands for; 0 where it is no error."""
    error = answer.get("error") or answer.get("errors")
    if not error and not (answer.get("object") == "error" or answer.get("detail") or answer.get("message")):
        return 0
    given = error if isinstance(error, dict) else {"message": error, **answer}
    names = [given.get(name) for name in ("code", "status", "status_code", "type", "message", "detail")]
    for name in names:
        number = _number(name)
        if number is not None and 400 <= number < 600:
            return number
    words = [str(name).lower() for name in names if name]
    found = (status for word in words for part, status in _STATUSES.items() if part in word)
    return next(found, 502 if error or answer.get("object") == "error" else 0)


def _read_again(content: bytes, secrets: tuple[str, ...]) -> Any:
    """JSON as servers really write it. Raises `BadAnswer` where there is none."""
    text = content.decode(json.detect_encoding(content), "replace").strip(_WHITE)
    try:
        values = list(_events(text) if text.startswith(_MARKED) else _values(text))
    except RecursionError:
        values = []
    if not values:
        raise BadAnswer(f"Answer error: no whole JSON answer: {server_words(content, secrets)}")
    answer = merged(values) if len(values) > 1 or text.startswith(_MARKED) else values[0]
    if answer is None:
        raise BadAnswer(f"Answer error: an event stream cut off: {server_words(content, secrets)}")
    return _well_formed(answer)


def _events(text: str) -> Iterator[Any]:
    """The values of an event stream."""
    for event in re.split(r"\r?\n\r?\n", text):
        data = "\n".join(line[5:].strip() for line in event.split("\n") if line.startswith("data:"))
        yield from _values(data) if not data.startswith("[DONE]") else ["[DONE]"]


def _values(text: str) -> Iterator[Any]:
    """The JSON values a text begins with, one behind another."""
    at = 0
    while at < len(text):
        try:
            value, at = _READER.raw_decode(text, at)
        except ValueError:
            return
        yield value
        while at < len(text) and text[at] in _WHITE:
            at += 1


def _well_formed(value: Any) -> Any:
    """The value without half surrogate pairs, which nothing can write."""
    return orjson.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


_READER = json.JSONDecoder(parse_constant=lambda name: None, parse_float=_finite)
