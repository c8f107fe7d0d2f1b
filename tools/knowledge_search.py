"""BM25 search over a local corpus: the packaged one, or any JSONL file of {id, title, text}.

An index is built once for each corpus content and kept under `$ANYPREFER_CACHE` (by default
`~/.cache/anyprefer`), so later processes only open it, memory-mapped. Where that folder cannot be written
the index stays in memory.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import math
import os
import re
import shutil
import tempfile
import threading
import unicodedata
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, cast

import bm25s
import Stemmer
from pydantic import Field

from anyprefer.core.data_folder import PREFIX, cache_folder, data_file
from anyprefer.core.errors import InputError
from anyprefer.tools.base import Finding, tool

PACKAGED = Path(__file__).parent / "facts.jsonl"
STOPWORDS = frozenset(bm25s.stopwords.STOPWORDS_EN_PLUS)

_LONGEST_QUERY = 10_000
_SENTENCE = re.compile(r"[^.?!\n]*+[.?!\n]*+")
_FORM = re.compile(r"(?:please )?(?:answer|reply|respond)\b", re.IGNORECASE)
_APOSTROPHES = re.compile(r"['’`]")
_FORMAT = 3
"""Version of `folded`, `terms` and of what is kept of a row: an index made with another one is not reused."""
_DIGESTS = "sha256.json"
_UNUSABLE = (OSError, EOFError, ValueError, KeyError)

_log = logging.getLogger(__name__)
_opened: dict[tuple[Path, int, int], Corpus] = {}
_opening = threading.Lock()


def folded(text: str) -> str:
    """Text without accents and apostrophes, so that "Bogota" finds "Bogotá"."""
    parts = unicodedata.normalize("NFKD", _APOSTROPHES.sub("", text))
    return "".join(character for character in parts if not unicodedata.combining(character))


def terms(texts: Iterable[str]) -> list[list[str]]:
    """Each text's words as the index knows them: folded, lower case, stemmed, without stopwords."""
    return cast(
        "list[list[str]]",
        bm25s.tokenize(
            [folded(text) for text in texts],
            token_pattern=r"\w+",
            stopwords="en_plus",
            stemmer=Stemmer.Stemmer("english"),
            return_ids=False,
            show_progress=False,
        ),
    )


def question_of(prompt: str) -> str:
    """A prompt without its sentences about form ("Answer with the name only.") and cut at 10,000 characters."""
    sentences = _SENTENCE.findall(prompt[:_LONGEST_QUERY])
    return "".join(one for one in sentences if not _FORM.match(one.strip())).strip()


class Corpus:
    """Searchable passages; safe to share between threads."""

    def __init__(self, index: bm25s.BM25, rows: Sequence[dict[str, Any]]) -> None:
        self._index = index
        self._rows = rows
        self._reading = threading.Lock()

    @classmethod
    def open(cls, path: str = "") -> Corpus:
        """The corpus in a .jsonl or .jsonl.gz file (empty: the packaged one; `data:FILE`: in the folder
        ANYPREFER_DATA names), opened once per process.

        Raises `InputError` naming file and line when it cannot be read or a row has no text.
        """
        named = data_file(path) if path.startswith(PREFIX) else Path(path).expanduser()
        file = named.resolve() if path else PACKAGED
        try:
            stat = file.stat()
        except OSError as error:
            raise InputError(
                f"corpus {file} cannot be read: {error.strerror}; give a .jsonl or .jsonl.gz file"
            ) from error
        if not file.is_file():
            raise InputError(f"corpus {file} is not a file; give a .jsonl or .jsonl.gz file")
        with _opening:
            key = (file, stat.st_mtime_ns, stat.st_size)
            if key not in _opened:
                _opened[key] = _load(file)
            return _opened[key]

    def __len__(self) -> int:
        return len(self._rows)

    def search(self, query: str, k: int = 3) -> list[dict[str, Any]]:
        """Up to `k` (≥ 1) rows that share a word with the query, best first, each with its BM25 `score` (> 0)."""
        words = terms([question_of(query)])
        if not words[0]:
            return []
        indices, scores = self._index.retrieve(words, corpus=range(len(self)), k=min(k, len(self)), show_progress=False)
        hits = [(int(i), float(s)) for i, s in zip(indices[0], scores[0], strict=True) if s > 0]
        with self._reading:  # the memory-mapped rows share one file position
            return [{**self._rows[i], "score": round(score, 4)} for i, score in hits]

    def rarity(self, term: str) -> float:
        """ln(1 + N / number of passages with the term); highest, ln(1 + N), for a term in none."""
        column = self._index.vocab_dict.get(term)
        starts = self._index.scores["indptr"]
        found = 0 if column is None else int(starts[column + 1]) - int(starts[column])
        return math.log1p(len(self) / max(1, found))


