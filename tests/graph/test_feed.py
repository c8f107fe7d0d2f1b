"""The input is read beside the event loop, item by item, as it is asked for."""

import asyncio
import threading

import pytest

from anyprefer.core.errors import InputError
from anyprefer.graph import Task, asynth
from anyprefer.graph.runs.feed import AHEAD, Feed
from tests.scripted import Scripted


async def all_of(feed, most=3):
    found = []
    while taken := await feed.take(most):
        assert len(taken) <= most
        found += taken
    return found


@pytest.mark.parametrize("in_memory", [False, True])
async def test_items_come_in_order_and_then_none(in_memory):
    feed = Feed(range(10), in_memory)
    assert await all_of(feed) == list(range(10))
    assert feed.over
    assert await feed.take(2) == []


@pytest.mark.parametrize(("in_memory", "ahead"), [(False, AHEAD), (True, 0)])
async def test_little_is_read_before_it_is_asked_for(in_memory, ahead):
    read, taken = [], []
    feed = Feed((read.append(n) or n for n in range(100)), in_memory)
    while len(taken) < 4:
        taken += await feed.take(4 - len(taken))
    await asyncio.sleep(0.05)
    assert taken == [0, 1, 2, 3]
    assert len(read) <= 4 + ahead


async def test_the_loop_goes_on_while_an_item_is_waited_for():
    come = threading.Event()

    def slow():
        yield 1
        come.wait()
        yield 2

    feed = Feed(slow())
    assert await feed.take(5) == [1]
    waiting = asyncio.create_task(feed.take(5))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    come.set()
    assert await waiting == [2]


async def test_what_reading_raises_comes_after_the_items_before_it():
    def broken():
        yield 1
        raise InputError("half a file")

    feed = Feed(broken())
    assert await feed.take(1) == [1]
    with pytest.raises(InputError, match="half a file"):
        await feed.take(1)


async def test_a_slow_input_holds_up_no_call_in_flight():
    come = threading.Event()

    def slow():
        yield Task(id="0", prompt="q")
        come.wait()
        yield Task(id="1", prompt="q")

    async def answer(call):
        come.set()  # in the loop's thread, while the input waits in its own
        return f"answer {call.seed}"

    given = {"target": Scripted(sample=answer), "judge": Scripted(), "tools": [], "candidates": 2}
    rows = [row async for row in asynth(slow(), concurrency=4, **given)]
    assert sorted(row.id for row in rows) == ["0", "1"]
