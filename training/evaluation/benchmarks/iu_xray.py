"""IU-Xray (Demner-Fushman et al. 2016): radiology reports of chest X-rays, R2Gen's split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from anyprefer.core.results import Metric
from anyprefer.core.task import Task
from anyprefer.training.evaluation.benchmarks.image_questions import ImageQuestions
from anyprefer.training.evaluation.benchmarks.image_rows import Rows
from anyprefer.training.evaluation.rules import report_texts


class IuXray(ImageQuestions):
    """The test reports, two images each; a mark is the same text after cleaning."""

    name = "iu_xray"
    metric = "exact_match"
    description = (
        "IU-Xray: reports of chest X-rays, test of R2Gen's split; BLEU-1..4 over all reports, ROUGE-L, and METEOR as NLTK "
        "has it without synonyms, not the Java program's. Folder iu_xray, columns split, id, report, image_path"
    )
    rows = Rows("iu_xray")
    metrics: ClassVar[Mapping[str, Metric]] = report_texts.METRICS
    max_tokens = 128

    def tasks_of(self, name: str, row: Mapping[str, Any]) -> Iterable[Task]:
        """One report of the test split."""
        if row["split"] == "test":
            yield Task(
                id=str(row["id"]),
                prompt="Write the findings of this chest X-ray as a radiology report.",
                images=self.rows.pictures(row["image_path"]),
                reference=row["report"],
            )

    def is_correct(self, task: Task, answer: str) -> bool:
        """Whether it is the reference."""
        return report_texts.cleaned(answer) == report_texts.cleaned(task.reference)

    def tally(self, task: Task, answer: str) -> Mapping[str, float]:
        """What the figures are made of."""
        return report_texts.counted(answer, task.reference)


offers = IuXray()
