"""MME (Fu et al. 2023): two yes/no questions an image, in ten categories of perception and four of cognition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from anyprefer.core.results import EvalResult, Metric, Ratio
from anyprefer.core.task import Task
from anyprefer.core.values import stable_hash
from anyprefer.training.evaluation.benchmarks.image_questions import ImageQuestions
from anyprefer.training.evaluation.benchmarks.image_rows import Rows
from anyprefer.training.evaluation.rules import yes_no

PERCEPTION = (
    "existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR",
)  # fmt: skip
COGNITION = ("commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning")


def score(categories: Sequence[str]) -> Metric:
    """Σ over categories of 100 accuracy + 100 accuracy+, the share of images with both questions right."""
    parts = [
        Ratio(above={f"{category}: {right}": 100}, below={f"{category}: {of}": 1})
        for category in categories
        for right, of in (("right", "asked"), ("both", "images"))
    ]
    return Metric(parts=tuple(parts), highest=200 * len(categories))


class Mme(ImageQuestions):
    """All categories; P and C are undefined where one of theirs is missing."""

    name = "mme"
    description = (
        "MME: two yes/no questions an image (Fu et al. 2023); P of 2000 and C of 800 are 100 accuracy + 100 accuracy+ "
        "summed over ten and four categories; exactly yes or no, or one among the first four letters. Folder mme, columns "
        "question_id (the image's), question, answer, category, image, else lmms-lab/MME"
    )
    rows = Rows("mme", ("hub:lmms-lab/MME:test",))
    metrics: ClassVar[Mapping[str, Metric]] = {"P": score(PERCEPTION), "C": score(COGNITION), "in form": yes_no.FORM}

    def part(self, name: str, row: Mapping[str, Any]) -> str:
        """The category."""
        return str(row["category"])

    def tasks_of(self, name: str, row: Mapping[str, Any]) -> Iterable[Task]:
        """One question."""
        if row["category"] not in PERCEPTION + COGNITION:
            raise ValueError(f"category {row['category']!r} is none of MME's")
        image = f"{row['category']}/{row['question_id']}"
        yield Task(
            id=f"{image}-{stable_hash(row['question'])[:6]}",
            prompt=f"{str(row['question']).strip()}{yes_no.SHORT}",
            images=self.rows.pictures(row["image"]),
            reference=str(row["answer"]).strip().lower(),
            meta={"category": row["category"], "image": image},
        )

    def is_correct(self, task: Task, answer: str) -> bool:
        """By MME's rule."""
        return bool(yes_no.mme(answer) == task.reference)

    def tally(self, task: Task, answer: str) -> Mapping[str, float]:
        """Of the question alone."""
        kind = task.meta["category"]
        right = int(self.is_correct(task, answer))
        return {f"{kind}: asked": 1, f"{kind}: right": right, "asked": 1, "in_form": int(yes_no.in_form(answer))}

    def whole(self, tasks: Sequence[Task], found: EvalResult) -> EvalResult:
        """With the images whose two questions were both answered, counted at the first."""
        tallies = {task: dict(tally) for task, tally in found.tallies.items()}
        pairs = defaultdict[str, list[Task]](list)
        for task in tasks:
            pairs[task.meta["image"]].append(task)
        for pair in pairs.values():
            if len(pair) == 2 and all(task.id in tallies for task in pair):
                kind, both = pair[0].meta["category"], all(found.marks[task.id] for task in pair)
                tallies[pair[0].id] |= {f"{kind}: images": 1, f"{kind}: both": int(both)}
        return found.model_copy(update={"tallies": tallies})


offers = Mme()
