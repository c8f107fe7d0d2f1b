"""The runs that a page is about, with what it needs to know of each beside its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from anyprefer.core.images import roots_of
from anyprefer.core.records import Row
from anyprefer.graph.runs.parts import RunPart, run_parts
from anyprefer.graph.runs.row_files import read_rows

DEFAULT_THRESHOLD = 8.0


@dataclass(frozen=True)
class Shown:
    """One run folder."""

    part: RunPart
    name: str
    """`iteration 2`, or the folder's own name."""

    @property
    def threshold(self) -> float:
        """τ, 1..10."""
        told = self.part.settings.get("threshold")
        return float(told) if isinstance(told, int | float) else DEFAULT_THRESHOLD

    def rows(self) -> Iterator[Row]:
        """Its rows, failed ones last. Raises `RunFolderError` for a damaged folder."""
        return read_rows(self.part.folder)

    def image_roots(self) -> list[Path]:
        """The folders that images of its rows may lie in: its input's, its own, the working directory, `image_roots`."""
        source = Path(str(self.part.note.get("source") or ""))
        told = [Path(str(root)).expanduser() for root in self.part.settings.get("image_roots") or ()]
        return roots_of(source.parent if source.is_file() else None, [self.part.folder, *filter(Path.is_dir, told)])


def shown_parts(path: str | Path) -> list[Shown]:
    """The runs in a folder, in order. Raises `RunFolderError` for one that holds none."""
    parts = run_parts([path])
    alone = parts[0].folder == Path(path)
    return [Shown(part, part.source if alone else f"iteration {part.iteration}") for part in parts]
