"""The rows of runs as exported pairs, in one pass: what a row holds goes to its place and is then forgotten."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anyprefer.core.errors import InputError
from anyprefer.core.images import roots_of
from anyprefer.core.pictures import WEB
from anyprefer.core.records import Row
from anyprefer.graph.runs.parts import RunPart
from anyprefer.graph.runs.row_files import read_rows
from anyprefer.training.evaluation.judge_accuracy import GivenAnswers
from anyprefer.training.export.exported_pair import ExportedPair, exported_pair
from anyprefer.training.export.pictures import Pictures
from anyprefer.training.export.provenance import provenance_row, public, short_paths
from anyprefer.training.export.tally import Tally


@dataclass
class Gathered:
    """Filled by reading `rows` to their end."""

    parts: Sequence[RunPart]
    pictures: Pictures
    image_roots: Sequence[str] = ()
    tally: Tally = field(default_factory=Tally)
    pairs: list[ExportedPair] = field(default_factory=list)
    unreadable: list[tuple[ExportedPair, str]] = field(default_factory=list)
    """Pairs whose images cannot be read, and why."""

    def rows(self) -> Iterator[dict[str, Any]]:
        """The provenance of each task."""
        for part in self.parts:
            roots = roots_of(part.folder, [*_roots(part), *self.image_roots])
            for row in read_rows(part.folder):
                yield self._take(row, part, roots)

    def _take(self, row: Row, part: RunPart, roots: Sequence[Path]) -> dict[str, Any]:
        name, flaw = self._name(row, part), ""
        self.tally.add(row)
        kept = dict[str, str]()
        for image in row.task.images if row.task else ():
            try:
                kept[image] = self.pictures.keep(image, roots, part.folder)
            except InputError as error:
                flaw = flaw or str(error)
                kept[image] = "(an image that could not be read)"
        if row.outcome == "accepted":
            pair = self._pair(
                row, part, name, [] if flaw or not row.task else [kept[image] for image in row.task.images]
            )
            if flaw:
                self.unreadable.append((pair, flaw))
            else:
                self.pairs.append(pair)
        return provenance_row(row, part, name, kept)

    def _pair(self, row: Row, part: RunPart, name: str, images: Sequence[str]) -> ExportedPair:
        own = dict(row.task.meta) if row.task else {}
        if row.models.get("target", "").startswith(GivenAnswers.name):
            del own[GivenAnswers.column]  # what the target answered from
        pair = exported_pair(row, part, name, images, own)
        return dataclasses.replace(
            pair,
            prompt=tuple(public(list(pair.prompt))),
            marked=tuple(public(list(pair.marked))),
            chosen=public(pair.chosen),
            rejected=public(pair.rejected),
            own=public(dict(pair.own)),
            judge=short_paths(pair.judge),
            chosen_model=short_paths(pair.chosen_model),
            rejected_model=short_paths(pair.rejected_model),
        )

    def _name(self, row: Row, part: RunPart) -> str:
        """The row's id; with what it is of where there are several runs or iterations."""
        many = [one.source for one in self.parts]
        before = [part.source] if len(set(many)) > 1 else []
        before += [str(part.iteration)] if many.count(part.source) > 1 else []
        return "/".join([*before, row.id])


def _roots(part: RunPart) -> list[Path]:
    """Where the run's images may lie: beside its input, and in its `image_roots`."""
    told = [Path(root) for root in part.settings.get("image_roots") or ()]
    source = part.note.get("source") or ""
    beside = Path(source).parent if isinstance(source, str) and source and not source.startswith(WEB) else None
    return [root for root in [*told, *([beside] if beside else [])] if root.is_dir()]


def own_of(pairs: Sequence[ExportedPair], further: Mapping[str, Mapping[str, Any]]) -> list[ExportedPair]:
    """The pairs with further columns by id."""
    return [dataclasses.replace(one, own={**one.own, **further.get(one.id, {})}) for one in pairs]
