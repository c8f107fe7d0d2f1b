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
import zlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import aiohttp
import certifi
from aiohttp.connector import Connection
from yarl import URL

from anyprefer.core.errors import ModelSetupError
from anyprefer.models.servers.failures import (
    BadAnswer,
    HTTPStatusError,
    TransportError,
    clean,
    retry_after,
    server_words,
)
from anyprefer.models.servers.response import read

KEEP_ALIVE = 15.0
"""Seconds an idle connection is kept for the next request."""
DNS_CACHE = 300
"""Seconds a host's address is remembered."""
LARGE = 2**20
"""Bytes from which a body is sent in pieces, so that it does not hold up the loop."""
LARGEST = 2**24
"""Bytes an answer may have, unpacked: more than any model writes at once."""
LARGEST_ERROR = 2**16
"""Bytes that are read of an error's body."""
HOPS = 3
"""Redirects that are followed, all at the same server."""
STALE = 100
"""Pooled connections that are passed over, at most, because something came on them that nobody asked for."""
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

    def __post_init__(self) -> None:
        """Asks for no packing. Raises `ModelSetupError` for a header that would break the request up."""
        self.headers.setdefault("Accept-Encoding", "identity")
        for name, value in self.headers.items():
            if any(char < " " and char != "\t" for char in f"{name}{value}"):
                what = "the key" if name == "Authorization" else f"the header {name!r}"
                where = f"{self.url.host or 'the server'}"
                raise ModelSetupError(
                    f"{what} for {where} holds a line break or another control character; check how it was copied"
                )


async def send(route: Route, body: bytes) -> dict[str, Any]:
    """Posts a JSON body; the answer as `reading.read` gives it.

    Raises `HTTPStatusError` for a status other than 2xx, `TransportError` when no whole answer came.
    """
    url = route.url
    for _ in range(HOPS):
        status, headers, content = await _posted(route, url, body)
        if status < 300:
            return read(content, route.secrets)
        if status >= 400:
            words = server_words(content, route.secrets)
            raise HTTPStatusError(status, words, retry_after(headers.get("Retry-After")))
        url = _next(status, url, headers.get("Location", ""), route.secrets)
    raise HTTPStatusError(status, "it redirects in circles; check the URL")


async def _posted(route: Route, url: URL, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
    session = _open.get(asyncio.get_running_loop()) or await _new_session()
    data = body if len(body) < LARGE else io.BytesIO(body)
    verify = tls() if url.scheme == "https" else True
    try:
        response = await session.post(
            url,
            data=data,
            headers=route.headers,
            timeout=route.timeout,
            proxy=route.proxy,
            ssl=verify,
            allow_redirects=False,
        )
        return response.status, response.headers, await _content(response)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise TransportError.of(error, route.secrets, route.timeout) from error
    except ValueError as error:  # of a proxy's address, or of what stands in a header
        raise TransportError(clean(f"Request error: {error}", route.secrets), permanent=True) from error


def _next(status: int, url: URL, location: str, secrets: tuple[str, ...]) -> URL:
    """Where a redirect leads, when that is the same server; prompts and keys go nowhere else."""
    try:
        to = url.join(URL(location))
        same = bool(location) and to.origin() == url.origin()
    except ValueError:
        same = False
    if same and status in (301, 302, 307, 308):
        return to
    where = clean(location, secrets)[:200] or "nowhere"
    raise HTTPStatusError(
        status, f"it redirects to {where}, which is not followed; if that is right, use it as the URL"
    )


async def _content(response: aiohttp.ClientResponse) -> bytes:
    """The body, unpacked; of an error's no more than what is shown. Raises `BadAnswer` for one that is too large."""
    most = LARGEST if response.status < 300 else LARGEST_ERROR
    length = response.content_length
    whole = length is not None and length <= most
    content = await response.read() if whole else await _at_most(response, most)
    packed = response.headers.get("Content-Encoding")
    return _unpacked(content, packed.lower(), most) if packed and content else content


async def _at_most(response: aiohttp.ClientResponse, most: int) -> bytes:
    parts, size = [], 0
    try:
        async for part in response.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > most:
                break
    except BaseException:
        response.close()
        raise
    if size > most:
        response.close()
        _refuse_large(most)
    return b"".join(parts)[:most]


def _refuse_large(most: int) -> None:
    if most == LARGEST:
        raise BadAnswer(f"Answer error: it is larger than {LARGEST // 2**20} MiB")


def _unpacked(content: bytes, packed: str, most: int) -> bytes:
    """Packed although nobody asked for it."""
    if packed == "identity":
        return content
    if packed not in ("gzip", "x-gzip", "deflate"):
        raise BadAnswer(f"Answer error: it is packed as {packed[:20]!r}, which was not asked for")
    raw = packed == "deflate" and content[:1] != b"x"
    unpacking = zlib.decompressobj(-zlib.MAX_WBITS if raw else zlib.MAX_WBITS | 32)
    try:
        plain = unpacking.decompress(content, most + 1)
    except zlib.error as error:
        raise BadAnswer(f"Answer error: it cannot be unpacked: {error}") from error
    if len(plain) > most:
        _refuse_large(most)
    elif not unpacking.eof:
        raise BadAnswer("Answer error: it is packed and cut off")
    return plain[:most]


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


class _Connector(aiohttp.TCPConnector):
    """A pool that gives out no connection on which something came while nobody asked: a late answer to an earlier
    question would be taken for the answer to the next one."""

    async def connect(self, *given: Any, **named: Any) -> Connection:
        for _ in range(STALE):
            connection = await super().connect(*given, **named)
            if connection.protocol is not None and not connection.protocol.should_close:
                return connection
            connection.close()
        raise aiohttp.ServerDisconnectedError("the server speaks before it is asked")


async def _owned(loop: asyncio.AbstractEventLoop) -> Owner:
    connector = _Connector(limit=0, keepalive_timeout=KEEP_ALIVE, ttl_dns_cache=DNS_CACHE)
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # it is done here, and no further than is right
    )
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
