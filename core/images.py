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
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from anyprefer.core.errors import InputError
from anyprefer.core.image_files import LARGEST, kind_of
from anyprefer.core.pictures import WEB, check, content_hash, image_bytes, in_rgb, shown, shrunk

__all__ = [
    "LARGEST",
    "Sent",
    "image_key",
    "image_keys",
    "image_url",
    "images_of",
    "load",
    "loaded",
    "may_be_image",
    "roots_of",
    "smaller",
    "url_key",
]
_URLS = (*WEB, "data:")


@dataclass(frozen=True, slots=True)
class Sent:
    """An image as servers get it."""

    url: str
    """A data: URL of the bytes as they are, or the http(s) URL."""
    key: str
    """sha256 of the bytes, or of the http(s) URL, in hexadecimal."""
    size: tuple[int, int] | None
    """Width and height in pixels, None where they are not known."""


_READ: ContextVar[dict[str, Sent] | None] = ContextVar("images of the task", default=None)
"""By the image as the task or a finding has it, and by its data: URL."""


def image_url(image: str) -> str:
    """An http(s) URL as it is; the data: URL of a file, or of a data: URL with the type its bytes have.

    Raises `InputError` naming the image where it cannot be read, is too large, no image or cut short.
    """
    return sent(image).url


def image_key(image: str) -> str:
    """What stands for the image where it would be too long or say too little, in keys and traces: `content_hash`, taken
    once a task. Raises as `image_url` does."""
    return sent(image).key


def image_keys(images: Sequence[str]) -> list[str]:
    """The keys of several, in order."""
    return [image_key(image) for image in images]


def url_key(url: str) -> str:
    """The same for the data: URL in a message, whoever wrote it: one that is no image is hashed as a text."""
    found = (_READ.get() or {}).get(url)
    try:
        return found.key if found else content_hash(url)
    except InputError:
        return sha256(url.encode("utf-8", "replace")).hexdigest()


def sent(image: str) -> Sent:
    """The image, read, checked and hashed once a task (`loaded`)."""
    known = _READ.get()
    found = known.get(image) if known is not None else None
    if found is None:
        found = _sent(image)
        if known is not None:
            known[image] = known[found.url] = found
    return found


def smaller(image: str, side: int) -> str:
    """The data: URL of the image with at most `side` pixels at its longer side, made once a task; JPEG stays JPEG, all else
    becomes PNG. As it is where it has no more, or nobody here knows. Raises as `image_url` does."""
    one, known = sent(image), _READ.get()
    if one.size is None or max(one.size) <= side:
        return one.url
    place = f"{one.key} {side}"
    made = known.get(place) if known is not None else None
    if made is None:
        made = _sent(_data_url(shrunk(image_bytes(one.url), side), f"image {shown(image)}"))
        if known is not None:
            known[place] = known[made.url] = made
    return made.url


def _sent(image: str) -> Sent:
    if image.startswith(WEB):
        if len(image) > _LONGEST_URL:
            raise InputError(f"image {shown(image)} is a URL of {len(image)} characters; give one of {_LONGEST_URL}")
        return Sent(image, content_hash(image), None)
    data, what = image_bytes(image), f"image {shown(image)}"
    url = _data_url(data, what)
    size = check(data, what)
    return Sent(image if url == image else url, sha256(data).hexdigest(), size)


_LONGEST_URL = 2**16


@contextmanager
def loaded(images: Mapping[str, Sent]) -> Iterator[None]:
    """These are not read again in this task and those it begins, nor is any that is read within."""
    before = _READ.set({**images, **{one.url: one for one in images.values()}})
    try:
        yield
    finally:
        _READ.reset(before)


async def load(images: Sequence[str]) -> dict[str, Sent]:
    """The images, read and checked in a thread. Raises as `image_url` does."""
    return await asyncio.to_thread(lambda: {image: _sent(image) for image in images}) if images else {}


def _data_url(data: bytes, what: str) -> str:
    if len(data) > LARGEST:
        raise InputError(
            f"{what} has {len(data)} bytes, more than {LARGEST}; make it smaller, or give a JPEG's own bytes"
        )
    kind = kind_of(data)
    if not kind:
        raise InputError(f"{what} is no image by its content; use PNG, JPEG, GIF, WebP, BMP, TIFF, HEIC or AVIF")
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


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


def may_be_image(value: Any) -> bool:
    """Whether a value is written as images are; a text is where it is a URL, or ends as a file's name does."""
    if isinstance(value, str):
        return value.startswith(_URLS) or bool(_FILE_NAME.search(value))
    if isinstance(value, Mapping):
        return "bytes" in value or "path" in value
    return isinstance(value, bytes | bytearray | memoryview | InputError) or hasattr(value, "save")


_FILE_NAME = re.compile(r"[^\s.]\.[A-Za-z]{3,4}$")


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, InputError):  # what stands for an image that could not be read
        raise value
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
    (picture if known else in_rgb(picture)).save(data, format="PNG")
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
            "folder in image_roots (--image-roots)"
        )
    return image if path is given else str(path)


def roots_of(beside: Path | None, others: Iterable[str | Path] = ()) -> list[Path]:
    """The folders that paths of rows may lead to, links resolved: the input's, the working directory, and `others`.

    Raises `InputError` for one of `others` that is no folder.
    """
    further = [Path(folder).expanduser() for folder in others]
    for folder in further:
        if not folder.is_dir():
            raise InputError(f"image_roots (--image-roots): {str(folder)!r} is no folder; name one that images lie in")
    found = [*([beside] if beside else []), Path(), *further]
    return list(dict.fromkeys(folder.expanduser().resolve() for folder in found))
