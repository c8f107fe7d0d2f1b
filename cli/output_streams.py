"""Standard output and error that never stop a run: closed, a pipe nobody reads, or a disk that is full."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, TextIO, cast

from anyprefer.core.secrets import redact


class Lenient:
    """A text stream whose first failed write is its last: what follows goes nowhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failure: OSError | None = None
        """Why nothing is written any more; None while all is well, or where only the reader of a pipe left."""

    def write(self, text: str) -> int:
        """Writes it, or gives the stream up."""
        try:
            self._stream.write(redact(text))
            return len(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        """Flushes it, or gives the stream up."""
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        if error.errno != errno.EPIPE:
            self.failure = error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())  # what is buffered must go somewhere when the interpreter ends
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def take_over() -> tuple[Lenient, Lenient]:
    """Puts lenient streams in place of `sys.stdout` and `sys.stderr`, UTF-8 where they are no terminal; a terminal
    keeps its encoding, and what that lacks is printed as `?`."""
    taken = []
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the shell
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="replace")
        taken.append(Lenient(stream))
        setattr(sys, name, cast("TextIO", taken[-1]))
    return taken[0], taken[1]
