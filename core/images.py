"""Images of tasks: what a row may write for one, which files may be read, and what is sent of them.

| a row writes | the task holds |
|---|---|
| a path, an http(s) URL, a `data:` URL | the same text |
| a PIL image, bytes, `{"bytes": …, "path": …}` (what `datasets` gives) | a `data:` URL |

A file is sent to the model's server, so it must be a regular file of at most 20 MiB that begins as PNG, JPEG, GIF,
WebP, BMP, TIFF, HEIC or AVIF do, whatever its name is. Rows of files, hub sets, data sets and frames are data: a path
in them is followed to the folder the input lies in, the working directory and `image_roots`, links resolved, and
nowhere else. Rows and tasks that Python code passes as a list or a generator are the caller's own: their paths may
lead anywhere.
"""

from __future__ import annotations

import asyncio
import base64
import io
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from anyprefer.core.errors import InputError

LARGEST = 20 * 2**20
"""Bytes of one image; servers take less."""
_URLS = ("http://", "https://", "data:image/")
_BEGINS = (
    (b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF87a", "gif"), (b"GIF89a", "gif"),
    (b"II*\x00", "tiff"), (b"MM\x00*", "tiff"),
)  # fmt: skip
_BRANDS = {b"avif": "avif", b"avis": "avif", b"heic": "heic", b"heix": "heic", b"mif1": "heif"}
_LOADED: ContextVar[Mapping[str, str] | None] = ContextVar("loaded images", default=None)


def image_url(image: str) -> str:
    """http(s) and data URLs as they are; a file as a data URL.

    Raises `InputError` naming the path where it cannot be read, is no regular file, too large or no image.
    """
    if image.startswith(_URLS):
        if len(image) > 2 * LARGEST:
            raise InputError(f"image {image[:60]!r}… has {len(image)} characters; the limit is {2 * LARGEST}")
        return image
    return (_LOADED.get() or {}).get(image) or _data_url(read_file(image), f"image {image[:200]!r}")


@contextmanager
def loaded(urls: Mapping[str, str]) -> Iterator[None]:
    """`image_url` gives these without reading a file, in this task and those it begins."""
    before = _LOADED.set(urls)
    try:
        yield
    finally:
        _LOADED.reset(before)


async def load(images: Sequence[str]) -> dict[str, str]:
    """Data URLs of the files among the images, read in a thread. Raises as `image_url` does."""
    files = [image for image in images if not image.startswith(_URLS)]
    return await asyncio.to_thread(lambda: {file: image_url(file) for file in files}) if files else {}


def read_file(path: str) -> bytes:
    """The file's bytes. It is opened without waiting: a pipe with nobody behind it would hold the run."""
    try:
        _check(path, os.stat(path))  # before as well: to open a device may do something
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            _check(path, os.fstat(descriptor))
            return file.read(LARGEST)
    except (OSError, ValueError) as error:  # a NUL in the path is a ValueError
        said = getattr(error, "strerror", None) or error
        raise InputError(f"image {path[:200]!r} cannot be read: {said}; check the path") from error


def _check(path: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"image {path[:200]!r} is no regular file; give an image file, a URL or a data: URL")
    if found.st_size > LARGEST:
        raise InputError(f"image {path[:200]!r} has {found.st_size} bytes, more than {LARGEST}; make it smaller")


def _data_url(data: bytes, what: str) -> str:
    kind = _kind(data)
    if not kind:
        raise InputError(f"{what} is no image by its content; use PNG, JPEG, GIF, WebP, BMP, TIFF, HEIC or AVIF")
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _kind(data: bytes) -> str:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "")
    if data[:2] == b"BM" and data[6:10] == bytes(4):  # two letters alone begin many a text
        return "bmp"
    return next((kind for begin, kind in _BEGINS if data.startswith(begin)), "")


def images_of(value: Any, roots: Sequence[Path] | None, beside: Path | None = None) -> list[str] | None:
    """What a row's value holds, one image or several, as texts; None where it is of another type.

    `roots` are the folders a path may lead to, None for any; a path that is not found from the working directory is
    looked for in `beside`. Raises `InputError` for one that leads elsewhere, and for what is no image among images.
    """
    given = list(value) if isinstance(value, list | tuple) else [value]
    given = [one for one in given if one is not None and not (isinstance(one, str) and not one.strip())]
    found = [_text(one) for one in given]
    if given and not any(found):
        return None
    if None in found:
        raise InputError(
            f"image {found.index(None) + 1} of {len(found)} is of type {type(given[found.index(None)]).__name__}"
        )
    return [_within(one, roots, beside) for one in found if one]


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        if value.get("bytes") is not None:
            return _text(value["bytes"])
        inner = value.get("path") or value.get("url") or value.get("image_url")
        return _text(inner) if inner else None
    if isinstance(value, bytes | bytearray | memoryview):
        return _data_url(bytes(value), "an image given as bytes")
    return _drawn(value) if hasattr(value, "save") and hasattr(value, "mode") else None


def _drawn(picture: Any) -> str:
    """A PIL image as PNG."""
    data = io.BytesIO()
    known = picture.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16")
    (picture if known else picture.convert("RGB")).save(data, format="PNG")
    return _data_url(data.getvalue(), "a PIL image")


def _within(image: str, roots: Sequence[Path] | None, beside: Path | None) -> str:
    if image.startswith(_URLS) or roots is None:
        return image
    try:
        given = Path(image)
        path = beside / given if beside and not given.exists() and (beside / given).exists() else given
        real = path.resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"image {image[:200]!r} is no path: {error}") from None
    if not any(real.is_relative_to(root) for root in roots):
        where = " or ".join(map(str, roots))
        raise InputError(
            f"image {image[:200]!r} leads out of the folders images may come from ({where}); move it there, or name its "
            "folder in image_roots"
        )
    return image if path is given else str(path)


def roots_of(beside: Path | None, others: Iterable[str | Path] = ()) -> list[Path]:
    """The folders that paths of rows may lead to, links resolved: the input's, the working directory, and `others`."""
    found = [*([beside] if beside else []), Path(), *map(Path, others)]
    return list(dict.fromkeys(folder.expanduser().resolve() for folder in found))
