"""Questions about radiology images: VQA-RAD and SLAKE, by their published splits, and VQA-RAD by image.

Rows are read from the folder ANYPREFER_DATA names. Of VQA-RAD's published test every image is in train too, so what is
right there may be remembered: claims rest on `vqa_rad_by_image`, whose splits of train and test together share no image.
A `…_blank` family asks the same with grey images: what the wording alone gives away.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from anyprefer.core.data_folder import data_folder
from anyprefer.core.errors import InputError
from anyprefer.core.input_files import located_rows
from anyprefer.core.results import ratio
from anyprefer.core.task import Task
from anyprefer.core.values import stable_hash
from anyprefer.training.evaluation.controls import with_images
from anyprefer.training.evaluation.family import Family, Make, Split
from anyprefer.training.evaluation.rules import llava_med
from anyprefer.training.evaluation.rules.vqa_words import normal

_RAD, _BY_IMAGE, _SLAKE = "vqa_rad", "vqa_rad_by_image", "slake"
_FILES = {
    _RAD: {"train": "train*", "heldout": "test*"},
    _SLAKE: {"train": "train*", "dev": "valid*", "heldout": "test*"},
}
"""By data set and split, the files' names, whatever their kind."""


def vqa_rad(n: int, seed: int, split: Split) -> list[Task]:
    """VQA-RAD by its published split (Lau et al. 2018)."""
    return _drawn(_RAD, list(_rows(_RAD, split)), n, seed, split)


def vqa_rad_by_image(n: int, seed: int, split: Split) -> list[Task]:
    """All of VQA-RAD, by a hash of the images' names: two in ten are held out, one is `dev`, three are `train`. The other
    four are what models are built from here (`base_questions`), so that these err on `train` as on what is held out."""
    return _drawn(_BY_IMAGE, list(_of_images(split)), n, seed, split)


def base_questions(*splits: str) -> list[Task]:
    """All questions of these splits, `base` among them, in the data's order."""
    return [_task(_BY_IMAGE, row, split) for split in splits for row in _of_images(split)]


def _of_images(split: str) -> Iterator[dict[str, Any]]:
    return (row for part in ("train", "heldout") for row in _rows(_RAD, part) if _split_of(row["image"]) == split)


def slake(n: int, seed: int, split: Split) -> list[Task]:
    """SLAKE's English questions by its published split (Liu et al. 2021)."""
    return _drawn(_SLAKE, [row for row in _rows(_SLAKE, split) if row["language"] == "en"], n, seed, split)


def _rows(name: str, split: str) -> Iterator[dict[str, Any]]:
    """The rows of a split, with one set of names for what the two data sets say."""
    files = _FILES[name]
    if split not in files:
        raise InputError(f"{name} has no split {split!r}; there are {', '.join(files)}")
    folder = data_folder(name)
    found = sorted(file for file in folder.glob(files[split]) if file.is_file())
    if not found:
        raise InputError(f"{folder} has no file {files[split]}; {name} is read from train and test files there")
    for file in found:
        for where, row in located_rows(file):
            yield _row(where, row, folder)


def _row(where: str, row: Any, folder: Path) -> dict[str, Any]:
    if not isinstance(row, Mapping):
        raise row if isinstance(row, InputError) else InputError(f"{where}: no object with columns")
    image = row.get("image_name") or row.get("img_name")
    lacking = [name for name in ("question", "answer", "answer_type") if row.get(name) is None]
    if lacking or not image:
        raise InputError(f"{where}: no column {(lacking or ['image_name'])[0]!r}; it has: {', '.join(map(str, row))}")
    return {
        "id": str(row.get("qid") or where),
        "question": str(row["question"]).strip(),
        "answer": str(row["answer"]).strip(),
        "closed": str(row["answer_type"]).strip().upper() == "CLOSED",  # VQA-RAD writes "CLOSED " too
        "image": str(image),
        "path": str(next((folder / place / image for place in ("images", "imgs") if (folder / place).is_dir()), image)),
        "language": str(row.get("q_lang") or "en"),
        "organ": str(row.get("image_organ") or row.get("location") or ""),
    }


def _split_of(image: str) -> str:
    tenth = int(stable_hash(image)[:8], 16) % 10
    return "heldout" if tenth < 2 else "dev" if tenth == 2 else "base" if tenth < 7 else "train"


def _drawn(family: str, rows: list[dict[str, Any]], n: int, seed: int, split: Split) -> list[Task]:
    """`n` of the rows, or all where there are fewer."""
    random.Random(seed).shuffle(rows)
    return [_task(family, row, split) for row in rows[:n]]


def _task(family: str, row: Mapping[str, Any], split: str) -> Task:
    return Task(
        id=f"{family}-{split}-{row['id']}",
        prompt=row["question"],
        images=(row["path"],),
        reference=row["answer"],
        meta={"closed": row["closed"], "image": row["image"], "organ": row["organ"]},
    )


def _is_right(task: Task, answer: str) -> bool:
    if task.meta["closed"]:
        return llava_med.strict_right(answer, task.reference)
    return normal(answer) == normal(task.reference)


def _counted(task: Task, answer: str) -> dict[str, float]:
    return {**llava_med.counted(answer, task.reference, task.meta["closed"]), "words": len(answer.split()), "asked": 1}


def _blank(make: Make) -> Make:
    return lambda n, seed, split: with_images(make(n, seed, split), "blank")


def _family(name: str, make: Make, what: str, tasks: int) -> Family:
    return Family(
        name,
        make,
        _is_right,
        f"{what}; accuracy is by strict rules (closed: yes or no by word, else the same words; open: the same words), "
        "beside closed accuracy and open recall by LLaVA-Med's published rule and strictly",
        tally=_counted,
        metrics={**llava_med.METRICS, "words": ratio("words", "asked", better="neither", highest=None)},
        max_tokens=32,
        tasks=tasks,
    )


_SEEN = (
    _family(_RAD, vqa_rad, "VQA-RAD by its published split, whose test images are all in train", 451),
    _family(_BY_IMAGE, vqa_rad_by_image, "VQA-RAD with images held out", 1000),
    _family(_SLAKE, slake, "SLAKE's English questions", 1061),
)
MEDICAL = {family.name: family for family in _SEEN} | {
    f"{family.name}_blank": replace(
        family,
        name=f"{family.name}_blank",
        make=_blank(family.make),
        description=f"{family.description}; the images are blank, a text-only control",
    )
    for family in _SEEN
}
"""By name."""
