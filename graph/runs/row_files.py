"""The row files of a run folder: which they are, their rows, and rows as the pairs TRL takes.

| stream | holds |
|---|---|
| `rows` | accepted and rejected rows |
| `pairs` | accepted pairs |
| `judge_pairs` | pairs of judgments |
| `failed` | failed rows, until the task is played to an end |

A stream is one file, `rows.jsonl`, or numbered shards, `rows-00000.jsonl`, `rows-00001.parquet`, …. The ledger knows
which files a run wrote; no other is read, whatever its name.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import orjson
from pydantic import ValidationError

from anyprefer.core.errors import RunFolderError
from anyprefer.core.input_rows import BadRow
from anyprefer.core.records import Row
from anyprefer.core.task import Task
from anyprefer.graph.runs.parquet import parquet_rows, took_place_of

_T = TypeVar("_T")
LEDGER = "ledger.db"
STREAMS = ("rows", "pairs", "judge_pairs", "failed")
Noted = tuple[str, int, int, int]
"""Name of the file of lines, its size in bytes, its rows, whether it is closed (0 or 1): then a Parquet file may have
taken its place."""
_NAME = re.compile(r"(rows|pairs|judge_pairs|failed)(?:-(\d{5,9}))?\.(jsonl|parquet)")


def place(name: str) -> tuple[str, int]:
    """A file's stream and its number there, -1 without one; ("", -1) for a name that no run gives."""
    found = _NAME.fullmatch(name)
    return (found[1], int(found[2] or -1)) if found else ("", -1)


def named(folder: Path, stream: str) -> list[Path]:
    """The files whose names a run gives to a stream, in order, whoever wrote them; links are left out."""
    files = [file for file in folder.iterdir() if place(file.name)[0] == stream]
    return sorted(
        (file for file in files if file.is_file() and not file.is_symlink()),
        key=lambda file: (place(file.name)[1], file.suffix == ".jsonl"),
    )


def holds(folder: Path, name: str, rows: int) -> Path:
    """Where the rows of a noted file are: in its lines, or in the Parquet file that took their place."""
    lines = folder / name
    made = lines.with_suffix(".parquet")
    return made if made.is_file() and not made.is_symlink() and took_place_of(made, lines, rows) else lines


def row_files(folder: str | Path, stream: str) -> list[Path]:
    """The files of a stream that the run wrote, in order: `rows`, `pairs`, `judge_pairs` or `failed`.

    Where the ledger is not there or in use, it is those named as a run names them. Raises `RunFolderError` for a file
    that is gone or shorter than it was.
    """
    folder = Path(folder)
    noted = noted_files(folder)
    if noted is None:
        return named(folder, stream) if folder.is_dir() else []
    mine = sorted((one for one in noted if place(one[0])[0] == stream), key=lambda one: place(one[0])[1])
    return [there(holds(folder, name, rows), size) for name, size, rows, _ in mine]


def there(file: Path, size: int) -> Path:
    """The file, when it is there and no shorter than `size`, which counts for lines only."""
    if not file.is_file() or (file.suffix == ".jsonl" and file.stat().st_size < size):
        raise RunFolderError(short(file))
    return file


def short(file: Path) -> str:
    """What is said of a file that lost rows."""
    return (
        f"{file} is shorter than the ledger says: it was changed or removed by hand; put it back, or give the command "
        "with --repair, which keeps all whole rows and plays the others again"
    )


def noted_files(folder: Path) -> list[Noted] | None:
    """The files the ledger knows; None where there is no ledger that can be read."""
    file = (folder / LEDGER).absolute()
    if not file.is_file() or file.is_symlink():
        return None
    try:
        # without a log nobody writes, and SQLite need not leave files of its own behind
        how = "mode=ro" if file.with_name(LEDGER + "-wal").exists() else "immutable=1"
        with closing(sqlite3.connect(f"{file.as_uri()}?{how}", uri=True, timeout=0)) as db:
            found: list[Noted] = db.execute("SELECT name, size, rows, closed FROM files").fetchall()
            return found if all(place(name)[0] for name, *_ in found) else None
    except (sqlite3.Error, UnicodeDecodeError):
        return None


def read_rows(path: str | Path) -> Iterator[Row]:
    """The rows of a run folder, accepted and rejected ones as they finished, then failed ones; or those of one file.

    Raises `RunFolderError` for a path that is neither, and for a line that is no row, naming file and line.
    """
    path = Path(path)
    if path.is_file():
        yield from rows_of(path)
        return
    if not path.is_dir():
        raise RunFolderError(f"{path} is no run folder and no file of rows")
    failed = {row.id: number for number, row in enumerate(_rows(path, "failed"))}
    for row in _rows(path, "rows"):
        failed.pop(row.id, None)  # it failed before
        yield row
    yield from (row for number, row in enumerate(_rows(path, "failed")) if failed.get(row.id) == number)


