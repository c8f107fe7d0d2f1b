"""POPE (Li et al. 2023): is an object there, half yes, in three sets by what is asked for in vain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from anyprefer.core.results import Metric
from anyprefer.core.task import Task
from anyprefer.training.evaluation.benchmarks.image_questions import ImageQuestions
from anyprefer.training.evaluation.benchmarks.image_rows import Rows
from anyprefer.training.evaluation.rules import yes_no

SETS = ("random", "popular", "adversarial")


class Pope(ImageQuestions):
    """All three sets; `accuracy` is by the strict rule over all."""

    name = "pope"
    description = (
        "POPE: whether an object is in a COCO image (Li et al. 2023), sets random, popular and adversarial; right when "
        "the answer says yes or no and not the other; F1 of each set and their mean also by LLaVA's rule, by which all "
        "but no and not is yes. Folder pope, columns question, answer, image, category, else lmms-lab/POPE"
    )
    rows = Rows("pope", ("hub:lmms-lab/POPE:test",))
    metrics: ClassVar[Mapping[str, Metric]] = {
        "mean F1 (llava)": yes_no.f1(*(f"{kind}, llava" for kind in SETS)),
        "mean F1 (strict)": yes_no.f1(*SETS),
        **{f"F1 {kind} (llava)": yes_no.f1(f"{kind}, llava") for kind in SETS},
        "accuracy (llava)": yes_no.accuracy(*(f"{kind}, llava" for kind in SETS)),
        "said yes": yes_no.said_yes(*SETS),
        "in form": yes_no.FORM,
    }

    def part(self, name: str, row: Mapping[str, Any]) -> str:
        """The set, by its column or the file's name (`coco_pope_random`)."""
        return str(row.get("category") or name.rpartition("_")[2])

    def tasks_of(self, name: str, row: Mapping[str, Any]) -> Iterable[Task]:
        """One question."""
        kind, asked = self.part(name, row), row.get("question") or row["text"]
        if kind not in SETS:
            raise ValueError(f"category {kind!r} is none of {', '.join(SETS)}")
        yield Task(
            id=f"{kind}-{row['question_id']}",
            prompt=f"{asked}{yes_no.SHORT}",
            images=self.rows.pictures(row["image"]),
            reference=str(row.get("answer") or row["label"]).strip().lower(),
            meta={"category": kind},
        )

    def is_correct(self, task: Task, answer: str) -> bool:
        """By the strict rule."""
        return bool(yes_no.strict(answer) == task.reference)

    def tally(self, task: Task, answer: str) -> Mapping[str, float]:
        """By both rules."""
        kind, gold = task.meta["category"], task.reference
        return {
            **yes_no.counted(kind, gold, yes_no.strict(answer)),
            **yes_no.counted(f"{kind}, llava", gold, yes_no.pope(answer)),
            "asked": 1,
            "in_form": int(yes_no.in_form(answer)),
        }


offers = Pope()
