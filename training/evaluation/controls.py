"""Text-only controls: the same questions with their images left out or blank. What is right then the image did not tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from anyprefer.core.errors import InputError
from anyprefer.core.images import images_of
from anyprefer.core.pictures import opened
from anyprefer.core.task import Task

Shown = Literal["shown", "none", "blank"]
"""How a task's images are shown: as they are, left out, or grey ones of the same size in their place."""
_GREY = (127, 127, 127)


def shown_how(word: str) -> Shown:
    """The word as one of them. Raises `InputError` for another."""
    for how in get_args(Shown):
        if word == how:
            return how  # type: ignore[no-any-return]
    raise InputError(f"images can be {', '.join(get_args(Shown))}, not {word!r}")


def with_images(tasks: Sequence[Task], how: Shown) -> list[Task]:
    """The tasks with their images shown so. Raises `InputError` for an image that cannot be opened."""
    return [task if how == "shown" or not task.images else _shown(task, how) for task in tasks]


def _shown(task: Task, how: Shown) -> Task:
    return task.model_copy(update={"images": () if how == "none" else tuple(map(_blank, task.images))})


def _blank(image: str) -> str:
    from PIL import Image

    return (images_of(Image.new("RGB", opened(image).size, _GREY), None) or [""])[0]
