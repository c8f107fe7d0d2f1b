"""GQA (Hudson and Manning 2019): questions made from scene graphs, one word each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from anyprefer.core.input_files import located_rows
from anyprefer.core.task import Task
from anyprefer.training.evaluation.benchmarks.image_questions import ImageQuestions
from anyprefer.training.evaluation.benchmarks.image_rows import Rows
from anyprefer.training.evaluation.rules import yes_no

_IMAGES = "hub:lmms-lab/GQA:testdev_balanced_images:testdev"


class Gqa(ImageQuestions):
    """The balanced test-dev questions."""

    name = "gqa"
    metric = "exact_match"
    description = (
        "GQA: balanced test-dev questions (Hudson and Manning 2019); right when the answer is the gold one but for case "
        "and punctuation. Folder gqa, columns id, question, answer, image (or imageId, a file images/ID.jpg), else "
        "lmms-lab/GQA"
    )
    rows = Rows("gqa", ("hub:lmms-lab/GQA:testdev_balanced_instructions:testdev",))

    def tasks_of(self, name: str, row: Mapping[str, Any]) -> Iterable[Task]:
        """One question."""
        yield Task(
            id=str(row["id"]),
            prompt=f"{row['question']}{yes_no.SHORT}",
            images=self._pictures(row),
            reference=row["answer"],
        )

    def is_correct(self, task: Task, answer: str) -> bool:
        """Whether it is the gold answer."""
        return _plain(answer) == _plain(str(task.reference))

    def _pictures(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        if row.get("image"):
            return self.rows.pictures(row["image"])
        if self.rows.home:
            return self.rows.pictures(f"{row['imageId']}.jpg")
        return self._of_hub[str(row["imageId"])]

    @cached_property
    def _of_hub(self) -> dict[str, tuple[str, ...]]:
        """The images by their ids, which the hub keeps apart from the questions."""
        rows = (row for _, row in located_rows(_IMAGES))
        return {str(row["id"]): self.rows.pictures(row["image"]) for row in rows}


def _plain(text: str) -> str:
    return re.sub(r"[^\w\s]", "", text).casefold().strip()


offers = Gqa()
