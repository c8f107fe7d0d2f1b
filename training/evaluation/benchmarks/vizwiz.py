"""VizWiz-VQA (Gurari et al. 2018): photos and questions of people who cannot see, ten answers each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from anyprefer.core.results import Metric, ratio
from anyprefer.core.task import Task
from anyprefer.training.evaluation.benchmarks.image_questions import ImageQuestions
from anyprefer.training.evaluation.benchmarks.image_rows import Rows
from anyprefer.training.evaluation.rules import yes_no
from anyprefer.training.evaluation.rules.vqa_words import vqa_accuracy

_ASKED = "\nWhen the provided information is insufficient, respond with 'Unanswerable'." + yes_no.SHORT


class VizWiz(ImageQuestions):
    """The validation questions; a mark is the full VQA accuracy of 1."""

    name = "vizwiz"
    metric = "fully agreed"
    description = (
        "VizWiz: photos of people who cannot see (Gurari et al. 2018); VQA accuracy is the mean of min(1, agreeing people "
        "of nine / 3) over the ten, after VQA's normalisation. Folder vizwiz, columns question, answers, image, "
        "question_id, else lmms-lab/VizWiz-VQA"
    )
    rows = Rows("vizwiz", ("hub:lmms-lab/VizWiz-VQA:val",))
    metrics: ClassVar[Mapping[str, Metric]] = {"VQA accuracy": ratio("agreement", "asked")}

    def tasks_of(self, name: str, row: Mapping[str, Any]) -> Iterable[Task]:
        """One question."""
        golds = [str(one["answer"] if isinstance(one, Mapping) else one) for one in row["answers"]]
        yield Task(
            id=str(row.get("question_id") or row["image"]),
            prompt=f"{row['question']}{_ASKED}",
            images=self.rows.pictures(row["image"]),
            reference=golds,
        )

    def is_correct(self, task: Task, answer: str) -> bool:
        """Whether enough people agree for the full mark."""
        return vqa_accuracy(answer, task.reference) == 1

    def tally(self, task: Task, answer: str) -> Mapping[str, float]:
        """How far people agree."""
        return {"asked": 1, "agreement": vqa_accuracy(answer, task.reference)}


offers = VizWiz()
