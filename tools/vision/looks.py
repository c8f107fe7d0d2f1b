"""What tools that see share: a model that is loaded once, and a picture that is looked at once.

Several candidates of a task ask about the same picture at the same time, in threads. One lock a model lets one of them
look; the others are given what it saw.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, ParamSpec, TypeVar

from anyprefer.core.pictures import content_hash, opened
from anyprefer.core.task import Task
from anyprefer.tools.base import ToolFailure

T = TypeVar("T")
P = ParamSpec("P")
REMEMBERED = 256
"""Pictures whose findings a model remembers."""


class Looks(Generic[T]):
    """A model's looks at pictures; the same picture with the same question is looked at once."""

    def __init__(self, look: Callable[..., T]) -> None:
        """`look(picture, *asked)` is called by one thread at a time, with a PIL picture in RGB."""
        self._look = look
        self._lock = threading.Lock()
        self._seen: OrderedDict[Hashable, T] = OrderedDict()

    def __call__(self, image: str, *asked: Hashable) -> T:
        """What there is in an image of a task, as `Task.images` holds it. Raises `InputError` for one that cannot be
        opened."""
        key = (content_hash(image), *asked)
        with self._lock:
            if key not in self._seen:
                self._seen[key] = self._look(opened(image), *asked)
            self._seen.move_to_end(key)
            while len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
            return self._seen[key]


def loaded_once(load: Callable[P, T]) -> Callable[P, T]:
    """The same function, called once for the same arguments, whichever thread asks first; a failure is not kept."""
    lock, made = threading.Lock(), dict[Any, T]()

    def once(*args: P.args, **kwargs: P.kwargs) -> T:
        key = (args, tuple(sorted(kwargs.items())))
        with lock:
            if key not in made:
                made[key] = load(*args, **kwargs)
            return made[key]

    return once


def picture_of(task: Task) -> str:
    """The task's picture, its first one where it has several. Raises `ToolFailure` where it has none."""
    if not task.images:
        raise ToolFailure("the task has no picture")
    return task.images[0]