def _rows(folder: Path, stream: str) -> Iterator[Row]:
    for file in row_files(folder, stream):
        yield from rows_of(file, growing=True)


def rows_of(file: Path, growing: bool = False) -> Iterator[Row]:
    """One file's rows; in one that is `growing` a last line that is cut short is none yet: a run writes it, or was
    killed there."""
    number = 0
    try:
        for row in _values(file):
            number += 1
            if growing and isinstance(row, bytes) and not row.endswith(b"\n"):
                return
            yield Row.model_validate(orjson.loads(row) if isinstance(row, bytes) else row)
    except (ValidationError, ValueError) as error:
        raise RunFolderError(
            f"{file}, line {number} is no row of this version: {error}; synth with --repair sets it aside"
        ) from error
    except OSError as error:
        raise RunFolderError(f"{file} cannot be read: {error.strerror or error}") from error


def _values(file: Path) -> Iterator[Any]:
    if file.suffix == ".parquet":
        yield from parquet_rows(file)
    else:
        with file.open("rb") as lines:
            yield from lines


def digest(task: Task | BadRow) -> bytes:
    """What tells whether an id still stands for the same input row, 8 bytes."""
    if isinstance(task, BadRow):
        content: list[Any] = [task.error]
    else:
        content = [task.prompt, task.system, task.images, task.reference, task.start, task.meta]
    try:
        data = orjson.dumps(content, default=str, option=_SORTED)
    except TypeError:  # half a surrogate pair
        data = repr(content).encode("utf-8", "backslashreplace")
    return hashlib.blake2b(data, digest_size=8).digest()


def is_of(made: bytes, task: Task | BadRow, scrub: Callable[[str], str]) -> bool:
    """Whether a digest is of this input row: as it was given, or as a row keeps it."""
    if made == digest(task) or isinstance(task, BadRow):
        return made == digest(task)
    try:
        return made == digest(Task.model_validate_json(scrub(task.model_dump_json())))
    except ValueError:
        return False


_SORTED = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


def in_batches(values: Iterable[_T], most: int) -> Iterator[list[_T]]:
    """The values, so many at a time."""
    left = iter(values)
    while some := list(islice(left, most)):
        yield some


def pair_row(row: Row) -> dict[str, Any]:
    """An accepted row in TRL's conversational preference format, with what a reader wants beside it: the input row's
    own columns too, where they do not have a name of ours."""
    task, pair, last = row.task, row.pair, row.rounds[-1]
    if task is None or pair is None:
        raise RunFolderError(f"row {row.id} is accepted without a task or a pair")
    ours = {
        "id": row.id,
        "prompt": task.messages(),  # x itself, whatever p_t became (§2.5)
        "chosen": _answer(pair.chosen),
        "rejected": _answer(pair.rejected),
        **({"images": list(task.images)} if task.images else {}),
        "reward": row.reward,
        "chosen_score": pair.chosen_score,
        "rejected_score": pair.rejected_score,
        "rounds": len(row.rounds),
        "prompt_version": last.prompts.version,
        "target": row.models.get("target", ""),
        "judge": row.models.get("judge", ""),
    }
    return {**ours, **{name: value for name, value in task.meta.items() if name not in ours and name != "images"}}


def _answer(content: Any) -> Any:
    """A text as the assistant's message; any other content, such as a trajectory, as it is."""
    return [{"role": "assistant", "content": content}] if isinstance(content, str) else content


def judge_pair_row(row: Row) -> dict[str, Any] | None:
    """The last round's pair of judgments in TRL's format; None where no meta judge made one."""
    last = row.rounds[-1] if row.rounds else None
    pair = next((judgment.pair for judgment in last.judgments if judgment.pair), None) if last else None
    if last is None or pair is None or row.task is None:
        return None
    return {
        "id": f"{row.id} (judgment)",
        "prompt": list(pair.prompt),
        "chosen": [{"role": "assistant", "content": pair.chosen}],
        "rejected": [{"role": "assistant", "content": pair.rejected}],
        **({"images": list(row.task.images)} if row.task.images else {}),
        "margin": pair.margin,
        "prompt_version": last.prompts.version,
        "judge": row.models.get("judge", ""),
    }


def derived(stream: str, row: Row) -> dict[str, Any] | None:
    """What a finished row puts into `pairs` or `judge_pairs`; None where that is nothing."""
    if stream == "pairs":
        return pair_row(row) if row.outcome == "accepted" else None
    return judge_pair_row(row) if row.outcome != "failed" else None
