"""Text-only controls: the same questions with their images left out or blank. What is right then the image did not tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal, get_args

from anyprefer.core.errors import InputError
from anyprefer.core.images import images_of
from anyprefer.core.pictures import opened
from anyprefer.core.task import Task
from anyprefer.core.values import stable_hash

Shown = Literal["shown", "none", "blank"]
"""How a task's images are shown: as they are, left out, or grey ones of the same size in their place."""
_GREY = (127, 127, 127)
_SHOWED = "showed"
"""Where a task of a control keeps what it would have shown."""


def shown_how(word: str) -> Shown:
    """The word as one of them. Raises `InputError` for another."""
    for how in get_args(Shown):
        if word == how:
            return how  # type: ignore[no-any-return]
    raise InputError(f"images can be {', '.join(get_args(Shown))}, not {word!r}")


def with_images(tasks: Sequence[Task], how: Shown) -> list[Task]:
    """The tasks with their images shown so. Raises `InputError` for an image that cannot be opened."""
    return [task if how == "shown" or not task.images else _shown(task, how) for task in tasks]


def of_one_image(tasks: Sequence[Task]) -> dict[str, str]:
    """The group of each task that shares its images with others (`EvalResult.groups`), in a control as without it."""
    named = {task.id: task.meta.get(_SHOWED) or _named(task) for task in tasks if task.images or _SHOWED in task.meta}
    shared = Counter(named.values())
    return {task: name for task, name in named.items() if shared[name] > 1}


def _named(task: Task) -> str:
    return stable_hash(task.images)[:12]


def _shown(task: Task, how: Shown) -> Task:
    images = () if how == "none" else tuple(map(_blank, task.images))
    return task.model_copy(update={"images": images, "meta": {**task.meta, _SHOWED: _named(task)}})


def _blank(image: str) -> str:
    from PIL import Image

    return (images_of(Image.new("RGB", opened(image).size, _GREY), None) or [""])[0]
