"""Runs as one folder that trainers load as it is (`anyprefer export`).

| in the folder | for |
|---|---|
| `default/` | TRL, axolotl, OpenRLHF |
| `conversations/` | open-instruct, TRL's RewardTrainer, RewardBench |
| `files/` | LLaMA-Factory, ms-swift |
| `trajectories/` | trainers of policies |
| `provenance/` | one row a task, however it ended |
| `removed.jsonl` | pairs that were left out, with why |
| `README.md` | the card |
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from anyprefer.core.errors import InputError, RunFolderError
from anyprefer.core.secrets import without_secrets
from anyprefer.core.values import stable_hash
from anyprefer.graph.runs.parts import run_parts
from anyprefer.training.export.columns import own_columns
from anyprefer.training.export.contamination import Question, contaminated, questions
from anyprefer.training.export.data_card import data_card
from anyprefer.training.export.duplicates import Encoder, duplicates
from anyprefer.training.export.exported import DataSet, Options, Removed
from anyprefer.training.export.exported_pair import ExportedPair
from anyprefer.training.export.gather import Gathered, own_of
from anyprefer.training.export.judge_figures import measured
from anyprefer.training.export.pictures import Pictures
from anyprefer.training.export.provenance import COLUMNS
from anyprefer.training.export.tables import (
    GROUP,
    IMAGE_GROUP,
    Description,
    conversation_columns,
    conversation_row,
    default_columns,
    default_row,
    write_table,
)
from anyprefer.training.export.trainer_files import write_lines, write_trainer_files
from anyprefer.training.export.trajectory_table import write_trajectories

REMOVED, CARD = "removed.jsonl", "README.md"
Row = Callable[[ExportedPair], dict[str, Any]]


def export(
    runs: Sequence[str | Path],
    folder: str | Path,
    options: Options = Options(),  # noqa: B008 - frozen
    *,
    further: Mapping[str, Mapping[str, Any]] | None = None,
    removed: Sequence[Removed] = (),
) -> DataSet:
    """Makes the folder, or replaces one that `export` made before; it is there whole or not at all.

    `runs` are folders of `synth` and `iterate`. `further` are own columns by pair id, `removed` is told beside what is
    removed here. Raises `RunFolderError` and `InputError` naming what cannot be read, and where no pair is left.
    """
    to = Path(folder)
    _check_place(to)
    measured(options.judge_eval)  # a wrong folder shows at once
    asked = questions(options.against)
    fresh = to.with_name(to.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        made = _written(runs, fresh, to, options, asked, further or {}, removed)
        shutil.rmtree(to, ignore_errors=True)
        fresh.rename(to)
    except BaseException:
        with suppress(OSError):
            shutil.rmtree(fresh)
        raise
    return made


def _check_place(to: Path) -> None:
    if to.is_symlink() or (to.exists() and not to.is_dir()):
        raise RunFolderError(f"{to} is no folder; name another with --out")
    if to.is_dir() and any(to.iterdir()) and not ((to / REMOVED).is_file() and (to / "provenance").is_dir()):
        raise RunFolderError(f"{to} holds something else than an exported data set; name another folder with --out")


def _written(
    runs: Sequence[str | Path],
    folder: Path,
    to: Path,
    options: Options,
    asked: Sequence[Question],
    further: Mapping[str, Mapping[str, Any]],
    before: Sequence[Removed],
) -> DataSet:
    gathered = Gathered(run_parts(runs), Pictures(folder / "files"), options.image_roots)
    write_table(folder / "provenance" / "tasks.parquet", COLUMNS, gathered.rows())
    pairs = own_of(gathered.pairs, further)
    removed = [*before, *(Removed(pair, "image", flaw) for pair, flaw in gathered.unreadable)]
    removed += _cleaned(pairs, options, asked)
    gone = {one.pair.id for one in removed}
    left = [one for one in pairs if one.id not in gone]
    if not left:
        raise InputError(
            f"no pair is left to export: {gathered.tally.outcomes['accepted']} of "
            f"{gathered.tally.outcomes.total()} tasks were accepted and {len(removed)} pairs removed; play more tasks, "
            "or lower the threshold"
        )
    texts, others = [one for one in left if one.is_text], [one for one in left if not one.is_text]
    made = _Tables(folder, gathered.pictures)
    splits = _split(texts, options.test_share)
    left_out = made.texts(splits) if texts else {}
    notes = [made.trajectories(others)] if others else []
    made.configurations["provenance"] = {"tasks": "provenance/tasks.parquet"}
    made.features["provenance"] = COLUMNS
    write_lines(folder / REMOVED, map(_removed_line, removed))
    data = DataSet(
        folder, to.name, gathered.parts, options, gathered.tally, splits, others, removed, made.configurations, left_out,
        made.features, list(filter(None, notes)),
    )  # fmt: skip
    (folder / CARD).write_text(without_secrets(data_card(data)), encoding="utf-8")
    return data


def _cleaned(pairs: Sequence[ExportedPair], options: Options, asked: Sequence[Question]) -> list[Removed]:
    """Duplicates and benchmarks' questions among the pairs of texts."""
    texts = [one for one in pairs if one.is_text]
    found = duplicates(texts, options.dedup, _encoder)
    gone = {one.pair.id for one in found}
    meaning = _encoder if options.dedup == "embedding" else None
    return found + contaminated([one for one in texts if one.id not in gone], asked, meaning)


