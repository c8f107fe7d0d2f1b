"""ScienceQA's questions with an image (Lu et al. 2022)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from anyprefer.core.results import Metric, ratio
from anyprefer.core.task import Task
from anyprefer.core.values import stable_hash
from anyprefer.training.evaluation.benchmarks.image_questions import ImageQuestions
from anyprefer.training.evaluation.benchmarks.image_rows import Rows
from anyprefer.training.evaluation.rules.choices import LETTERS, chosen, listed


class ScienceQaImages(ImageQuestions):
    """The test questions that have an image."""

    name = "science_qa"
    description = (
        "ScienceQA-IMG: test questions with an image (Lu et al. 2022), multiple choice; right by the letter the answer "
        "begins with or says, or the choice's whole text (LLaVA's rule). Folder science_qa, columns question, choices, "
        "answer (its place from 0), hint, image, else lmms-lab/ScienceQA"
    )
    rows = Rows("science_qa", ("hub:lmms-lab/ScienceQA:ScienceQA-IMG:test",))
    metrics: ClassVar[Mapping[str, Metric]] = {"in form": ratio("in_form", "asked")}

    def tasks_of(self, name: str, row: Mapping[str, Any]) -> Iterable[Task]:
        """One question, none without an image."""
        if not row.get("image"):
            return
        pictures = self.rows.pictures(row["image"])
        hint = str(row.get("hint") or "")
        yield Task(
            id=str(row.get("id") or stable_hash([row["question"], row["choices"], row.get("hint"), pictures])[:12]),
            prompt=listed(row["question"], row["choices"], f"Context: {hint}" if hint else ""),
            images=pictures,
            reference=LETTERS[int(row["answer"])],
            meta={"choices": list(row["choices"])},
        )

    def is_correct(self, task: Task, answer: str) -> bool:
        """By the choice it names."""
        return bool(chosen(answer, task.meta["choices"]) == task.reference)

    def tally(self, task: Task, answer: str) -> Mapping[str, float]:
        """Whether it names one."""
        return {"asked": 1, "in_form": int(bool(chosen(answer, task.meta["choices"])))}


offers = ScienceQaImages()
