"""The bytes behind an http(s) URL of a row, for what looks at pixels on this machine.

A URL in a row is somebody's data, and may name this machine, its network or a cloud's metadata service. So every
connection, those of redirects too, is made to an address that was checked to be public: no name is looked up twice.
Proxies of the environment are not used, since a proxy looks the name up itself.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from anyprefer.core.errors import InputError

SECONDS = 30.0
"""For the whole of one image: names, connections, redirects, bytes."""
REDIRECTS = 5
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_CHUNK = 2**16


def fetched(url: str, most: int) -> bytes:
    """What the URL gives, at most `most` bytes. Blocks; may be called in any thread.

    Raises `InputError` naming the URL where it leads to an address that is not public, does not answer 200 in time, or
    gives more.
    """
    with ThreadPoolExecutor(1) as thread:  # the caller's may run an event loop
        return thread.submit(asyncio.run, _fetched(url, most)).result()


async def _fetched(url: str, most: int) -> bytes:
    import aiohttp

    try:
        async with (
            asyncio.timeout(SECONDS),
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(socket_factory=_public_socket),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # a few bytes could become many
            ) as session,
            session.get(url, max_redirects=REDIRECTS, headers={"Accept-Encoding": "identity"}) as answer,
        ):
            if answer.status != 200:
                raise InputError(f"image {url[:200]!r} cannot be fetched: the server answers {answer.status}{_FIX}")
            return await _body(answer.content.iter_chunked(_CHUNK), url, most)
    except (aiohttp.ClientError, OSError, ValueError) as error:  # a timeout is an OSError
        said = str(error) or f"no answer within {SECONDS:.0f} s"
        raise InputError(f"image {url[:200]!r} cannot be fetched: {said}{_FIX}") from error


_FIX = "; give a URL that anybody can read, or download it and give its path"


async def _body(chunks: Any, url: str, most: int) -> bytes:
    data = bytearray()
    async for chunk in chunks:
        data += chunk
        if len(data) > most:
            raise InputError(f"image {url[:200]!r} has more than {most} bytes; give a smaller one")
    return bytes(data)


def _public_socket(address: Any) -> socket.socket:
    """A socket for (family, type, protocol, name, address), just before it is connected."""
    family, kind, protocol, _, where = address
    if not public(where[0]):
        raise PermissionError(errno.EACCES, f"{where[0]} is no public address")
    return socket.socket(family, kind, protocol)


def public(address: str) -> bool:
    """Whether an IP address is one of the internet: not loopback, private, link-local, shared, reserved or multicast,
    and none that carries such an IPv4 address inside."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # a zone (link-local), a legacy form such as 127.1
        return False
    if isinstance(found, ipaddress.IPv6Address):
        within = found.ipv4_mapped or found.sixtofour
        if found in _NAT64:
            within = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        found = within or found
    return found.is_global and not (found.is_multicast or found.is_reserved)
