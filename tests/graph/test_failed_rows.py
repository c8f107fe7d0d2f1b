"""A failed task's row is the same whatever was faster, and whoever listens."""

import asyncio
import json
import random
import re
from collections import Counter
from contextlib import nullcontext

import pytest
from langchain_core.tracers.context import collect_runs

from anyprefer.core.errors import RunFolderError
from anyprefer.core.records import Judgment
from anyprefer.core.roles import Judge
from anyprefer.core.task import Task
from anyprefer.graph import asynth
from anyprefer.nodes.pair_builders.ranks import ranks
from anyprefer.nodes.rewards.accept import AcceptReward
from anyprefer.tools import Finding, tool
from tests.scripted import DEFAULTS, Scripted, play

PLACES = ("sample", "select_tools", "both", "aggregate", "judge", "reward", "pair", "update", "nowhere")
TASKS = [Task(id=f"{n:02}", prompt=f"What is {n} + 1?") for n in range(60)]
A_ROUND = Counter(sample=3)


def place(n):
    """Where a task fails and in which round."""
    return PLACES[n % len(PLACES)], 1 + n // 30


def number(text):
    return int(re.search(r"What is (\d+) \+ 1", text)[1])


def slow(seed):
    """Players that take their time at random, and fail in their places."""
    clock, asked = random.Random(seed), Counter()

    def script(role):
        async def answer(call):
            n = number(call.user)
            asked[n, role] += 1
            await asyncio.sleep(clock.random() / 200)
            where, fails = place(n)
            now = 1 + (asked[n, role] - 1) // (A_ROUND[role] or 1)
            if now == fails and (where == role or (where == "both" and role in ("sample", "select_tools"))):
                raise RuntimeError(f"no {role} of {n}")
            if role == "sample":
                return f"{n} {call.seed}"
            if role == "select_tools":
                return '["known", "right"]'
            if role == "reward":
                return "3/10"
            made = DEFAULTS[role]
            return made(call) if callable(made) else made

        return answer

    return Scripted(**{role: script(role) for role in ("sample", "select_tools", "aggregate", "judge", "reward")})


class Engine:
    """Adds a mark to every prompt, and fails in its place."""

    name = "marks"

    async def rewrite(self, name, prompts, played):
        [(task, closed)] = played
        if place(int(task.id)) == ("update", closed.number):
            raise RuntimeError(f"no update of {task.id}")
        return f"{prompts.of(name)}!", ""


def best(state):
    if place(int(state["task"].id)) == ("pair", 1 + len(state["rounds"])):
        raise RuntimeError("no pair")
    return ranks(1, 3)(state)


def tools(clock):
    @tool
    async def known(task: Task) -> Finding:
        """Knows the sum."""
        await asyncio.sleep(clock.random() / 200)
        return Finding(f"it is {int(task.id) + 1}", seconds=0.0)

    @tool
    async def right(candidate) -> Finding:
        """Checks a sum."""
        await asyncio.sleep(clock.random() / 200)
        return Finding("as it may be", verdict=float(len(candidate.text) % 2), seconds=0.0)

    return [known, right]


async def rows(seed, heard=False):
    model = slow(seed)
    given = {"tools": tools(random.Random(-seed)), "engine": Engine(), "build_pair": best}
    with collect_runs() if heard else nullcontext():
        played = asynth(TASKS, target=model, judge=model, candidates=3, max_rounds=3, concurrency=20, **given)
        return {row.id: row.model_dump_json() async for row in played}, model


async def test_rows_depend_on_what_failed_alone():
    first, model = await rows(1)
    second, again = await rows(2)
    traced, _ = await rows(3, heard=True)
    assert first == second == traced
    assert len(first) == 60
    assert Counter(call.role for call in model.calls) == Counter(call.role for call in again.calls)


async def test_a_failed_row_ends_with_what_the_steps_before_made():
    found, _ = await rows(1)
    read = {name: json.loads(text) for name, text in found.items()}
    for name, row in read.items():
        where, fails = place(int(name))
        last = row["rounds"][-1] if row["rounds"] else None
        assert (row["outcome"] == "failed") is (where != "nowhere"), row["reason"]
        assert len(row["rounds"]) == (3 if where == "nowhere" else fails - (where == "both"))
        if where == "both":
            assert f"no sample of {int(name)}" in row["reason"]
        if where in ("nowhere", "both", "update"):
            continue
        assert last["reward"] is None
        assert row["reason"] == last["feedback"]
        assert bool(last["candidates"]) is (where != "sample")
        assert bool(last["selected"]) is (where != "select_tools")
        assert len(last["knowledge"]) == {"sample": 1, "select_tools": 0, "aggregate": 1}.get(where, 4)
        assert bool(last["judgments"]) is (where in ("reward", "pair"))


async def test_what_runs_beside_an_error_ends_first():
    begun, ended = asyncio.Event(), asyncio.Event()

    @tool
    async def patient(task: Task) -> Finding:
        """Takes its time."""
        begun.set()
        await asyncio.sleep(0.05)
        ended.set()
        return Finding("found")

    async def sample(call):
        await begun.wait()
        raise RuntimeError("out of order")

    row = await play(Scripted(sample=sample, select_tools='["patient"]'), tools=[patient])
    assert row.outcome == "failed"
    assert row.reason.endswith("RuntimeError: out of order")
    assert ended.is_set()
    assert [found.text for found in row.rounds[0].knowledge] == ["found"]


async def test_of_two_errors_the_one_that_stops_the_run_is_raised():
    class Full(Judge):
        async def select(self, state, tools):
            raise RunFolderError("the disk is full")

        async def score(self, state):
            return [Judgment(candidate=one.index, score=1) for one in state["candidates"]]

    given = {"judge": Full(), "reward": AcceptReward(), "tools": ["calculator"]}
    with pytest.raises(RunFolderError, match="the disk is full"):
        await play(Scripted(sample=RuntimeError("no answer")), **given)
