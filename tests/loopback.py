"""A server on loopback that answers as a function says, for tests of the transport.

with Loopback(lambda asked, count: completion("Hi.")) as server: ... server.url, server.bodies, server.headers
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from typing import Any

from aiohttp import web


def completion(text: str | None, *more: str, usage: dict[str, Any] | None = None, **message: Any) -> dict[str, Any]:
    """An answer with a choice per text."""
    messages = [{"role": "assistant", "content": text, **message}, *({"role": "assistant", "content": t} for t in more)]
    return {
        "id": "chatcmpl-7",
        "object": "chat.completion",
        "created": 1,
        "model": "any-2026",
        "choices": [{"index": n, "finish_reason": "stop", "message": said} for n, said in enumerate(messages)],
        "usage": usage or {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
    }


def refusal(status: int, words: str = "no", **headers: str) -> web.Response:
    """An error in OpenAI's form."""
    return web.json_response({"error": {"message": words, "code": None}}, status=status, headers=headers)


class Loopback:
    """`answer(asked, count)` gives a dict, a response or a coroutine of either; `count` is 1 for the first request."""

    def __init__(self, answer: Callable[[dict[str, Any], int], Any]) -> None:
        self.answer = answer
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.requests: list[web.Request] = []
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Loopback:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(self, *error: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _start(self) -> None:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_post("/v1/chat/completions", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, backlog=1024).start()
        self.port = self._runner.addresses[0][1]

    def down(self) -> None:
        """Drops all connections and stops listening; `up` brings the same port back."""
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()

    def up(self) -> None:
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        self.bodies.append(asked)
        self.headers.append(dict(request.headers))
        self.requests.append(request)
        answer = self.answer(asked, len(self.bodies))
        if inspect.isawaitable(answer):
            answer = await answer
        return answer if isinstance(answer, web.StreamResponse) else web.json_response(answer)
