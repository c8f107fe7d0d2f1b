"""The walk plays what LangGraph plays, and only where nobody listens."""

import asyncio
import json
import re

import pytest
from langchain_core.tracers.context import collect_runs

from anyprefer.core.task import Task
from anyprefer.graph import play_task, synth
from anyprefer.graph.walk import Walk, silent
from anyprefer.tools import Finding, tool
from tests.scripted import Scripted, play

TASKS = [Task(id=str(n), prompt=f"What is {n} + 1?") for n in range(8)]


@tool
def known(task: Task) -> Finding:
    """Knows the sum."""
    if task.id == "3":
        raise ValueError("three is not known")
    return Finding(f"it is {int(task.id) + 1}")


@tool
def right(candidate) -> Finding:
    """Checks a sum."""
    return Finding("as it may be", verdict=float(len(candidate.text) % 2))


def mixed():
    """Accepts even tasks at once, plays two rounds of odd ones, and fails the sixth."""

    def sample(call):
        if "What is 6" in call.user:
            raise RuntimeError("no answer to six")
        return f"{call.user} {call.seed}"

    def reward(call):
        number = int(call.user.split("What is ")[1].split()[0])
        return f"{9 if number % 2 == 0 else 3}/10"

    def rewrite(call):
        return f"<IMPROVED_VARIABLE>rewritten {len(call.user)}</IMPROVED_VARIABLE>"

    chosen = '["known", "right"]'
    return Scripted(sample=sample, reward=reward, textgrad=rewrite, select_tools=chosen)


def rows(**values):
    model = mixed()
    found = list(synth(TASKS, target=model, judge=model, tools=[known, right], candidates=3, max_rounds=2, **values))
    untimed = [re.sub(r'"seconds":[-.e0-9]+', '"seconds":0', row.model_dump_json()) for row in found]
    read = {row["id"]: row for row in map(json.loads, untimed)}
    read["6"]["rounds"] = []  # sampling fails there, and how far tools got by then is a matter of time
    return read


@pytest.mark.parametrize("values", [{}, {"feedback": ("target",)}, {"concurrency": 1}])
def test_rows_are_those_of_langgraph(monkeypatch, values):
    walked = rows(**values)
    monkeypatch.setattr(play_task, "silent", lambda: None)
    monkeypatch.setattr(Walk, "play", None)
    played = rows(**values)
    assert played == walked
    assert {row["outcome"] for row in walked.values()} == {"accepted", "rejected", "failed"}
    last = walked["3"]["rounds"][1]
    assert [found["tool"] for found in last["knowledge"]] == ["known", "right", "right", "right"]
    assert "three is not known" in last["knowledge"][0]["error"]


async def test_whoever_listens_hears_of_a_game_on_langgraph(monkeypatch):
    assert silent() is not None
    monkeypatch.setattr(Walk, "play", None)
    with collect_runs() as heard:
        assert silent() is None
        row = await play(Scripted())
    assert row.outcome == "accepted"
    assert {"game", "judge", "reward"} <= {run.name for run in heard.traced_runs}


async def test_tools_run_beside_sampling_and_an_error_ends_them():
    begun, ended = asyncio.Event(), asyncio.Event()

    @tool
    async def endless(task: Task) -> Finding:
        """Looks for ever."""
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()
        return Finding("never")

    async def sample(call):
        await begun.wait()
        raise RuntimeError("out of order")

    row = await play(Scripted(sample=sample, select_tools='["endless"]'), tools=[endless])
    assert row.outcome == "failed"
    assert row.reason.endswith("RuntimeError: out of order")
    assert ended.is_set()
