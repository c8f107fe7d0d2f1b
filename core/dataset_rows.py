"""Rows of a `datasets` split with its images as they are encoded.

A split decodes its images when a row is read: one that is broken would end the reading, and what was a photo of a megabyte
would be encoded again as a PNG of five. So images stay bytes, which the other forms of images are too (`images.py`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from anyprefer.core.errors import InputError
from anyprefer.core.image_files import read_file

AT_ONCE = 16
"""Rows read at a time where they hold images."""


def split_rows(split: Any, own: bool) -> Iterator[Any]:
    """The rows of a split; one with a format or transform of its own gives them as that says.

    An image that is a path becomes the file's bytes where the split is the caller's `own`; of others' the path stays, and is
    followed to where images may come from alone. One that cannot be read is an `InputError` in its place.
    """
    features = getattr(split, "features", None)
    columns = [name for name, feature in (features or {}).items() if _holds_images(feature)]
    if not columns or getattr(split, "format", {"type": None})["type"]:
        yield from split
        return
    for row in _undecoded(split):
        yield {**row, **{name: _each(row[name], own) for name in columns}}


def _holds_images(feature: Any) -> bool:
    from datasets import Image

    inner = feature[0] if isinstance(feature, list) else getattr(feature, "feature", None)
    return isinstance(feature, Image) or isinstance(inner, Image)


def _undecoded(split: Any) -> Iterator[Any]:
    if hasattr(split, "decode"):
        return iter(split.decode(False))
    tables = split.with_format("arrow").iter(batch_size=AT_ONCE)
    return itertools.chain.from_iterable(table.to_pylist() for table in tables)


def _each(value: Any, own: bool) -> Any:
    if isinstance(value, list):
        return [_each(one, own) for one in value]
    if not isinstance(value, Mapping) or value.get("bytes") is not None or not value.get("path"):
        return value
    path = value["path"]
    if "://" not in path:
        return _file(path) if own else value
    return _remote(value)


def _file(path: str) -> Any:
    try:
        return {"bytes": read_file(path)}
    except InputError as error:
        return error


def _remote(value: Any) -> Any:
    """An image of a hub's repository or an archive, which `datasets` alone can open."""
    from datasets import Image

    try:
        return Image().decode_example(value)
    except Exception as error:  # whatever a network, an archive or a decoder raises
        return InputError(f"image {value['path'][:200]!r} cannot be read: {error}; check it in the data set")
