"""The garbage collector is put back as it was, however many runs went on at once."""

import gc
from collections.abc import Iterator

import pytest

from anyprefer.graph.runs.garbage import YOUNG, rarely_collecting


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[None]:
    given = gc.get_threshold()
    yield
    gc.set_threshold(*given)
    gc.unfreeze()


def test_within_old_objects_are_left_alone_and_collections_are_rarer() -> None:
    gc.set_threshold(700, 10, 10)
    with rarely_collecting():
        assert gc.get_threshold() == (YOUNG, 10, 10)
        assert gc.get_freeze_count() > 1000
    assert gc.get_threshold() == (700, 10, 10)
    assert gc.get_freeze_count() == 0


def test_the_last_of_several_runs_puts_it_back() -> None:
    gc.set_threshold(700, 10, 10)
    first, second = rarely_collecting(), rarely_collecting()
    with first:
        second.__enter__()
    assert gc.get_threshold() == (YOUNG, 10, 10)
    second.__exit__(None, None, None)
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("given", [(0, 10, 10), (100_000, 5, 5)])
def test_a_collector_that_is_off_or_rarer_still_stays_so(given: tuple[int, int, int]) -> None:
    gc.set_threshold(*given)
    with rarely_collecting():
        assert gc.get_threshold() == given
