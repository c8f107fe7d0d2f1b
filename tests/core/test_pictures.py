"""Pictures opened for what looks at pixels: every form an image may have, and what is refused."""

import asyncio
import struct
import threading
import zlib

import numpy as np
import pytest
from aiohttp import web
from PIL import Image

from anyprefer.core import fetching, pictures
from anyprefer.core.errors import InputError
from anyprefer.core.fetching import public
from anyprefer.core.pictures import content_hash, opened
from tests.pixels import data_url as url
from tests.pixels import encoded


def grey(values, dtype):
    return Image.fromarray(np.array(values, dtype))


RED, BLUE = (255, 0, 0), (0, 0, 255)
TWO = Image.new("RGB", (4, 2), RED)
TWO.paste(BLUE, (2, 0, 4, 2))


def test_a_file_and_its_data_url_are_one_picture(tmp_path):
    data = encoded(TWO)
    (tmp_path / "a.jpg").write_bytes(data)  # a wrong extension says nothing
    for image in (str(tmp_path / "a.jpg"), url(data), url(data, "jpeg")):
        seen = opened(image)
        assert (seen.mode, seen.size, seen.getpixel((0, 0)), seen.getpixel((3, 1))) == ("RGB", (4, 2), RED, BLUE)
        assert content_hash(image) == content_hash(url(data))
    (tmp_path / "a.jpg").write_bytes(encoded(TWO.rotate(180)))
    assert content_hash(str(tmp_path / "a.jpg")) != content_hash(url(data))


def test_exif_turns_and_a_broken_one_says_nothing():
    turned = Image.Exif()
    turned[0x0112] = 6  # to be seen, turn it by 90 degrees clockwise
    seen = opened(url(encoded(TWO, exif=turned)))
    assert (seen.size, seen.getpixel((0, 0)), seen.getpixel((0, 3)), seen.info) == ((2, 4), RED, BLUE, {})
    assert opened(url(encoded(TWO, exif=b"Exif\0\0MM\0*" + b"\xff" * 40))).size == (4, 2)
    assert opened(url(encoded(TWO, "JPEG", exif=b"Exif\0\0" + b"x" * 60_000))).size == (4, 2)


