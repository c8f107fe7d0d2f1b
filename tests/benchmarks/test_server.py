"""The benchmark's server plays a whole game, and what it counts is what was asked."""

import time
import urllib.error

import pytest

from anyprefer.graph import asynth
from benchmarks.process import ServerProcess


async def play(server, count, **settings):
    model = f"openai:any@{server.url}"
    tasks = [f"What is {n} + 2? Answer with the number only." for n in range(count)]
    rows = asynth(tasks, target=model, judge=model, tools=("answer_form",), **settings)
    return [row async for row in rows]


async def test_a_game_is_accepted_in_round_one_without_asking_twice():
    with ServerProcess("--latency", "0", "--n", "ignore") as server:
        rows = await play(server, 2)
        asked = server.stats()
    assert [(row.outcome, len(row.rounds)) for row in rows] == [("accepted", 1)] * 2, [row.reason for row in rows]
    assert asked["roles"] == {"select_tools": 2, "sample": 10, "aggregate": 2, "judge": 2, "reward": 2}
    assert (asked["ok"], asked["repeated"], asked["distinct"]) == (18, 0, 18)


async def test_the_tasks_it_does_not_accept_at_once_are_accepted_after_a_rewrite():
    with ServerProcess("--latency", "0", "--accept", "0") as server:
        (row,) = await play(server, 1)
    assert (row.outcome, len(row.rounds)) == ("accepted", 2), row.reason
    assert all(update.changed for update in row.rounds[0].updates)


async def test_it_comes_back_after_it_died():
    with ServerProcess("--latency", "5", "--die-at", "0.1", "--dead-for", "0.2") as server:
        body = b'{"messages": [{"role": "user", "content": "Hello"}]}'
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            server._ask("/v1/chat/completions", body)
        time.sleep(0.4)
        assert server.stats()["abandoned"] == 1
