"""What `anyprefer export` makes a data set with, and what it came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from anyprefer.graph.runs.parts import RunPart
from anyprefer.training.export.exported_pair import ExportedPair
from anyprefer.training.export.tally import Tally

Dedup = Literal["none", "exact", "minhash", "embedding"]


@dataclass(frozen=True)
class Options:
    """How a data set is made."""

    dedup: Dedup = "minhash"
    """Which duplicates are removed; each kind includes those before it. `embedding` compares with benchmarks by meaning
    too."""
    against: Sequence[Path] = ()
    """Files of benchmarks' questions; pairs that hold one are removed."""
    test_share: float = 0.0
    """Share of questions that go to the split `test`, 0..1."""
    judge_eval: Sequence[Path] = ()
    """Folders of `judge-eval`, for the judge's accuracy in the card."""
    image_roots: Sequence[str] = ()
    """Further folders that the runs' images may come from."""
    license: str = ""
    """The data set's licence as the hub names it."""
    language: Sequence[str] = ()
    """Codes such as `en`."""
    repo: str = ""
    """ORG/NAME on the hub, for the snippets."""
    command: str = ""
    """The command that exports, for the card."""


@dataclass(frozen=True)
class Removed:
    """A pair that is not in the data set."""

    pair: ExportedPair
    why: str
    """`exact`, `minhash` or `embedding` (a duplicate), `n-gram` or `benchmark embedding` (a benchmark's question),
    `image` (unreadable)."""
    like: str
    """The id of the pair it is a duplicate of, the benchmark's file and line, or what is wrong with the image."""
    similarity: float | None = None
    """0..1."""


@dataclass(frozen=True)
class DataSet:
    """All of a data set, for its card."""

    folder: Path
    """Where it is being written."""
    name: str
    parts: Sequence[RunPart]
    options: Options
    tally: Tally
    splits: Mapping[str, list[ExportedPair]]
    """Pairs of texts by split; `train` is first."""
    trajectories: Sequence[ExportedPair] = ()
    removed: Sequence[Removed] = ()
    configurations: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The file of each split of each configuration, from the folder on."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Pairs that a configuration cannot hold, by its name."""
    features: Mapping[str, Any] = field(default_factory=dict)
    """Each configuration's columns, as `datasets.Features.from_dict` takes them."""
    notes: Sequence[str] = ()
    """Further lines of the card."""

    @property
    def pairs(self) -> list[ExportedPair]:
        """Those of texts, of all splits."""
        return [one for pairs in self.splits.values() for one in pairs]

    @property
    def scale(self) -> int:
        """How many pairs there are."""
        return len(self.pairs) + len(self.trajectories)

    @property
    def gone(self) -> Counter[str]:
        """How many were removed, by why."""
        return Counter(one.why for one in self.removed)