def _load(file: Path) -> Corpus:
    folder = cache_folder() / f"bm25-{_key(file)}"
    if folder.is_dir():
        try:
            return _open_saved(folder)
        except _UNUSABLE as error:
            _log.warning("the index in %s is not used (%s) and is built again", folder, error)
            shutil.rmtree(folder, ignore_errors=True)
    rows = _read(file)
    index = bm25s.BM25()
    index.index(terms(f"{row['title']}. {row['text']}" for row in rows), show_progress=False)
    try:
        _save(index, rows, folder)
        return _open_saved(folder)
    except _UNUSABLE as error:
        _log.warning("the index of %s stays in memory, %s cannot be used: %s", file, folder, error)
        return Corpus(index, rows)


def _check(folder: Path) -> None:
    """Raises `ValueError` for an index that another user made, or whose files are not those that were written."""
    if hasattr(os, "geteuid") and _owner(folder) not in (0, os.geteuid()):
        raise ValueError("it belongs to another user")
    if json.loads((folder / _DIGESTS).read_text(encoding="utf-8")) != _digests(folder):
        raise ValueError("its files are damaged")


def _owner(folder: Path) -> int:
    return folder.stat().st_uid


def _digests(folder: Path) -> dict[str, str]:
    found = {}
    for file in sorted(folder.iterdir()):
        if file.name != _DIGESTS:
            with file.open("rb") as stream:
                found[file.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def _open_saved(folder: Path) -> Corpus:
    _check(folder)
    index = bm25s.BM25.load(folder, load_corpus=True, mmap=True, show_progress=False)
    if index.corpus is None:
        raise ValueError("its passages are missing")
    return Corpus(index, index.corpus)


def _save(index: bm25s.BM25, rows: list[dict[str, Any]], folder: Path) -> None:
    """Atomic: a folder under another name, then one rename. Another process may have been first."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix="building-"))
    try:
        index.save(draft, corpus=rows, show_progress=False, raise_on_serialization_error=True)
        (draft / _DIGESTS).write_text(json.dumps(_digests(draft)), encoding="utf-8")
        draft.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _key(file: Path) -> str:
    with file.open("rb") as stream:
        content = hashlib.file_digest(stream, "sha256").hexdigest()
    return hashlib.sha256(f"{content} {version('bm25s')} {_FORMAT}".encode()).hexdigest()[:24]


def _read(file: Path) -> list[dict[str, Any]]:
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as stream:
            rows = [_row(line, f"{file}, line {n}") for n, line in enumerate(stream, 1) if line.strip()]
    except (OSError, EOFError) as error:
        raise InputError(
            f"corpus {file} cannot be read: {error}; is it a complete .jsonl or .jsonl.gz file?"
        ) from error
    if not rows:
        raise InputError(f"corpus {file} is empty; write one JSON object with id, title and text a line")
    return rows


def _row(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InputError(
            f"{where}: not JSON ({error}); write one JSON object with id, title and text a line"
        ) from error
    if not isinstance(row, dict) or not isinstance(row.get("text"), str) or not row["text"].strip():
        raise InputError(
            f'{where}: no text; each line needs a passage, such as {{"id": "1", "title": "…", "text": "…"}}'
        )
    return {key: row[key] for key in ("source", "facts") if key in row} | {
        "id": _said(row.get("id")),
        "title": _said(row.get("title")),
        "text": row["text"],
    }


def _said(value: Any) -> str:
    return "" if value is None else str(value)


@tool
def knowledge_search(query: str, *, corpus: str = "", k: Annotated[int, Field(ge=1)] = 3) -> Finding:
    """Finds passages about the question in a local knowledge base, for facts, definitions and names."""
    passages = Corpus.open(corpus).search(query, k)
    if not passages:
        return Finding("No passage found.", data=[])
    text = "\n".join(f"[{number}] {p['title']}: {p['text']}" for number, p in enumerate(passages, 1))
    return Finding(text, data=[shown(one) for one in passages])


def shown(passage: dict[str, Any]) -> dict[str, Any]:
    """A passage as findings hold it: without the entries that `fact_check` compares with."""
    return {key: value for key, value in passage.items() if key != "facts"}


@knowledge_search.preparation
def _open(*, corpus: str = "", k: int = 3) -> None:
    Corpus.open(corpus)
