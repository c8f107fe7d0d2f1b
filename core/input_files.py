"""Rows of files and other holders of rows, each with where it stands; read as they are needed.

| source | rows |
|---|---|
| `.jsonl`, `.ndjson`, also `.gz` | a JSON value a line; lines end at "\\n" alone |
| `.json` | a list |
| `.csv`, `.tsv`, also `.gz` | `delimited.py`; of a `.csv` without commas in its header the semicolon separates |
| `.parquet` | |
| a folder | what `save_to_disk` wrote |
| `-` | JSONL from standard input |
| `hub:ID`, `hub:ID:SPLIT`, `hub:ID:CONFIG:SPLIT` | streamed |
| a pandas or polars frame, an Arrow table, a `datasets` split, any iterable | |
"""

from __future__ import annotations

import codecs
import gzip
import io
import itertools
import json
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from anyprefer.core import delimited
from anyprefer.core.data_folder import PREFIX, data_file
from anyprefer.core.dataset_rows import AT_ONCE as IMAGES_AT_ONCE
from anyprefer.core.dataset_rows import split_rows
from anyprefer.core.errors import InputError
from anyprefer.core.task import Task

Source = str | Path | Iterable[Any]
Located = tuple[str, Any]
"""Where a row stands, and the row: a mapping, a Task, a prompt, or an `InputError`."""
HUB, STDIN = "hub:", "-"
LONGEST_LINE = 2**27
"""Characters of one line of JSONL."""
_AT_ONCE = 1024
_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic")
_SKIPPED = 2**20
"""Characters of a longer line that are read at once."""


class EmptyLine(InputError):
    """A line of a JSONL file with nothing in it."""


def located_rows(source: Source) -> Iterator[Located]:
    """The source's rows as they are, each with where it stands; what is no row is an `InputError` in its place."""
    if isinstance(source, str) and source == STDIN:
        yield from _jsonl(_text(cast("BinaryIO", sys.stdin.buffer), newline="\n"), "standard input")
    elif isinstance(source, str) and source.startswith(HUB):
        yield from _numbered(_hub(source.removeprefix(HUB)), source)
    elif isinstance(source, str | Path):
        path = path_of(source)
        if path.is_dir():
            yield from _numbered(_saved(path), str(path))
        elif not path.is_file():
            raise InputError(f"input {source} is not a file; a data set on a hub is written hub:ID or hub:ID:SPLIT")
        else:
            yield from _file(path)
    else:
        yield from _numbered(_held(source), "input")


def path_of(source: str | Path) -> Path:
    """The file a source names. Raises `InputError` for a `data:FILE` that is not there."""
    return data_file(source) if isinstance(source, str) and source.startswith(PREFIX) else Path(source)


def is_data(source: Source) -> bool:
    """Whether the rows were written by somebody else: files, hub sets, data sets, frames; not lists and generators."""
    return isinstance(source, str | Path) or any(hasattr(source, name) for name in _HOLDERS)


_HOLDERS = ("iterrows", "iter_rows", "to_batches", "features")
"""What pandas frames, polars frames, Arrow tables and `datasets` splits have, and other iterables have not."""


def _held(source: Any) -> Iterable[Any]:
    """Rows of an object."""
    if isinstance(source, Mapping):
        splits = [str(name) for name, part in source.items() if hasattr(part, "features")]
        if splits:
            raise InputError(f"a data set of several splits is no list of rows; pass one of them: {', '.join(splits)}")
    if isinstance(source, Mapping | Task):
        raise InputError(f"input of type {type(source).__name__} is no list of rows; pass a list with it")
    if hasattr(source, "iterrows"):
        return _frame(source)
    if hasattr(source, "iter_rows"):
        return cast("Iterable[Any]", source.iter_rows(named=True))
    if hasattr(source, "features"):
        return split_rows(source, own=True)
    if hasattr(source, "to_batches"):
        return itertools.chain.from_iterable(batch.to_pylist() for batch in source.to_batches(_AT_ONCE))
    if not isinstance(source, Iterable):
        raise InputError(
            f"input of type {type(source).__name__} is no list of rows; pass a list, a data set or a frame"
        )
    return source


def _frame(frame: Any) -> Iterator[Any]:
    for start in range(0, len(frame), _AT_ONCE):
        yield from frame.iloc[start : start + _AT_ONCE].to_dict("records")


def _numbered(rows: Iterable[Any], name: str) -> Iterator[Located]:
    for number, row in enumerate(rows, 1):
        yield f"{name}, row {number}", row


