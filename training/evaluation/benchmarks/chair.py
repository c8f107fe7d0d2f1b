"""CHAIR on COCO (Rohrbach et al. 2018): what descriptions name that is not there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from anyprefer.core.results import Metric, ratio
from anyprefer.core.task import Task
from anyprefer.training.evaluation.benchmarks.image_questions import ImageQuestions
from anyprefer.training.evaluation.benchmarks.image_rows import Rows
from anyprefer.training.evaluation.rules import coco_mentions, mentions


class Chair(ImageQuestions):
    """Descriptions of the images that the folder lists; a mark says that nothing wrong is named."""

    name = "chair"
    metric = "nothing wrong named"
    description = (
        "CHAIR on COCO images (Rohrbach et al. 2018): named objects of the 80 that are neither segmented nor in people's "
        "captions; CHAIR-i is of mentions, CHAIR-s of descriptions, beside recall, F1, repeats and words. Folder chair, "
        "columns image, objects (COCO's names) and captions, for the images you choose: results depend on which"
    )
    rows = Rows("chair")
    metrics: ClassVar[Mapping[str, Metric]] = {
        **mentions.METRICS,
        "words": ratio("words", "captions", better="neither", highest=None),
    }
    max_tokens = 512

    def tasks_of(self, name: str, row: Mapping[str, Any]) -> Iterable[Task]:
        """One image."""
        given = row["objects"] if "objects" in row else row["gt_object"]
        yield Task(
            id=str(row.get("image_id") or row["image"]),
            prompt="Please describe this image in detail.",
            images=self.rows.pictures(row["image"]),
            reference=sorted(coco_mentions.gold(given, row.get("captions") or ())),
        )

    def is_correct(self, task: Task, answer: str) -> bool:
        """Whether all it names is there."""
        return set(coco_mentions.named(answer)) <= set(task.reference)

    def tally(self, task: Task, answer: str) -> Mapping[str, float]:
        """Mentions, and the answer's length."""
        return {**mentions.counted(coco_mentions.named(answer), task.reference), "words": len(answer.split())}


offers = Chair()
