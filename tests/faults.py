"""A server of the OpenAI protocol over bare sockets that does wrong whatever a server can do wrong, one kind at a time.

    with FaultServer(lambda asked: "half a body" if asked.count == 1 else "") as server: ... server.url, server.done

    python -m tests.faults --tasks 500 --seed 1        # a run under a seeded mix of all kinds; prints what came of it

`KINDS` has every kind by name; `POISON` those that a prompt can bring about each time.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import hashlib
import json
import random
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tests.server import play, role_of


@dataclass(frozen=True)
class Asked:
    """A request: its body, whose role it is, and how often the same one came, from 1."""

    body: dict[str, Any]
    role: str
    user: str
    count: int


class Closed(Exception):
    """The connection is closed without another word."""


Writer = asyncio.StreamWriter
Kind = Callable[[Writer, dict[str, Any]], Awaitable[None]]


def response(body: bytes, status: int = 200, *headers: str, length: Any = None) -> bytes:
    given = len(body) if length is None else length
    head = [f"HTTP/1.1 {status} X", "Content-Type: application/json", f"Content-Length: {given}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def written(make: Callable[[dict[str, Any]], bytes], then: str = "") -> Kind:
    """A kind that writes what `make` makes of the good answer, and then closes, hangs or goes on."""

    async def kind(writer: Writer, good: dict[str, Any]) -> None:
        writer.write(make(good))
        await writer.drain()
        if then == "hang":
            await asyncio.Event().wait()
        if then == "reset" and writer.transport:
            writer.transport.abort()
        if then:
            raise Closed

    return kind


def status(code: int, *headers: str, words: str = "no") -> Kind:
    return written(lambda good: response(as_json({"error": {"message": words, "code": code}}), code, *headers))


def body(make: Callable[[dict[str, Any]], Any], *headers: str) -> Kind:
    def made(good: dict[str, Any]) -> bytes:
        given = make(good)
        return response(given if isinstance(given, bytes) else as_json(given), 200, *headers)

    return written(made)


def choice(**given: Any) -> Kind:
    return body(lambda good: {**good, "choices": [{"index": 0, "finish_reason": "stop", **given}]})


def usage(given: Any) -> Kind:
    return body(lambda good: {**good, "usage": given})


def chunked(text: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + text


def stream(good: dict[str, Any], end: str = "data: [DONE]\n\n") -> bytes:
    pieces = [
        {"choices": [{"index": each["index"], "delta": {"content": part}}]}
        for each in good["choices"]
        for part in (each["message"]["content"][:5], each["message"]["content"][5:])
    ]
    lines = [f"data: {json.dumps(piece)}\n\n" for piece in [*pieces, {"choices": [], "usage": good["usage"]}]]
    return ("".join(lines) + end).encode()


def unasked(good: dict[str, Any]) -> dict[str, Any]:
    return {**good, "choices": [{**each, "message": {"content": "NOT ASKED FOR"}} for each in good["choices"]]}


async def late_second(writer: Writer, good: dict[str, Any]) -> None:
    writer.write(response(as_json(good)))
    await writer.drain()
    await asyncio.sleep(0.01)
    writer.write(response(as_json(unasked(good))))


async def byte_by_byte(writer: Writer, good: dict[str, Any]) -> None:
    whole = response(as_json(good))
    for at in range(0, len(whole), 7):
        writer.write(whole[at : at + 7])
        await writer.drain()


YEAR = "Retry-After: Fri, 31 Dec 99999999999999999999 23:59:59 GMT"
PAST = "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT"
STATUSES = (401, 404, 408, 409, 425, 429, 500, 501, 502, 503, 504, 520, 521, 522, 523, 524, 529, 599)
WAITS = ("Retry-After: 0", "Retry-After: -5", "Retry-After: nan", "Retry-After: soon", "Retry-After: 0.01", PAST, YEAR)

BROKEN: dict[str, Kind] = {
    **{f"status {code}": status(code) for code in STATUSES},
    **{f"429 {header[:40]}": status(429, header) for header in WAITS},
    **{f"503 {header[:40]}": status(503, header) for header in WAITS[:2]},
    "a redirect elsewhere": status(307, "Location: http://127.0.0.1:1/v1/chat/completions"),
    "a redirect nowhere": status(302),
    "no content": written(lambda good: b"HTTP/1.1 204 X\r\n\r\n"),
    "closed at once": written(lambda good: b"", "close"),
    "reset": written(lambda good: b"HTTP/1.1 200", "reset"),
    "closed in the headers": written(lambda good: b"HTTP/1.1 200 OK\r\nContent-Le", "close"),
    "half a body": written(lambda good: response(as_json(good)[:20], length=900), "close"),
    "a length too long": written(lambda good: response(as_json(good), length=len(as_json(good)) + 9), "close"),
    "a length too short": written(lambda good: response(as_json(good), length=len(as_json(good)) - 9), "close"),
    "a negative length": written(lambda good: response(as_json(good), length=-5), "close"),
    "two lengths": written(lambda good: response(as_json(good), 200, "Content-Length: 7"), "close"),
    "a chunk cut off": written(lambda good: chunked(b"fff\r\n{"), "close"),
    "a chunk of no size": written(lambda good: chunked(b"ZZ\r\n{}\r\n0\r\n\r\n"), "close"),
    "chunks without end": written(lambda good: chunked(b"2\r\n{}\r\n"), "close"),
    "no headers": written(as_json, "close"),
    "a header without end": written(lambda good: response(as_json(good), 200, "X-A: " + "a" * 200_000), "close"),
    "a hung connection": written(lambda good: b"", "hang"),
    "hung in the body": written(lambda good: response(b"{", length=900), "hang"),
    "a page": body(lambda good: b"<html>Captive portal: log in</html>"),
    "nothing": body(lambda good: b""),
    "null": body(lambda good: None),
    "text": body(lambda good: "ok"),
    "a number in a list": body(lambda good: [7]),
    "deep": body(lambda good: b"[" * 100_000),
    "cut off": body(lambda good: as_json(good)[:-30]),
    "too large": body(lambda good: b" " * (2**24 + 1)),
    "packed garbage": body(lambda good: b"\x1f\x8b\x08\0garbage", "Content-Encoding: gzip"),
    "packed and cut off": body(lambda good: gzip.compress(as_json(good))[:-20], "Content-Encoding: gzip"),
    "packed oddly": body(as_json, "Content-Encoding: br"),
    "a stream cut off": body(lambda good: stream(good, "")),
    "choices null": body(lambda good: {**good, "choices": None}),
    "choices empty": body(lambda good: {**good, "choices": []}),
    "choices text": body(lambda good: {**good, "choices": "abc"}),
    "choices object": body(lambda good: {**good, "choices": {"0": good["choices"][0]}}),
    "choices true": body(lambda good: {**good, "choices": True}),
    "a choice null": body(lambda good: {**good, "choices": [None]}),
    "no message": choice(text="hi"),
    "message null": choice(message=None),
    "message text": choice(message="hi"),
    "content number": choice(message={"content": 5}),
    "content object": choice(message={"content": {"text": "hi"}}),
    "an error in a 200": body(lambda good: {"error": {"message": "upstream exploded", "type": "server_error"}}),
    "an error text in a 200": body(lambda good: {"error": "upstream exploded"}),
    "a 429 in a 200": body(lambda good: {"error": {"message": "slow down", "code": 429}}),
    "a 401 in a 200": body(lambda good: {"error": {"message": "bad key", "code": "invalid_api_key"}}),
    "a 503 in a 200": body(lambda good: {"error": {"message": "overloaded_error"}}),
}
"""No answer: the request must be sent again."""
ODD: dict[str, Kind] = {
    "byte by byte": byte_by_byte,
    "100 first": written(lambda good: b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + response(as_json(good))),
    "a byte order mark": body(lambda good: b"\xef\xbb\xbf" + as_json(good)),
    "NaN": body(lambda good: as_json(good)[:-1] + b', "x": NaN}'),
    "UTF-16": body(lambda good: json.dumps(good).encode("utf-16")),
    "[DONE] behind": body(lambda good: as_json(good) + b"\n\n[DONE]"),
    "one event": body(lambda good: b"data: " + as_json(good) + b"\n\ndata: [DONE]\n\n"),
    "a stream": body(stream),
    "packed": body(lambda good: gzip.compress(as_json(good)), "Content-Encoding: gzip"),
    "a second answer": written(lambda good: response(as_json(good)) + response(as_json(unasked(good)))),
    "a late second answer": late_second,
    **{f"usage {given}"[:60]: usage(given) for given in (None, True, [1, 2], {"prompt_tokens": -9})},
    "usage beyond 63 bits": usage({"prompt_tokens": 2**63, "completion_tokens": 1, "total_tokens": 2**63}),
    "usage of words": usage({"prompt_tokens": "many", "completion_tokens": "few", "total_tokens": "x"}),
    "usage of floats": usage({"prompt_tokens": 1e308, "completion_tokens": 0.5, "total_tokens": 1.5}),
}
"""An answer all the same."""
KINDS = {**BROKEN, **ODD}
POISON: dict[str, Kind] = {
    "500": status(500, words="Internal Server Error: NaN is not JSON compliant"),
    "choices null": BROKEN["choices null"],
    "text instead of JSON": body(lambda good: b"upstream connect error or disconnect"),
    "cut-off": BROKEN["cut off"],
    "empty with reasoning": choice(
        finish_reason="length", message={"role": "assistant", "content": "", "reasoning_content": "Let me think. Hm."}
    ),
}


def answer(asked: Asked) -> dict[str, Any]:
    """What a sound server says."""
    seed, shaped = asked.body.get("seed") or 0, "response_format" in asked.body
    texts = [play(asked.role, asked.user, seed + number, shaped) for number in range(asked.body.get("n") or 1)]
    taken, given = len(asked.user.split()), sum(len(text.split()) for text in texts)
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "any",
        "choices": [
            {"index": number, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
            for number, text in enumerate(texts)
        ],
        "usage": {"prompt_tokens": taken, "completion_tokens": given, "total_tokens": taken + given},
    }


class FaultServer:
    """`fault(asked)` names a kind, or is empty for a sound answer; `kinds` are looked up before `KINDS`."""

    def __init__(self, fault: Callable[[Asked], str], kinds: dict[str, Kind] | None = None) -> None:
        self.fault = fault
        self.kinds = {**KINDS, **(kinds or {})}
        self.done: Counter[str] = Counter()
        self.asked: list[Asked] = []
        self._counts: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> FaultServer:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(self, *error: object) -> None:
        asyncio.run_coroutine_threadsafe(self._finish(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**26)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _finish(self) -> None:
        self._server.close()
        while serving := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.partition("content-length:")[2].split("\r\n")[0])
                await self._answer(json.loads(await reader.readexactly(length)), writer)
                await writer.drain()
        except (Closed, asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass  # how a connection ends: closed by a fault, by the client, or with the server
        finally:
            writer.close()

    async def _answer(self, sent: dict[str, Any], writer: Writer) -> None:
        system = " ".join(str(m["content"]) for m in sent["messages"] if m["role"] == "system")
        user = str(sent["messages"][-1]["content"])
        key = json.dumps(sent, sort_keys=True)
        self._counts[key] += 1
        asked = Asked(sent, role_of(system, user), user, self._counts[key])
        self.asked.append(asked)
        if kind := self.fault(asked):
            self.done[kind] += 1
            return await self.kinds[kind](writer, answer(asked))
        writer.write(response(as_json(answer(asked))))


def drawn(seed: int, share: float, kinds: Iterable[str] = KINDS) -> Callable[[Asked], str]:
    """A fault of any kind on so large a share of requests, the same ones for a seed; none on a request's third try."""
    names = sorted(kinds)

    def fault(asked: Asked) -> str:
        text = f"{seed} {asked.count} {asked.role} {asked.user} {asked.body.get('seed')}"
        chance = random.Random(hashlib.sha256(text.encode()).digest())
        return chance.choice(names) if asked.count < 3 and chance.random() < share else ""

    return fault


