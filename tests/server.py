"""A local server of the OpenAI protocol that plays every role of the game, deterministically.

    python tests/server.py --port 8123            # then: anyprefer run … --judge openai:any@http://127.0.0.1:8123/v1

What it answers depends on the request alone: the target's answer on prompt and seed (some right,
some wrong), the judge's scores on the answers' last numbers, the reward on a hash of the pair, so
that some tasks are accepted, some loop and some are rejected. `faults` make it misbehave.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiohttp import web

FAULTS = {
    "401": "every call is refused, and the key is repeated in the refusal",
    "400": "every call is refused as a bad request, and the key is repeated in the refusal",
    "500": "every call fails",
    "slow": "every answer takes until the server stops",
    "no_tools": "400 when tools are offered",
    "no_schema": "400 when a response_format is sent",
    "garbage_judge": "the judge's answers hold no scores",
    "echo_key": "target answers repeat the Authorization header",
}


JUDGED = ("Analyse each of the", "Analyse this answer", "How good is th", "The costs are one JSON object")


def role_of(system: str, user: str) -> str:
    """Which role a request is for, by the texts of nodes/*.txt."""
    if "<IMPROVED_VARIABLE>" in system or "<IMPROVED_VARIABLE>" in user:
        return "textgrad"
    if "You rate a preference pair for RLHF" in system:
        return "reward"
    if user.startswith("You judge answers to a query and may first gather evidence"):
        return "select_tools"
    if user.startswith("[Requirement] You are given the current knowledge base"):
        return "aggregate"
    if "You compare two judgments" in system:
        return "meta_judge"
    if any(words in user for words in JUDGED):
        return "judge"
    return "sample"


def number(*parts: object) -> int:
    return int(hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:8], 16)


def target_answer(prompt: str, seed: int) -> str:
    """Plausible text with a final number: the sum of the question's numbers in half of the cases."""
    drawn = number(prompt, seed)
    numbers = [int(n) for n in re.findall(r"\d+", prompt)] or [drawn % 7]
    total = sum(numbers) + (0 if drawn % 2 else 1 + drawn % 9)
    opening = ("Let us see.", "First add what there is.", "Step by step:", "Easy.")[drawn % 4]
    return f"{opening} {' + '.join(map(str, numbers))} makes {total}. (try {drawn % 1000}) The answer is {total}."


def judge_scores(body: str) -> list[int]:
    """High for the right sum, low for others, by each answer's last number."""
    asked, _, shown = body.rpartition("\n\nAnswers:\n")
    query = asked.rpartition("Query: ")[2]
    answers = re.split(r"^Answer \d+:\n", shown, flags=re.MULTILINE)[1:]
    right = str(sum(int(n) for n in re.findall(r"\d+", query)))
    scores = []
    for answer in answers:
        answer = answer.partition("\n\nAnalyse each of the")[0]
        found = re.findall(r"\d+", answer)
        scores.append(9 if found and found[-1] == right else 1 + number(answer) % 5)
    return scores


def play(role: str, user: str, seed: int, shaped: bool) -> str:
    if role == "select_tools":
        names = re.findall(r"^- (\w+) \(about", user, re.MULTILINE)
        return json.dumps([{"tool": name, "arguments": {}} for name in names])
    if role == "aggregate":
        return f"What matters: {user.partition('Knowledge base:')[2].partition('Query:')[0].strip()[:200]}"
    if role == "judge":
        scores = judge_scores(user)
        rows = [{"answer": n, "analysis": f"Ends in a number, worth {s}.", "score": s} for n, s in enumerate(scores, 1)]
        if shaped:
            return json.dumps({"answers": rows})
        return "\n".join(f"Answer {row['answer']}: {row['score']}/10" for row in rows)
    if role == "reward":
        return f"The positive response is sound, the negative one weaker. {(9, 4, 8, 6, 5)[number(user) % 5]}/10"
    if role == "textgrad":
        old = re.search(r"<VARIABLE> (.*) </VARIABLE>", user, re.DOTALL)
        words = old[1] if old else ""
        return f"<IMPROVED_VARIABLE>{words} Be careful{'!' * (1 + number(user) % 9)}</IMPROVED_VARIABLE>"
    return target_answer(user, seed)


class OpenAIServer:
    """`with OpenAIServer() as server:` then `openai:any@{server.url}`; `faults` may be changed while it runs."""

    def __init__(self, port: int = 0, *faults: str) -> None:
        self.port = port
        self.faults = set(faults)
        self.calls: Counter[str] = Counter()
        self.requests: list[dict[str, Any]] = []
        """Every request's body, with `role`, `key`, and `images` as the bytes received."""
        self.tokens: Counter[str] = Counter()
        """Tokens `read` and `written`, as the answers report them."""
        self.pause: Callable[[], float] | None = None
        """Seconds before each answer."""
        self.slow_after = 0
        """Requests after which every answer takes until the server stops; 0: never."""
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def asked(self, role: str) -> list[dict[str, Any]]:
        return [request for request in self.requests if request["role"] == role]

    def __enter__(self) -> OpenAIServer:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(self, *error: object) -> None:
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._finish(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    async def _start(self) -> None:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _finish(self) -> None:
        self._stop.set()
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        system, user, images = _texts(body["messages"])
        role = role_of(system, user)
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.calls[role] += 1
        self.requests.append({**body, "role": role, "key": key, "images": images, "system": system, "user": user})
        if "slow" in self.faults or (self.slow_after and len(self.requests) > self.slow_after):
            await self._stop.wait()
        if self.pause:
            await asyncio.sleep(self.pause())
        refusal = self._refusal(body, key)
        if refusal is not None:
            return refusal
        shaped = "response_format" in body
        text = play(role, user, body.get("seed", 0), shaped)
        if role == "judge" and "garbage_judge" in self.faults:
            text = "They are all rather nice."
        if role == "sample" and "echo_key" in self.faults:
            text = f"{text} By the way, {key}."
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if role == "select_tools" and body.get("tools"):
            message = {"role": "assistant", "content": None, "tool_calls": _tool_calls(body["tools"])}
        answer = _completion(body["model"], message, user, text)
        self.tokens.update(read=answer["usage"]["prompt_tokens"], written=answer["usage"]["completion_tokens"])
        return web.json_response(answer)

    def _refusal(self, body: dict[str, Any], key: str) -> web.Response | None:
        if "401" in self.faults:
            return _error(401, f"Incorrect API key provided: {key}.")
        if "400" in self.faults:
            return _error(400, f"The request is not to the server's taste. Was {key} meant?")
        if "500" in self.faults:
            return _error(500, "The server had an error.")
        if "no_tools" in self.faults and body.get("tools"):
            return _error(400, '"auto" tool choice requires --enable-auto-tool-choice')
        if "no_schema" in self.faults and body.get("response_format"):
            return _error(400, "response_format is not available on this server")
        return None


def _texts(messages: list[dict[str, Any]]) -> tuple[str, str, list[bytes]]:
    """System text, user text, and the bytes of every data-URL image."""
    texts: dict[str, str] = {"system": "", "user": ""}
    images = []
    for message in messages:
        parts = message["content"]
        for part in [{"type": "text", "text": parts}] if isinstance(parts, str) else parts:
            if part["type"] == "image_url":
                url = part["image_url"]["url"]
                images.append(
                    base64.b64decode(url.partition("base64,")[2]) if url.startswith("data:") else url.encode()
                )
            else:
                texts[message["role"]] = part["text"]
    return texts["system"], texts["user"], images


def _tool_calls(tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"id": f"call_{n}", "type": "function", "function": {"name": tool["function"]["name"], "arguments": "{}"}}
        for n, tool in enumerate(tools)
    ]


def _completion(model: str, message: dict[str, Any], asked: str, text: str) -> dict[str, Any]:
    taken, given = len(asked.split()), len(text.split())
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": taken, "completion_tokens": given, "total_tokens": taken + given},
    }


def _error(status: int, words: str) -> web.Response:
    return web.json_response({"error": {"message": words, "type": "error", "code": status}}, status=status)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--fault", action="append", default=[], choices=FAULTS, help="may be repeated")
    chosen = parser.parse_args()
    with OpenAIServer(chosen.port, *chosen.fault) as server:
        print(f"answering at {server.url}; stop with Ctrl-C", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print(f"calls: {dict(server.calls)}")


if __name__ == "__main__":
    main()
