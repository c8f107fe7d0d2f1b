"""The review page: a server on loopback that only the owner of its address can use.

    serve(Queue(parts, 200), by="ana", port=0, ready=print)

The address holds a random token, compared in constant time. A request is refused where its Host is another name (a page
elsewhere that was made to resolve to this machine), its Origin another page, or its body no JSON; nothing else is asked
of any server, and the page's policy says so to the browser. What is marked is in the run folder before the answer goes
out, so tabs and reloads lose nothing.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Awaitable, Callable
from string import ascii_letters
from typing import Any

from aiohttp import web

from anyprefer.core.errors import AnypreferError, InputError, RunFolderError
from anyprefer.training.analysis.agreement import measured
from anyprefer.training.viewing.page import asset, markup, policy, template
from anyprefer.training.viewing.queue_of_pairs import Queue

HOST = "127.0.0.1"
SCRIPTS = ("dom.js", "pair.js", "review.js")
LARGEST = 64 * 2**10
"""Bytes of a request."""
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(queue: Queue, by: str, token: str) -> web.Application:
    """The page and what it asks for, under `/TOKEN/`; `by` is who marks."""
    app = web.Application(middlewares=[_guard(token)], client_max_size=LARGEST)
    page = _page(queue, by)

    async def show(request: web.Request) -> web.Response:
        return web.Response(text=page[1], content_type="text/html", headers={"Content-Security-Policy": page[0]})

    async def pair(request: web.Request) -> web.Response:
        return web.json_response(await asyncio.to_thread(queue.shown, _place(queue, request.match_info["at"]), by))

    async def state(request: web.Request) -> web.Response:
        return web.json_response(await asyncio.to_thread(_state, queue, by))

    async def mark(request: web.Request) -> web.Response:
        given = await _json(request)
        at, values = _place(queue, given.get("at")), [str(given.get(name, "")) for name in ("field", "value")]
        await asyncio.to_thread(queue.say, at, by, *values)
        return await state(request)

    async def undo(request: web.Request) -> web.Response:
        await _json(request)
        at = await asyncio.to_thread(queue.undo, by)
        return web.json_response({**await asyncio.to_thread(_state, queue, by), "at": at})

    home = f"/{token}"
    app.add_routes(
        [web.get(f"{home}/", show), web.get(home + r"/pair/{at:\d{1,7}}", pair), web.get(f"{home}/state", state)]
    )
    app.add_routes([web.post(f"{home}/mark", mark), web.post(f"{home}/undo", undo)])
    return app


async def serve(queue: Queue, by: str, port: int, ready: Callable[[str], None]) -> None:
    """Serves until it is cancelled; `ready` is called with the address. Raises `RunFolderError` for a port in use."""
    # letters alone: what looks like a key is taken out of all that is printed (`core/secrets.py`)
    token = "".join(secrets.choice(ascii_letters) for _ in range(32))
    runner = web.AppRunner(application(queue, by, token), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, port)
        await site.start()
        ready(f"http://{HOST}:{runner.addresses[0][1]}/{token}/")
        await asyncio.Event().wait()
    except OSError as error:
        raise RunFolderError(f"port {port} cannot be opened: {error.strerror}; leave --port out") from error
    finally:
        await runner.cleanup()


def _guard(token: str) -> Any:
    """Refuses what is not from the page itself."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.path.split("/")[1]
        if not hmac.compare_digest(given.encode("utf-8", "replace"), token.encode()):
            answer: web.StreamResponse = web.Response(status=404, text="not found")
        elif why := _foreign(request):
            answer = web.Response(status=403, text=why)
        else:
            answer = await _answered(request, handler)
        answer.headers.update(_HEADERS)
        return answer

    return guard


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        return web.Response(status=error.status, text=error.reason)
    except InputError as error:
        return web.json_response({"error": str(error)}, status=400)
    except AnypreferError as error:
        return web.json_response({"error": str(error)}, status=500)


def _foreign(request: web.Request) -> str:
    """Why a request is not from the page; empty where it is."""
    _, port = request.transport.get_extra_info("sockname")[:2] if request.transport else ("", 0)
    here = {f"{HOST}:{port}", f"localhost:{port}"}
    if request.headers.get("Host", "") not in here:
        return "the page has another address"
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"http://{request.headers['Host']}":
        return "the request comes from another page"
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        return "the request comes from another page"
    if request.method == "POST" and request.content_type != "application/json":
        return "marks are sent as JSON"
    return ""


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        given = await request.json()
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise InputError("the body is no JSON object")
    return given


def _place(queue: Queue, given: Any) -> int:
    at = int(given) if isinstance(given, str) and given.isdecimal() else given
    if not isinstance(at, int) or isinstance(at, bool) or not 0 <= at < len(queue.pairs):
        raise InputError(f"there is no pair {str(given)[:20]}; they are 0 to {len(queue.pairs) - 1}")
    return at


def _state(queue: Queue, by: str) -> dict[str, Any]:
    told = [[one.what, one.words] for one in measured(queue.reviewed())]
    return {"marks": queue.said(by), "told": told}


def _page(queue: Queue, by: str) -> tuple[str, str]:
    """Its policy, and itself."""
    scripts = list(map(asset, SCRIPTS))
    allowed = f"{policy(scripts)}; connect-src 'self'; frame-ancestors 'none'"
    text = template("review.html").render(
        title=f"Review of {', '.join(part.name for part in queue.parts)}",
        by=by,
        names=[part.name for part in queue.parts],
        style=markup(asset("page.css")),
        scripts=list(map(markup, scripts)),
    )
    return allowed, text