def tasks(count: int) -> list[dict[str, str]]:
    return [{"id": f"t{n}", "prompt": f"What is {10 + n} + {57 + 3 * n}? Answer with a number."} for n in range(count)]


def main() -> None:
    from anyprefer.graph import synth

    parser = argparse.ArgumentParser(description="A run under a seeded mix of all kinds of fault.")
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.3)
    parser.add_argument("--concurrency", type=int, default=64)
    chosen = parser.parse_args()
    folder, begun = tempfile.mkdtemp(), time.monotonic()
    with FaultServer(drawn(chosen.seed, chosen.share)) as server:
        model = {"target": f"openai:any@{server.url}", "judge": f"openai:any@{server.url}", "tools": []}
        limits = {"concurrency": chosen.concurrency, "timeout": 3.0, "candidates": 2, "max_rounds": 1}
        rows = list(synth(tasks(chosen.tasks), folder=f"{folder}/run", **model, **limits))
        ids, outcomes = Counter(row.id for row in rows), Counter(row.outcome for row in rows)
        print(
            f"{chosen.tasks} tasks, {sum(server.done.values())} faults of {len(server.done)} kinds in"
            f" {len(server.asked)} requests: {chosen.tasks - len(ids)} lost, {len(rows) - len(ids)} doubled, {dict(outcomes)}"
            f" in {time.monotonic() - begun:.0f} s"
        )
        for row in rows:
            if row.outcome == "failed":
                print(row.id, row.reason[:300])
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