def _file(path: Path) -> Iterator[Located]:
    kind = kind_of(path)
    bare = kind.removesuffix(".gz")
    try:
        if bare in (".jsonl", ".ndjson"):
            with _open(path) as data:
                yield from _jsonl(_text(data, newline="\n"), str(path))
        elif kind == ".json":
            yield from _numbered(_listed(path), str(path))
        elif bare in (".csv", ".tsv"):
            with _open(path) as data:
                yield from _delimited(_text(data, newline=""), bare, path)
        elif kind == ".parquet":
            import pyarrow.parquet as parquet

            file = parquet.ParquetFile(path)
            batches = file.iter_batches(batch_size=IMAGES_AT_ONCE if "binary" in str(file.schema_arrow) else _AT_ONCE)
            yield from _numbered(itertools.chain.from_iterable(batch.to_pylist() for batch in batches), str(path))
        else:
            raise InputError(f"{path}: unknown kind {kind!r}; use .jsonl, .json, .csv, .tsv or .parquet")
    except InputError:
        raise
    except (OSError, ValueError, EOFError, RecursionError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def kind_of(path: Path) -> str:
    """What a file's name says it holds, in lower case: `.csv`, `.csv.gz`."""
    return "".join(path.suffixes[-2:] if path.suffix.lower() == ".gz" else path.suffixes[-1:]).lower()


def _open(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb"))


def _text(data: BinaryIO, newline: str) -> TextIO:
    """UTF-8, or UTF-16 where a mark says so. Bytes that are no text pass here and are found in their row, so that the
    other rows are still read."""
    buffered = data if isinstance(data, io.BufferedReader | gzip.GzipFile) else io.BufferedReader(cast("Any", data))
    begin = buffered.peek(2)[:2]
    wide = begin in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return io.TextIOWrapper(
        buffered, encoding="utf-16" if wide else "utf-8-sig", errors="surrogateescape", newline=newline
    )


def _listed(path: Path) -> list[Any]:
    """The rows of a JSON file, which must be a list."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON ({error}); name a file of one object a line .jsonl") from error
    if not isinstance(rows, list):
        raise InputError(f"{path} holds one object, not a list of rows; use JSONL or a list")
    return rows


def _jsonl(lines: TextIO, name: str) -> Iterator[Located]:
    for number, line in enumerate(iter(lambda: lines.readline(LONGEST_LINE), ""), 1):
        where = f"{name}, line {number}"
        if len(line) == LONGEST_LINE and line[-1] != "\n":
            while (rest := lines.readline(_SKIPPED)) and rest[-1] != "\n":
                pass
            yield where, InputError(f"the line is longer than {LONGEST_LINE} characters; make it shorter")
            continue
        if not line.strip():
            yield where, EmptyLine("the line is empty; remove it or put a JSON object there")
            continue
        try:
            row = json.loads(line)
            line.encode()
        except UnicodeEncodeError:
            row = InputError("the line is not UTF-8; write the file as UTF-8")
        except (ValueError, RecursionError) as error:
            row = InputError(f"not JSON ({error}); correct the line")
        yield where, row


def _delimited(lines: TextIO, kind: str, path: Path) -> Iterator[Located]:
    begin = [first := lines.readline()]
    while first and not first.strip():
        begin.append(first := lines.readline())
    semicolon = kind == ".csv" and "," not in first and ";" in first
    delimiter = "\t" if kind == ".tsv" else ";" if semicolon else ","
    try:
        for number, row in delimited.rows(itertools.chain(begin, lines), delimiter):
            yield f"{path}, line {number}", row
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _saved(folder: Path) -> Iterable[Any]:
    """The rows of a data set that `save_to_disk` wrote."""
    from datasets import load_from_disk

    if not any((folder / name).is_file() for name in ("state.json", "dataset_dict.json")):
        pairs = "; its pairs are in pairs.jsonl" if (folder / "pairs.jsonl").is_file() else ""
        if any(file.suffix.lower() in _PICTURES for file in itertools.islice(folder.iterdir(), _AT_ONCE)):
            raise InputError(
                f"input {folder} holds images and no questions; write a .csv or .jsonl beside them with columns prompt and "
                "image, a row a task, and give that"
            )
        raise InputError(
            f"input {folder} is not a file{pairs}; a data set on a hub is written hub:ID or hub:ID:SPLIT, and a folder "
            "must be what save_to_disk wrote"
        )
    try:
        loaded: Any = load_from_disk(str(folder))
    except Exception as error:
        raise InputError(f"data set {folder} cannot be read: {error}") from error
    if isinstance(loaded, Mapping):
        raise InputError(f"data set {folder} has several splits; give one of them: {folder}/{next(iter(loaded), '')}")
    return split_rows(loaded, own=False)


def _hub(name: str) -> Iterable[Any]:
    """`ID`, `ID:SPLIT` or `ID:CONFIG:SPLIT`, streamed."""
    from datasets import load_dataset

    parts = name.split(":")
    identifier, config, split = parts[0], parts[1] if len(parts) > 2 else None, parts[-1] if len(parts) > 1 else "train"
    try:
        loaded: Any = load_dataset(identifier, config, split=split, streaming=True)
    except Exception as error:
        raise InputError(f"hub data set {identifier!r} (split {split!r}) cannot be loaded: {error}") from error
    return split_rows(loaded, own=False)
