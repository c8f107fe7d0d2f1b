"""Folders that the environment names.

`data:gsm8k/train.jsonl` is a file in the user's own data folder, ANYPREFER_DATA. What takes long to make (converted
weights, indexes) is kept in ANYPREFER_CACHE.
"""

from __future__ import annotations

import os
from pathlib import Path

from anyprefer.core.errors import InputError

VARIABLE = "ANYPREFER_DATA"
PREFIX = "data:"


def cache_folder() -> Path:
    """Where what takes long to make is kept: `ANYPREFER_CACHE`, or ~/.cache/anyprefer."""
    return Path(os.environ.get("ANYPREFER_CACHE") or Path.home() / ".cache" / "anyprefer")


def data_file(name: str) -> Path:
    """The file called `name` (with or without `data:`). Raises `InputError` where folder or file is missing."""
    name = name.removeprefix(PREFIX)
    folder = os.environ.get(VARIABLE)
    if not folder:
        raise InputError(
            f"{PREFIX}{name} is a file in your data folder, and {VARIABLE} names none: set it to that folder "
            "(docs/guides/reproduce.md, Data: which files, and where they are from)"
        )
    file = Path(folder) / name
    if not file.is_file():
        raise InputError(f"{VARIABLE} names {folder}, which has no file {name}")
    return file


def data_folder(name: str) -> Path:
    """The folder called `name` there. Raises `InputError` where it is missing."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        raise InputError(f"{name} is read from your data folder, and {VARIABLE} names none: set it to that folder")
    if not (Path(folder) / name).is_dir():
        raise InputError(f"{VARIABLE} names {folder}, which has no folder {name}")
    return Path(folder) / name


def has_data(name: str) -> bool:
    """Whether the data folder is set and has the file."""
    folder = os.environ.get(VARIABLE)
    return bool(folder) and (Path(folder or "") / name.removeprefix(PREFIX)).is_file()
