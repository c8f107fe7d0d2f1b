"""A text without some of what it names: the parts of a list, or whole sentences, that hold it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

Span = tuple[int, int]
"""Start and end in the text, in characters."""
_SENTENCE = re.compile(r"([^.!?\n]+)([.!?\n]*\s*)")
_BETWEEN = re.compile(r"\s*[,;]\s*(?:and\b\s*)?|\s+and\b\s*")
_DETERMINER = re.compile(r"(?:\s|^)(?:an?|the|one|some|another)\s*$", re.IGNORECASE)


def without(text: str, spans: Sequence[Span]) -> str:
    """The text without the parts between commas, semicolons and "and" that overlap a span, and without sentences of which
    no part is left. Empty where nothing is left."""
    kept = [_sentence(found, spans) for found in _SENTENCE.finditer(text)]
    return "".join(kept).strip()


def _sentence(found: re.Match[str], spans: Sequence[Span]) -> str:
    body, end = found.groups()
    parts = list(_parts(body, found.start()))
    kept = [part for part in parts if not _hit(part, spans)]
    if len(kept) == len(parts):
        return found[0]
    if not kept:
        return ""
    told = [body[start - found.start() : stop - found.start()] for start, stop in kept]
    lead = "" if kept[0] == parts[0] else _lead(body, found.start(), parts[0], spans)
    joined = _joined([f"{lead}{told[0]}", *told[1:]], "and" in body)
    return (joined[0].upper() + joined[1:] if body.lstrip()[0].isupper() else joined) + end


def _parts(body: str, at: int) -> Iterator[Span]:
    """Where the parts of a sentence stand in the text."""
    start = 0
    for between in _BETWEEN.finditer(body):
        yield at + start, at + between.start()
        start = between.end()
    yield at + start, at + len(body)


def _hit(part: Span, spans: Sequence[Span]) -> bool:
    return any(start < part[1] and end > part[0] for start, end in spans)


def _lead(body: str, at: int, first: Span, spans: Sequence[Span]) -> str:
    """What a sentence begins with before the first thing that it names ("There is "), which the next part then needs."""
    named = min(start for start, end in spans if start < first[1] and end > first[0])
    lead = _DETERMINER.sub(" ", body[: max(0, named - at)])
    return lead if lead.strip() else ""


def _joined(parts: Sequence[str], has_and: bool) -> str:
    if len(parts) == 1:
        return parts[0]
    return ", ".join(parts[:-1]) + (" and " if has_and else ", ") + parts[-1]
