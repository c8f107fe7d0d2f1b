"""A fast model server of the OpenAI protocol, for measuring engines.

    python -m benchmarks.server --port 8123 --latency 0.2

Run it as a process of its own. GET /stats tells what was asked (see counts.py), POST /reset empties that.
What it answers and how it fails depend on the request alone and on how often the same request came
before, never on the order of requests.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from hashlib import blake2b
from typing import Any

from benchmarks.answers import completion, dumps, loads, number, role_of, texts
from benchmarks.counts import Counts

RATES = {"rate_429": 0.20, "rate_500": 0.05, "rate_half": 0.02, "rate_hang": 0.005}
"""Shares of the requests that fail with `--faults`."""
HANG = 60.0


class Server:
    """What all connections share."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.rates = [(name[5:], getattr(options, name)) for name in RATES]
        self.counts = Counts()
        self.connections: set[Connection] = set()
        self._listening: asyncio.AbstractServer | None = None
        self._dies = options.die_at is not None

    async def listen(self) -> int:
        """Opens the socket; returns the port."""
        loop, port = asyncio.get_running_loop(), self.options.port
        self._listening = await loop.create_server(lambda: Connection(self), "127.0.0.1", port, backlog=4096)
        self.options.port = self._listening.sockets[0].getsockname()[1]
        return int(self.options.port)

    def arrived(self) -> None:
        """The first request starts the clock of `--die-at`."""
        if self._dies:
            self._dies = False
            asyncio.get_running_loop().call_later(self.options.die_at, self._die)

    def _die(self) -> None:
        assert self._listening
        self._listening.close()
        for connection in list(self.connections):
            connection.transport.abort()
        loop = asyncio.get_running_loop()
        loop.call_later(self.options.dead_for, lambda: loop.create_task(self.listen()))

    def fate(self, key: bytes, before: int) -> str:
        """Which fault this attempt meets, or ""."""
        drawn = number(self.options.seed, key.hex(), before) / 2**32
        for name, rate in self.rates:
            if drawn < rate:
                return name
            drawn -= rate
        return ""


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection; a request at a time, as all clients of this protocol send them."""

    transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        self.server = server
        self.buffer = bytearray()
        self.waiting: asyncio.TimerHandle | None = None
        self.key = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.server.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.server.connections.discard(self)
        self.server.counts.lose()
        if self.waiting:
            self.waiting.cancel()
            self.server.counts.abandon(self.key)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self.buffer[:end])
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self.buffer) >= end + 4 + length:
            body = bytes(self.buffer[end + 4 : end + 4 + length])
            self.buffer.clear()
            self.request(head.split(b"\r\n", 1)[0], body)

    def request(self, line: bytes, body: bytes) -> None:
        if b"/chat/completions " in line:
            self.chat(body)
        elif line.startswith(b"GET /stats "):
            self.send(200, dumps(self.server.counts.asdict()))
        elif line.startswith(b"POST /reset "):
            self.server.counts = Counts()
            self.send(200, b"{}")
        elif b"/models " in line:
            self.send(200, b'{"object":"list","data":[{"id":"any","object":"model"}]}')
        else:
            self.server.counts.other[line.decode()] += 1
            self.send(404, b"{}")

    def chat(self, body: bytes) -> None:
        """Decides a request's fate and lets its answer wait for the latency."""
        server, asked = self.server, loads(body)
        system, user = texts(asked["messages"])
        role = role_of(system, user)
        self.key = blake2b(body, digest_size=12).digest()
        before = server.counts.arrive(role, self.key)
        server.arrived()
        refusal = self.refusal(asked)
        fault = "" if refusal else server.fate(self.key, before)
        if fault:
            server.counts.faults[fault] += 1
        if refusal or fault in ("429", "500"):
            self.later(0.01, self.refuse, *(refusal or (int(fault), "The server is busy.")))
        else:
            self.later(HANG if fault == "hang" else server.options.latency, self.reply, asked, role, user, fault)

    def refusal(self, asked: dict[str, Any]) -> tuple[int, str] | None:
        if self.server.options.unauthorized:
            return 401, "Incorrect API key provided."
        if self.server.options.n == "refuse" and asked.get("n", 1) > 1:
            return 400, "n must be 1 on this server"
        return None

    def later(self, seconds: float, call: Any, *arguments: Any) -> None:
        self.waiting = asyncio.get_running_loop().call_later(seconds, call, *arguments)

    def refuse(self, status: int, words: str) -> None:
        self.waiting = None
        self.server.counts.end()
        extra = b"retry-after: 1\r\n" if status == 429 else b""
        self.send(status, dumps({"error": {"message": words, "type": "error", "code": status}}), extra)

    def reply(self, asked: dict[str, Any], role: str, user: str, fault: str) -> None:
        self.waiting = None
        options, counts = self.server.options, self.server.counts
        n = asked.get("n") or 1 if options.n == "answer" else 1
        out, taken, given = completion(asked, role, user, options.accept, n)
        counts.end()
        if fault == "half":
            return self.half(out)
        counts.serve(self.key, taken, given, n)
        self.send(200, out)

    def half(self, out: bytes) -> None:
        """By turns: half of the JSON in a whole response, and half of a response, then the connection closes."""
        if self.key[0] % 2:
            return self.send(200, out[: len(out) // 2])
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(out)
        )
        self.transport.write(out[: len(out) // 2])
        self.transport.close()

    def send(self, status: int, out: bytes, extra: bytes = b"") -> None:
        head = b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n"
        self.transport.write(head % (status, extra, len(out)) + out)


async def serve(options: argparse.Namespace) -> None:
    port = await Server(options).listen()
    print(f"http://127.0.0.1:{port}/v1", flush=True)
    await asyncio.Event().wait()


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0: a free one; the URL is the first line printed")
    parser.add_argument("--latency", type=float, default=0.2, help="seconds until an answer")
    parser.add_argument("--accept", type=float, default=1.0, help="share of the tasks accepted in round one")
    parser.add_argument("--n", choices=("answer", "ignore", "refuse"), default="answer", help="what `n` > 1 meets")
    parser.add_argument("--faults", action="store_true", help=f"fail at these rates: {RATES}")
    for name, rate in RATES.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, help=f"0, with --faults {rate}")
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    parser.add_argument("--die-at", type=float, help="seconds after the first request; it closes everything")
    parser.add_argument("--dead-for", type=float, default=5.0, help="seconds until it listens again")
    parser.add_argument("--unauthorized", action="store_true", help="answer 401 to all calls")
    options = parser.parse_args(arguments)
    for name, rate in RATES.items():
        if getattr(options, name) is None:
            setattr(options, name, rate if options.faults else 0.0)
    return options


def main() -> None:
    options = parse()
    try:
        import uvloop

        run = uvloop.run
    except ImportError:
        run = asyncio.run
    with contextlib.suppress(KeyboardInterrupt):
        run(serve(options))


if __name__ == "__main__":
    main()
