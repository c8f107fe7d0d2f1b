"""Which files may be read as images, and what their first bytes say they are."""

from __future__ import annotations

import os
import stat

from anyprefer.core.errors import InputError

LARGEST = 20 * 2**20
"""Bytes of one image; servers take less."""
_BEGINS = (
    (b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF87a", "gif"), (b"GIF89a", "gif"),
    (b"II*\x00", "tiff"), (b"MM\x00*", "tiff"),
)  # fmt: skip
_BRANDS = {b"avif": "avif", b"avis": "avif", b"heic": "heic", b"heix": "heic", b"mif1": "heif"}


def read_file(path: str) -> bytes:
    """The bytes of a regular file of at most `LARGEST`. It is opened without waiting: a pipe with nobody behind it would
    hold the run. Raises `InputError` naming the path."""
    try:
        _check(path, os.stat(path))  # before as well: to open a device may do something
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            _check(path, os.fstat(descriptor))
            return file.read(LARGEST)
    except (OSError, ValueError) as error:  # a NUL in the path is a ValueError
        said = getattr(error, "strerror", None) or error
        where = "" if os.path.isabs(path) else f", which starts in the input's folder or in {os.getcwd()}"
        raise InputError(f"image {path[:200]!r} cannot be read: {said}; check the path{where}") from error


def _check(path: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"image {path[:200]!r} is no regular file; give an image file, a URL or a data: URL")
    if found.st_size > LARGEST:
        raise InputError(f"image {path[:200]!r} has {found.st_size} bytes, more than {LARGEST}; make it smaller")


def kind_of(data: bytes) -> str:
    """png, jpeg, gif, webp, bmp, tiff, heic, heif or avif; empty for anything else."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "")
    if data[:2] == b"BM" and data[6:10] == bytes(4):  # two letters alone begin many a text
        return "bmp"
    return next((kind for begin, kind in _BEGINS if data.startswith(begin)), "")
