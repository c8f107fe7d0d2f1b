"""CSV and TSV, record by record: a broken one costs itself, and is told with the line it begins in.

The `csv` module ends at a field above 131,072 characters, reads a quote that is never closed as one field to the end of
the file, and says nothing of a field too many. Here a quoted field ends at a quote before a delimiter or a line's end;
where there is none, or another character follows, the record is its first line alone, and bad.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator

from anyprefer.core.errors import InputError

LONGEST = 2**24
"""Characters of one record; a quote that is open for longer is taken as never closed."""


class BadRecord(InputError):
    """A record that cannot be read; `text` is its first line as it stands."""

    def __init__(self, message: str, text: str) -> None:
        super().__init__(message)
        self.text = text


class _Broken(Exception):
    """What is wrong with a record's quotes."""


def records(lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str] | BadRecord]]:
    """Each record with the number of the line it begins in; empty lines are skipped. `lines` keep their ends."""
    source = enumerate(lines, 1)
    again: deque[tuple[int, str]] = deque()

    def following() -> Iterator[tuple[int, str]]:
        while line := again.popleft() if again else next(source, None):
            yield line

    for number, first in following():
        text = first.rstrip("\r\n")
        if '"' not in text:
            if text:
                yield number, text.split(delimiter)
            continue
        taken: list[tuple[int, str]] = []
        record: list[str] | BadRecord
        try:
            record = _fields(first, following(), taken, delimiter)
        except _Broken as error:
            record = BadRecord(f'{error}; write a quote within a quoted field twice ("")', text)
            again.extendleft(reversed(taken))
        yield number, record


def _fields(
    first: str, following: Iterator[tuple[int, str]], taken: list[tuple[int, str]], delimiter: str
) -> list[str]:
    """The fields of the record that begins with `first`; the further lines it takes are put into `taken`."""
    record, size = _Record(delimiter), len(first)
    done = record.feed(first)
    while not done:
        line = next(following, None)
        if line is None or size > LONGEST:
            taken += [line] if line else []
            raise _Broken("a quote that is never closed")
        taken.append(line)
        size += len(line[1])
        done = record.feed(line[1])
    return record.fields


class _Record:
    """The fields of one record, fed line by line; each character is looked at once."""

    def __init__(self, delimiter: str) -> None:
        self.fields: list[str] = []
        self._delimiter = delimiter
        self._open: list[str] | None = None

    def feed(self, line: str) -> bool:
        """Whether the record ends with this line."""
        text, at = line.rstrip("\r\n"), 0
        while True:
            if self._open is None and text.startswith('"', at):
                self._open, at = [], at + 1
            if self._open is not None:
                end = self._close(line, text, at)
                if end is None:
                    return False
            else:
                end = text.find(self._delimiter, at)
                end = len(text) if end < 0 else end
                self.fields.append(text[at:end])
            if end >= len(text):
                return True
            at = end + len(self._delimiter)

    def _close(self, line: str, text: str, at: int) -> int | None:
        """Where the open field ends; None where it does not end in this line."""
        pieces = self._open if self._open is not None else []
        while (end := line.find('"', at)) >= 0:
            if line.startswith('"', end + 1):
                pieces.append(line[at : end + 1])
                at = end + 2
                continue
            if end + 1 < len(text) and not text.startswith(self._delimiter, end + 1):
                raise _Broken(f"a quote in the middle of a quoted field, before {text[end + 1 : end + 11]!r}")
            self.fields.append("".join([*pieces, line[at:end]]))
            self._open = None
            return end + 1
        pieces.append(line[at:])
        return None


def rows(lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, dict[str, str] | InputError]]:
    """Each record as a mapping from the header's names, with its line. Raises `InputError` for a bad header."""
    found = records(lines, delimiter)
    _, header = next(found, (0, []))
    if isinstance(header, BadRecord):
        raise InputError(f"the header has {header}")
    if twice := next((name for name, count in Counter(header).items() if name and count > 1), ""):
        raise InputError(f"the header has the column {twice!r} twice; rename one of them")
    for line, record in found:
        if isinstance(record, BadRecord):
            yield line, BadRecord(f"the row has {record}", record.text)
        elif len(record) > len(header):
            yield (
                line,
                BadRecord(
                    f"the row has {len(record)} fields and the header {len(header)}; put a text that holds {delimiter!r} "
                    "in quotes",
                    delimiter.join(record),
                ),
            )
        elif any(map(_no_utf8, record)):
            yield line, BadRecord("the row is not UTF-8; write the file as UTF-8", delimiter.join(record))
        else:
            yield line, dict(zip(header, record, strict=False))


def _no_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # surrogates stand for the bytes that are none
        return True
    return False
