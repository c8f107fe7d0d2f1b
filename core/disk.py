"""What a run folder asks of the disk: whole files or none, no links, locks that hold, and words for what it refuses."""

from __future__ import annotations

import errno
import json
import logging
import os
import struct
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, cast

from anyprefer.core.errors import RunFolderError
from anyprefer.core.secrets import cleaned

_LOG = logging.getLogger("anyprefer")
_FIXES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some of your quota",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENFILE: "close programs that hold files open",
    errno.EFBIG: "raise the limit on a file's size (ulimit -f)",
    errno.EROFS: "mount the disk for writing",
    errno.EACCES: "get the right to write there",
    errno.ENAMETOOLONG: "choose a shorter name with --out",
}


def unwritable(folder: Path, error: object) -> RunFolderError:
    """The error for a disk that is full, read-only or gone; `error` is an exception, or what it said."""
    words = (error.strerror or error) if isinstance(error, OSError) else error
    full = errno.ENOSPC if "full" in str(error) else None
    fix = _FIXES.get(error.errno if isinstance(error, OSError) and error.errno else full or 0, "fix the disk")
    return RunFolderError(
        f"run folder {folder} cannot be written: {words}; rows and answers kept so far are safe, "
        f"{fix} and give the same command again"
    )


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Raises what the disk refuses within as `unwritable` tells it."""
    try:
        yield
    except OSError as error:
        raise unwritable(folder, error) from error


def say(words: str) -> None:
    """A note to the user; the command line shows it."""
    _LOG.warning(words)


def move_aside(path: Path, why: str) -> Path:
    """Gives a file a name that nothing reads or writes, and says so: `NAME.aside`, `NAME.aside-2`, …"""
    kept = unused(path)
    path.rename(kept)
    say(f"{path} {why}; it is kept as {kept.name}")
    return kept


def unused(path: Path) -> Path:
    """A name for what is moved aside."""
    number, kept = 1, path.with_name(path.name + ".aside")
    while os.path.lexists(kept):
        number += 1
        kept = path.with_name(f"{path.name}.aside-{number}")
    return kept


def check_no_link(path: Path) -> None:
    """Raises `RunFolderError` for a link, since what a run writes stays in its folder, and for a folder."""
    if path.is_symlink():
        raise RunFolderError(f"{path} is a link, which a run does not follow; put the file itself there")
    if path.is_dir():
        raise RunFolderError(f"{path} is a folder, and a run has a file of that name; move the folder away")


def open_file(path: Path, mode: Literal["ab", "wb", "r+b"], buffering: int = -1) -> IO[bytes]:
    """`open` that refuses links, with an `OSError`."""
    found = os.open(path, _FLAGS[mode] | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    return cast("IO[bytes]", os.fdopen(found, mode, buffering))


_FLAGS = {"ab": os.O_WRONLY | os.O_CREAT | os.O_APPEND, "wb": os.O_WRONLY | os.O_CREAT | os.O_TRUNC, "r+b": os.O_RDWR}


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file that takes the place of another once it is whole."""
    fresh = path.with_name(path.name + ".new")
    try:
        with open_file(fresh, "wb") as file:
            yield file
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Writes a whole file or none: what reads it meets no half of it."""
    with replacing(path) as file:
        file.write((json.dumps(cleaned(value), indent=2, ensure_ascii=False) + "\n").encode())


def check_locks(folder: Path) -> None:
    """Raises `RunFolderError` where a lock can be taken twice, or not at all: two runs could write the folder at once.

    Locks of open files, which conflict even within one process; elsewhere than on Linux nothing is checked.
    """
    if sys.platform != "linux" or sys.maxsize < 2**32:
        return
    import fcntl

    whole = struct.pack("hhxxxxqqixxxx", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)  # struct flock: all of the file
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".locks-") as first, Path(first.name).open("r+b") as second:
        try:
            fcntl.fcntl(first, fcntl.F_OFD_SETLK, whole)
        except OSError as error:
            raise RunFolderError(_no_locks(folder, f"refuses locks ({error.strerror})")) from error
        try:
            fcntl.fcntl(second, fcntl.F_OFD_SETLK, whole)
        except OSError:
            return
    raise RunFolderError(_no_locks(folder, "grants the same lock twice"))


def _no_locks(folder: Path, how: str) -> str:
    return (
        f"the file system of {folder} {how}, so a second run in the folder would damage it; "
        "choose a folder on a disk with locks, such as a local one"
    )


def sync_folder(folder: Path) -> None:
    """Has a new file's name on the disk."""
    found = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(found)
    finally:
        os.close(found)