def test_of_frames_and_pages_the_first_is_seen():
    for kind in ("GIF", "TIFF", "WEBP", "PNG"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encoded(TWO, kind, save_all=True, append_images=[TWO.rotate(180)] * 50, **options)
        assert opened(url(data)).getpixel((0, 0)) == RED


@pytest.mark.parametrize(
    ("picture", "kind", "seen"),
    [
        (Image.new("CMYK", (2, 2), (0, 255, 255, 0)), "TIFF", RED),
        (TWO.quantize(), "PNG", RED),
        (Image.new("RGBA", (2, 2), (255, 0, 0, 0)), "PNG", (255, 255, 255)),
        (Image.new("LA", (2, 2), (0, 255)), "PNG", (0, 0, 0)),
        (Image.new("1", (2, 2), 1), "PNG", (255, 255, 255)),
        (grey([[0, 65535], [32768, 257]], np.uint16), "PNG", (0, 0, 0)),
        (grey([[4095, 0], [0, 0]], np.uint16), "PNG", (255, 255, 255)),
        (grey([[200, 100], [0, 0]], np.uint16), "PNG", (200, 200, 200)),
        (grey([[1.0, 0], [0, 0]], np.float32), "TIFF", (255, 255, 255)),
        (grey([[70000, -5], [0, 0]], np.int32), "TIFF", (136, 136, 136)),
    ],
)
def test_every_mode_becomes_rgb(picture, kind, seen):
    found = opened(url(encoded(picture, kind)))
    assert (found.mode, found.getpixel((0, 0))) == ("RGB", seen)


def test_sixteen_bits_keep_their_shades():
    found = opened(url(encoded(grey([[0, 65535, 32768, 257]], np.uint16))))
    assert [found.getpixel((x, 0))[0] for x in range(4)] == [0, 255, 128, 1]


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, *chunks):
    """A PNG that says it has so many pixels, and holds few."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


BROKEN = {
    "truncated": (encoded(Image.effect_noise((64, 64), 90))[:-900], "cannot be decoded"),
    "empty": (b"", "no picture"),
    "a bomb": (png(50_000, 50_000), "make it smaller|exceeds limit"),
    "large": (png(8000, 8000), "more than 52428800; make it smaller"),
    "without size": (png(0, 4), "pixels|cannot|no picture"),
    "without pixels": (png(4, 4), "cannot be decoded"),
    "much text": (png(4, 4, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**23)))), "cannot be decoded|no picture"),
    "HTML": (b"<html><body>Not found</body></html>", "no picture"),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"></svg>', "no picture"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n", "no picture"),
    "text": (b"BMW builds cars", "no picture|cannot"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_bytes_are_named_with_the_fix(name, tmp_path):
    data, said = BROKEN[name]
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(InputError, match=said) as caught:
        opened(str(tmp_path / "a.png"))
    assert str(tmp_path / "a.png") in str(caught.value)
    assert ";" in str(caught.value)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("data:image/png;base64,a", "no base64"),
        ("data:image/png;base64,@@@@", "no base64"),
        ("data:image/png,abc", "no data: URL of an image"),
        ("data:text/html;base64,aGk=", "no data: URL of an image"),
        ("data:image/png;base64," + "A" * (28 * 2**20), "more than 20971520 bytes"),
        ("/no/where.png", "No such file"),
        ("/dev/zero", "no regular file"),
        ("", "cannot be read"),
    ],
)
def test_what_is_no_image_is_said(image, said):
    with pytest.raises(InputError, match=said) as caught:
        opened(image)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
     "255.255.255.255", "240.0.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
     "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "127.1", "2130706433", "localhost", ""],
)  # fmt: skip
def test_addresses_that_are_not_public(address):
    assert not public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_addresses_that_are_public(address):
    assert public(address)


class Site:
    """A site on loopback. `asked` are the paths it was asked for."""

    def __init__(self):
        self.asked = []
        self._stop = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(self, *error):
        asyncio.run_coroutine_threadsafe(self._finish(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _start(self):
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"

    async def _finish(self):
        self._stop.set()
        await self._runner.cleanup()

    async def _answer(self, request):
        path = request.path[1:]
        self.asked.append(path)
        if path == "private":
            raise web.HTTPFound(f"http://127.0.0.2:{self.port}/a.png")
        if path == "file":
            raise web.HTTPFound("file:///etc/passwd")
        if path == "round":
            raise web.HTTPFound("/round")
        if path == "there":
            raise web.HTTPFound("/a.png")
        if path == "slow":
            await self._stop.wait()
        if path == "gone":
            raise web.HTTPNotFound
        if path == "large":
            return web.Response(body=bytes(21 * 2**20))
        return web.Response(body=b"<html>" if path == "page.png" else encoded(TWO), content_type="image/png")


@pytest.fixture
def site():
    with Site() as running:
        yield running


def test_nothing_is_asked_of_an_address_that_is_not_public(site):
    for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]"):
        with pytest.raises(InputError, match="cannot be fetched"):
            opened(f"http://{host}:{site.port}/a.png")
    assert site.asked == []


def test_a_redirect_is_checked_too_and_what_comes_is_bounded(site, monkeypatch):
    monkeypatch.setattr(fetching, "public", lambda address: address == "127.0.0.1")
    assert opened(f"{site.url}/there").size == (4, 2)
    assert content_hash(f"{site.url}/there") != content_hash(f"{site.url}/a.png")
    said = {
        "private": "127.0.0.2 is no public address", "file": "cannot be fetched", "round": "cannot be fetched",
        "gone": "answers 404", "large": "more than 20971520 bytes", "page.png": "no picture",
    }  # fmt: skip
    for path, words in said.items():
        with pytest.raises(InputError, match=words) as caught:
            opened(f"{site.url}/{path}")
        assert f"{site.url}/{path}" in str(caught.value)
    assert site.asked.count("a.png") == 1
    monkeypatch.setattr(fetching, "SECONDS", 0.2)
    with pytest.raises(InputError, match="no answer within"):
        opened(f"{site.url}/slow")


async def test_a_url_may_be_opened_where_a_loop_runs(site, monkeypatch):
    monkeypatch.setattr(fetching, "public", lambda address: address == "127.0.0.1")
    assert opened(f"{site.url}/a.png").size == (4, 2)


def test_names_in_errors_are_short():
    assert len(pictures.shown("data:image/png;base64," + "A" * 9999)) < 80
