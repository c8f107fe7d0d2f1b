"""Python's garbage collector while tasks are played: it would spend a sixth of a run looking at what stays.

Modules, players and the compiled graph are some 200,000 objects that live as long as the run; each full
collection walks them all. And thousands of short-lived objects a task are alive while it waits for models,
so that young ones are walked again and again for nothing. Reference counting frees almost all of both.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG = 20_000
"""New objects after which a collection is made; some megabytes of garbage wait for it at most."""

_before: list[tuple[int, ...]] = []
"""The thresholds to go back to, one entry for each run in progress."""


@contextmanager
def rarely_collecting() -> Iterator[None]:
    """Within, what is there already is left alone and collections are rarer; afterwards all is as it was."""
    young, *older = _before[0] if _before else gc.get_threshold()
    _before.append((young, *older))
    gc.freeze()
    gc.set_threshold(young and max(YOUNG, young), *older)
    try:
        yield
    finally:
        given = _before.pop()
        if not _before:
            gc.set_threshold(*given)
            gc.unfreeze()