def _encoder() -> Encoder:
    from anyprefer.models.local.embed import load_encoder

    return load_encoder()


def _split(pairs: Sequence[ExportedPair], test_share: float) -> dict[str, list[ExportedPair]]:
    """By question, so that no question is in both; the same ones each time."""
    train, test = list[ExportedPair](), list[ExportedPair]()
    for one in pairs:
        drawn = int(stable_hash([one.asked, list(one.images)])[:8], 16) / 2**32
        (test if drawn < test_share else train).append(one)
    return {"train": train, **({"test": test} if test else {})}


class _Tables:
    """Writes configurations and remembers what was written."""

    def __init__(self, folder: Path, pictures: Pictures) -> None:
        self.folder = folder
        self.pictures = pictures
        self.configurations: dict[str, dict[str, str]] = {}
        self.features: dict[str, Description] = {}

    def table(self, name: str, splits: Mapping[str, list[ExportedPair]], columns: Description, row: Row) -> None:
        """One Parquet file a split."""
        for split, pairs in splits.items():
            path = f"{name}/{split}.parquet"
            group = IMAGE_GROUP if "images" in columns else GROUP
            write_table(self.folder / path, columns, map(row, pairs), group)
            self.configurations.setdefault(name, {})[split] = path
        self.features[name] = columns

    def trajectories(self, pairs: Sequence[ExportedPair]) -> str:
        """What policies did; returns a line for the card, if any."""
        columns, note = write_trajectories(self.folder / "trajectories", pairs)
        self.configurations["trajectories"] = {"train": "trajectories/preferences.parquet"}
        self.features["trajectories"] = columns
        return note

    def texts(self, splits: Mapping[str, list[ExportedPair]]) -> dict[str, int]:
        """All that pairs of texts are written as; returns how many of them a place cannot hold, by its name."""
        pairs = [one for some in splits.values() for one in some]
        types, own = own_columns(pairs)
        columns = default_columns(types, any(one.images for one in pairs))
        self.table("default", splits, columns, lambda one: default_row(one, own[one.id], self.pictures))
        plain = {split: [one for one in some if not one.images] for split, some in splits.items()}
        plain = {split: some for split, some in plain.items() if some}
        told = [one for some in plain.values() for one in some]
        if told:
            margins = all(one.margin is not None for one in told)
            self.table("conversations", plain, conversation_columns(margins), conversation_row)
        factory = write_trainer_files(self.folder / "files", dict(splits))
        return {"conversations": len(pairs) - len(told), "files/train.jsonl": factory}


def _removed_line(one: Removed) -> dict[str, Any]:
    pair = one.pair
    return {
        "id": pair.id, "source": pair.source, "iteration": pair.iteration, "why": one.why, "like": one.like,
        "similarity": one.similarity, "prompt": list(pair.prompt), "chosen": pair.chosen, "rejected": pair.rejected,
        "reward": pair.reward, "own": dict(pair.own),
    }  # fmt: skip
