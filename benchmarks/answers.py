"""What the benchmark's server says: every role of the game, and the peers' generate-then-judge.

A pure function of the request, so that the same run gets the same rows in any order and after any
restart. A share of the tasks (`accept`) is accepted in round one; the others get a low reward, TextGrad
rewrites the prompts, and their second round is accepted.
"""

from __future__ import annotations

import json
import re
from hashlib import blake2b
from typing import Any

try:
    from orjson import dumps, loads
except ImportError:
    loads = json.loads

    def dumps(value: Any) -> bytes:
        return json.dumps(value, ensure_ascii=False).encode()


GAME = ("sample", "select_tools", "aggregate", "judge", "reward", "textgrad")
REWRITTEN = "Take care with every step."
"""What TextGrad adds to a prompt. Answers to such a prompt repeat it, so the reward can tell a later round."""

_TAG = "<IMPROVED_VARIABLE>"
_TOOL = re.compile(r"^- (\w+) \(about", re.MULTILINE)
_ANSWER = re.compile(r"^Answer \d+:\n", re.MULTILINE)
_VARIABLE = re.compile(r"<VARIABLE> (.*) </VARIABLE>", re.DOTALL)


def role_of(system: str, user: str) -> str:
    """Which role is asked, by the texts of nodes/*.txt; `peer_judge` is the peers' second step."""
    if user.startswith("You judge answers to a query and may first gather"):
        return "select_tools"
    if user.startswith("[Requirement] You are given the current knowledge base"):
        return "aggregate"
    if "You rate a preference pair for RLHF" in system:
        return "reward"
    if _TAG in system or _TAG in user:
        return "textgrad"
    if "Analyse each of the" in user:
        return "judge"
    return "peer_judge" if user.startswith("Rate this answer") else "sample"


def answer(role: str, user: str, body: dict[str, Any], place: int, accept: float) -> str:
    """The text of choice number `place`."""
    if role == "sample":
        return sample(user, body.get("seed"), place)
    if role == "judge":
        return judge(user, shaped="response_format" in body)
    if role == "reward":
        return reward(user, accept)
    if role == "textgrad":
        return rewrite(user)
    if role == "select_tools":
        return json.dumps([{"tool": name, "arguments": {}} for name in _TOOL.findall(user)])
    if role == "aggregate":
        return f"What the tools found: {user.partition('Knowledge base:')[2].partition('Query:')[0].strip()[:200]}"
    return "It does what was asked. Score: 7/10"


def sample(prompt: str, seed: object, place: int) -> str:
    """An answer of some thirty tokens that differs with seed and place."""
    drawn = number(prompt, seed, place)
    care = f" {REWRITTEN}" if REWRITTEN in prompt else ""
    return (
        f"First add the tens, then the ones, and carry what is over.{care} Attempt {drawn:08x} ends at {drawn % 199}."
    )


def judge(user: str, shaped: bool) -> str:
    """Scores from 9 down, one each, in an order that depends on the answers' texts alone."""
    shown = user.rpartition("\n\nAnswers:\n")[2].partition("\n\nAnalyse each of the")[0]
    drawn = [number(text.partition("\n</")[0].strip()) for text in _ANSWER.split(shown)[1:]]
    place = {value: rank for rank, value in enumerate(sorted(drawn))}
    scores = [max(1, 9 - place[value]) for value in drawn]
    if not shaped:
        return "\n".join(f"Answer {n}: {score}/10" for n, score in enumerate(scores, 1))
    rows = [{"answer": n, "analysis": f"Worth {score}.", "score": score} for n, score in enumerate(scores, 1)]
    return json.dumps({"answers": rows})


def reward(user: str, accept: float) -> str:
    """9/10 for a later round and for the accepted share of the queries, else 5/10."""
    query = user.partition("Query: ")[2].partition("\n</")[0]
    good = REWRITTEN in user or number(query) < accept * 2**32
    return f"The positive response is sound and the negative one is near it. {9 if good else 5}/10"


def rewrite(user: str) -> str:
    old = _VARIABLE.search(user)
    return f"{_TAG}{old[1] if old else ''} {REWRITTEN}</IMPROVED_VARIABLE>"


def number(*parts: object) -> int:
    """0..2**32-1, from the parts alone."""
    return int.from_bytes(blake2b("|".join(map(str, parts)).encode(), digest_size=4).digest())


def texts(messages: list[dict[str, Any]]) -> tuple[str, str]:
    """(system text, last user text); images are left out."""
    found = {"system": "", "user": ""}
    for message in messages:
        content = message["content"]
        if not isinstance(content, str):
            content = " ".join(part.get("text", "") for part in content or ())
        found[message["role"]] = content
    return found["system"], found["user"]


def completion(body: dict[str, Any], role: str, user: str, accept: float, n: int) -> tuple[bytes, int, int]:
    """(the response's JSON, prompt tokens, completion tokens); a token is four characters."""
    choices, given = [], 0
    for place in range(n):
        text = answer(role, user, body, place, accept)
        given += 1 + len(text) // 4
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if role == "select_tools" and body.get("tools"):
            message = {"role": "assistant", "content": None, "tool_calls": tool_calls(body["tools"])}
        choices.append({"index": place, "finish_reason": "stop", "message": message})
    taken = sum(1 + len(str(message["content"])) // 4 for message in body["messages"])
    usage = {"prompt_tokens": taken, "completion_tokens": given, "total_tokens": taken + given}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": body.get("model", "any")}
    return dumps({**head, "choices": choices, "usage": usage}), taken, given


def tool_calls(tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every tool that is offered, called without arguments."""
    names = [tool["function"]["name"] for tool in tools]
    calls = [{"name": name, "arguments": "{}"} for name in names]
    return [{"id": f"call_{n}", "type": "function", "function": call} for n, call in enumerate(calls)]
