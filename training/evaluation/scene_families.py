"""Rendered scenes described and asked about, marked by their ground truth (`training/scenes`).

`scenes` asks for a description. `scenes_pope` asks for one object in a question, half of them there, those that are not
of three kinds. `scenes_pope_described` puts the same questions to the target's own description: yes where it names the
object. All questions of a scene share its picture.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal

from anyprefer.core.errors import InputError
from anyprefer.core.mentions import Vocabulary
from anyprefer.core.results import ratio
from anyprefer.core.scene_labels import LABELS
from anyprefer.core.task import Task
from anyprefer.training.evaluation.family import Family, Split
from anyprefer.training.evaluation.rules import mentions, yes_no
from anyprefer.training.scenes import captions, drawing, questions
from anyprefer.training.scenes.world import Scene, scene

_VOCABULARY = Vocabulary(LABELS)
_ANSWERS: tuple[Literal["yes", "no"], ...] = ("yes", "no")
OF_A_SCENE = len(questions.KINDS) * len(_ANSWERS)
"""Questions about a scene: one of each kind and answer."""


def scenes(n: int, seed: int, split: Split) -> list[Task]:
    """Descriptions of n scenes; `reference` says what is there and where, x0 y0 x1 y1 in pixels, and has a right answer."""
    return [
        Task(id=f"scene-{one.id}", prompt=captions.ASKED, images=(_picture(one),), reference=_truth(one))
        for one in _scenes(n, seed, split)
    ]


def scenes_pope(n: int, seed: int, split: Split) -> list[Task]:
    """n questions, `OF_A_SCENE` a scene; `meta["kind"]` is what is asked for in vain, `meta["label"]` the object."""
    asked = (
        Task(
            id=f"pope-{one.id}-{kind}-{answer}",
            prompt=text,
            images=(_picture(one),),
            reference=answer,
            meta={"kind": kind},
        )
        for one in _scenes(-(-n // OF_A_SCENE), seed, split)
        for kind, answer, text in _questions(one)
    )
    return [task for task, _ in zip(asked, range(n), strict=False)]


def scenes_pope_described(n: int, seed: int, split: Split) -> list[Task]:
    """Descriptions of n scenes, with the questions they are to answer."""
    return [
        task.model_copy(update={"id": f"described-{one.id}", "meta": {"questions": list(_questions(one))}})
        for task, one in zip(scenes(n, seed, split), _scenes(n, seed, split), strict=True)
    ]


def _scenes(n: int, seed: int, split: Split) -> list[Scene]:
    if n < 1:
        raise InputError(f"scenes are made from 1 on, not {n}")
    return [scene(split, seed, number) for number in range(n)]


def _questions(one: Scene) -> Iterator[tuple[str, str, str]]:
    """Kind, answer and text."""
    for kind in questions.KINDS:
        for answer in _ANSWERS:
            yield kind, answer, questions.yes_no(one, kind, answer, one.generator(f"{kind} {answer}")).text


def _truth(one: Scene) -> dict[str, Any]:
    return {"objects": _objects(one), "answer": captions.caption(one.labels)}


def _objects(one: Scene) -> list[dict[str, Any]]:
    return [{"label": there.label, "box": list(drawing.box(there))} for there in one.objects]


@lru_cache(maxsize=64)
def _picture(one: Scene) -> str:
    """As a `data:` URL; about 30 KB."""
    data = io.BytesIO()
    drawing.picture(one).save(data, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"


def _described(task: Task, answer: str) -> dict[str, float]:
    return mentions.counted(_VOCABULARY.named(answer), {one["label"] for one in task.reference["objects"]})


def _asked(task: Task, answer: str) -> dict[str, float]:
    said = yes_no.strict(answer)
    counts = yes_no.counted(task.meta["kind"], task.reference, said)
    return {**counts, "asked": 1, "in_form": int(yes_no.in_form(answer))}


def _through_description(task: Task, answer: str) -> dict[str, float]:
    named, counts = set(_VOCABULARY.named(answer)), dict[str, float]()
    for kind, gold, text in task.meta["questions"]:
        said = "yes" if set(_VOCABULARY.named(text)) <= named else "no"
        for name, count in yes_no.counted(kind, gold, said).items():
            counts[name] = counts.get(name, 0) + count
    return counts


def _all_answered(task: Task, answer: str) -> bool:
    counts = _through_description(task, answer)
    return all(counts[f"{kind}: right"] == counts[f"{kind}: asked"] for kind in questions.KINDS)


_POPE = {
    **{f"accuracy {kind}": yes_no.accuracy(kind) for kind in questions.KINDS},
    **{f"F1 {kind}": yes_no.f1(kind) for kind in questions.KINDS},
    "mean F1": yes_no.f1(*questions.KINDS),
    "said yes": yes_no.said_yes(*questions.KINDS),
}
_KINDS = "those not there are any object, one of the scene's theme, or an object's colour with another's shape"
SCENES = {
    "scenes": Family(
        "scenes",
        scenes,
        lambda task, answer: mentions.all_right(_described(task, answer)),
        "descriptions of rendered scenes; right when everything there is named once and nothing else, beside CHAIR, "
        "recall, F1 in which repeats are wrong, and how much is named",
        tally=_described,
        metrics=mentions.METRICS,
        max_tokens=64,
        tasks=500,
    ),
    "scenes_pope": Family(
        "scenes_pope",
        scenes_pope,
        lambda task, answer: yes_no.strict(answer) == task.reference,
        f"whether an object is in a rendered scene, half yes; {_KINDS}; right when the answer says yes or no and not the other",
        tally=_asked,
        metrics={**_POPE, "in form": ratio("in_form", "asked")},
        max_tokens=8,
        tasks=500 * OF_A_SCENE,
    ),
    "scenes_pope_described": Family(
        "scenes_pope_described",
        scenes_pope_described,
        _all_answered,
        f"the questions of scenes_pope answered by the target's description, yes where it names the object; {_KINDS}; a "
        "scene is right when all its questions are",
        tally=_through_description,
        metrics=_POPE,
        max_tokens=64,
        tasks=500,
    ),
}
"""By name."""
