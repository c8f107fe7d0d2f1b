"""One HTTP request to a model server, over one pooled aiohttp session per event loop.

A session is owned by an async generator, so that `asyncio.run` closes it with the loop; what is open
when the interpreter ends is closed then. No "Unclosed client session" is ever printed.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import io
import os
import ssl
import urllib.request
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import aiohttp
import certifi
import orjson
from yarl import URL

from anyprefer.graph.models.failures import HTTPStatusError, TransportError, retry_after, server_words

KEEP_ALIVE = 15.0
"""Seconds an idle connection is kept for the next request."""
DNS_CACHE = 300
"""Seconds a host's address is remembered."""
LARGE = 2**20
"""Bytes from which a body is sent in pieces, so that it does not hold up the loop."""
CLOSING = 2.0
"""Seconds the end of the interpreter waits for a loop that still runs."""


@dataclass(frozen=True, slots=True)
class Route:
    """What all requests of one model share."""

    url: URL
    headers: dict[str, str]
    timeout: aiohttp.ClientTimeout
    proxy: URL | None = None
    secrets: tuple[str, ...] = ()
    """What no error may repeat."""


async def send(route: Route, body: bytes) -> dict[str, Any]:
    """Posts a JSON body; the answer's JSON object.

    Raises `HTTPStatusError` for a status other than 2xx, `TransportError` when no whole answer came.
    """
    session = _open.get(asyncio.get_running_loop()) or await _new_session()
    data = body if len(body) < LARGE else io.BytesIO(body)
    verify = tls() if route.url.scheme == "https" else True
    try:
        response = await session.post(
            route.url, data=data, headers=route.headers, timeout=route.timeout, proxy=route.proxy, ssl=verify
        )
        content = await response.read()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise TransportError.of(error, route.secrets) from error
    if response.status >= 300:
        raise HTTPStatusError(
            response.status, server_words(content, route.secrets), retry_after(response.headers.get("Retry-After"))
        )
    return parsed(content, route.secrets)


def parsed(content: bytes, secrets: tuple[str, ...] = ()) -> dict[str, Any]:
    """The JSON object of an answer. Some gateways put an error into a 200; it is raised as the error it is.

    Raises `TransportError` for half an answer or one without choices.
    """
    try:
        answer = orjson.loads(content)
    except ValueError as error:
        raise TransportError(f"Connection error: no whole JSON answer: {server_words(content, secrets)}") from error
    if isinstance(answer, dict) and answer.get("choices"):
        return answer
    refused = answer.get("error") if isinstance(answer, dict) else None
    code = refused.get("code") if isinstance(refused, dict) else None
    if refused:
        status = code if isinstance(code, int) and 400 <= code < 600 else 502
        raise HTTPStatusError(status, server_words(content, secrets))
    raise TransportError(f"Connection error: an answer without choices: {server_words(content, secrets)}")


@cache
def tls() -> ssl.SSLContext:
    """Verifies certificates by the system's authorities and certifi's; by SSL_CERT_FILE alone where that is set."""
    context = ssl.create_default_context()
    if not os.environ.get("SSL_CERT_FILE"):
        context.load_verify_locations(certifi.where())
    return context


def proxy_for(url: URL) -> str | None:
    """The proxy that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY name for this URL."""
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or urllib.request.proxy_bypass(url.host or ""):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


Owner = AsyncGenerator[aiohttp.ClientSession, None]
_open: WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession] = WeakKeyDictionary()
_owners: WeakKeyDictionary[asyncio.AbstractEventLoop, Owner] = WeakKeyDictionary()


async def _new_session() -> aiohttp.ClientSession:
    for loop in [loop for loop in _open if loop.is_closed()]:
        _abandon(loop)
    loop = asyncio.get_running_loop()
    owner = _owners[loop] = _owned(loop)
    return await anext(owner)


async def _owned(loop: asyncio.AbstractEventLoop) -> Owner:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE, ttl_dns_cache=DNS_CACHE)
    session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
    _open[loop] = session
    try:
        yield session
    finally:
        _open.pop(loop, None)
        _owners.pop(loop, None)
        await session.close()


def _abandon(loop: asyncio.AbstractEventLoop) -> None:
    """Lets go of the connections of a loop that can close nothing any more."""
    session = _open.pop(loop)
    _owners.pop(loop, None)
    closing = session.close()
    with contextlib.suppress(StopIteration, RuntimeError):
        while True:
            closing.send(None)


@atexit.register
def _close_all() -> None:
    for loop, owner in list(_owners.items()):
        if loop.is_running():
            with contextlib.suppress(TimeoutError):
                asyncio.run_coroutine_threadsafe(_closed(owner), loop).result(CLOSING)
        elif loop.is_closed():
            _abandon(loop)
        else:
            loop.run_until_complete(owner.aclose())


async def _closed(owner: Owner) -> None:
    await owner.aclose()
