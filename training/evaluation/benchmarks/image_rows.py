"""Rows of an image benchmark: from the user's data folder where it has them, else from the hub.

A benchmark's folder in ANYPREFER_DATA holds its rows as .jsonl, .json, .csv, .tsv or .parquet with the columns of the
data set on the hub; what a row says of an image may be a path, from the folder or its `images`. Images that come as bytes
are kept in the cache, so that a benchmark of thousands takes no memory for them.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyprefer.core.data_folder import VARIABLE, cache_folder
from anyprefer.core.errors import InputError
from anyprefer.core.images import images_of
from anyprefer.core.input_files import kind_of, located_rows

URLS = ("http://", "https://", "data:")
KINDS = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".jsonl.gz")


@dataclass(frozen=True)
class Rows:
    """Where a benchmark's rows are."""

    folder: str
    """In the data folder."""
    hub: tuple[str, ...] = ()
    """`hub:ID:SPLIT` or `hub:ID:CONFIG:SPLIT`, read one after the other; empty: not on the hub in this form."""
    files: str = "*"
    """Which of the folder's files, as a pattern."""

    def read(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Each row with its file's name, without ending, or the hub's split.

        Raises `InputError` where there are none, and for a row that is none.
        """
        for name, source in self._sources():
            for where, row in located_rows(source):
                if not isinstance(row, Mapping):
                    raise row if isinstance(row, InputError) else InputError(f"{where}: no object with columns")
                yield name, row

    def check(self) -> None:
        """Raises `InputError` where there are neither files nor a data set on the hub; the hub is not asked."""
        self._sources()

    @property
    def home(self) -> Path | None:
        """The benchmark's folder, where the user has it."""
        folder = Path(os.environ.get(VARIABLE) or os.devnull) / self.folder
        return folder if folder.is_dir() else None

    def _sources(self) -> list[tuple[str, str | Path]]:
        home = self.home
        files = sorted(file for file in home.glob(self.files) if kind_of(file) in KINDS) if home else []
        if files:
            return [(file.name.partition(".")[0], file) for file in files]
        if self.hub:
            return [(source.rpartition(":")[2], source) for source in self.hub]
        raise InputError(
            f"no rows in {self.folder}/{self.files} of the data folder, and no data set on the hub has this form; set "
            f"{VARIABLE} to a folder that has them (docs/vision.md says the columns)"
        )

    def pictures(self, given: Any) -> tuple[str, ...]:
        """The images a row's column holds, as a task takes them. Raises `InputError` for a path out of the folder."""
        home = self.home
        placed = [self._placed(one) for one in given] if isinstance(given, list | tuple) else self._placed(given)
        found = images_of(placed, [home.resolve()] if home else None)
        if not found:
            raise InputError(f"{self.folder}: a row has no image but {type(given).__name__}")
        return tuple(_kept(one) if one.startswith("data:") else one for one in found)

    def _placed(self, given: Any) -> Any:
        """A path starts from the benchmark's own folder, or its `images`."""
        home = self.home
        if home is None or not isinstance(given, str) or given.startswith(URLS):
            return given
        return str(home / given if (home / given).exists() else home / "images" / given)


def _kept(url: str) -> str:
    """A `data:` URL as a file of the cache, named by its content."""
    head, _, coded = url.partition(",")
    data = base64.b64decode(coded)
    name = hashlib.sha256(data).hexdigest()
    file = cache_folder() / "images" / name[:2] / f"{name}.{head.partition('/')[2].partition(';')[0]}"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f"{file.name}.{os.getpid()}")
        part.write_bytes(data)
        part.replace(file)
    return str(file)
