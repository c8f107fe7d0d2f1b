"""MMBench (Liu et al. 2024): multiple choice, right when it is so in every rotation of the choices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from anyprefer.core.results import EvalResult, Metric, ratio
from anyprefer.core.task import Task
from anyprefer.training.evaluation.benchmarks.image_questions import ImageQuestions
from anyprefer.training.evaluation.benchmarks.image_rows import Rows
from anyprefer.training.evaluation.rules.choices import LETTERS, chosen, listed


class MmBench(ImageQuestions):
    """The development questions; a mark is of a question, over its rotations."""

    name = "mmbench"
    metric = "circular accuracy"
    description = (
        "MMBench: multiple choice (Liu et al. 2024), right when the choice is right in every rotation; a choice is read by "
        "its letter or its whole text, where the authors ask a judge for the rest. Folder mmbench, columns index, "
        "question, hint, A to D, answer, image, else lmms-lab/MMBench_EN"
    )
    rows = Rows("mmbench", ("hub:lmms-lab/MMBench_EN:dev",))
    metrics: ClassVar[Mapping[str, Metric]] = {
        "one pass": ratio("first", "questions"),
        "in form": ratio("in_form", "questions"),
    }

    def tasks_of(self, name: str, row: Mapping[str, Any]) -> Iterable[Task]:
        """A question's rotations."""
        choices = [str(row[letter]) for letter in "ABCD" if _given(row.get(letter))]
        gold, hint = choices[LETTERS.index(row["answer"])], str(row["hint"]) if _given(row.get("hint")) else ""
        pictures = self.rows.pictures(row["image"])
        for turn in range(len(choices)):
            turned = choices[turn:] + choices[:turn]
            yield Task(
                id=f"{row['index']}-{turn}",
                prompt=listed(row["question"], turned, hint),
                images=pictures,
                reference=LETTERS[turned.index(gold)],
                meta={"question": str(row["index"]), "choices": turned},
            )

    def is_correct(self, task: Task, answer: str) -> bool:
        """Of one rotation."""
        return bool(chosen(answer, task.meta["choices"]) == task.reference)

    def tally(self, task: Task, answer: str) -> Mapping[str, float]:
        """Of one rotation."""
        return {"in_form": int(bool(chosen(answer, task.meta["choices"])))}

    def whole(self, tasks: Sequence[Task], found: EvalResult) -> EvalResult:
        """Questions for rotations; one of whose rotations has no answer is unscored."""
        rotations: dict[str, list[str]] = {}
        for task in tasks:
            rotations.setdefault(task.meta["question"], []).append(task.id)
        answered = {question: ids for question, ids in rotations.items() if all(one in found.marks for one in ids)}
        marks = {question: all(found.marks[one] for one in ids) for question, ids in answered.items()}
        tallies: dict[str, dict[str, float]] = {
            question: {
                "questions": 1,
                "first": int(found.marks[ids[0]]),
                "in_form": int(all(found.tallies[one]["in_form"] for one in ids)),
            }
            for question, ids in answered.items()
        }
        shown = {question: found.groups[ids[0]] for question, ids in answered.items() if ids[0] in found.groups}
        return found.model_copy(
            update={
                "marks": marks,
                "n": len(marks),
                "correct": sum(marks.values()),
                "unscored": len(rotations) - len(marks),
                "tallies": tallies,
                "groups": shown,
            }
        )


def _given(value: Any) -> bool:
    """Whether a cell holds something; a table's empty one is NaN."""
    return value is not None and str(value).strip().lower() not in ("", "nan")


offers = MmBench()
