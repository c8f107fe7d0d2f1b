"""A graph that the user has changed is played with everything that a run does."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from anyprefer.core.errors import RunFolderError, SettingsError
from anyprefer.core.game_state import GameState
from anyprefer.core.records import Judgment
from anyprefer.core.task import Task
from anyprefer.graph import build_graph, read_rows, state_graph, synth
from anyprefer.models.ask import call
from anyprefer.models.messages import user
from tests.folder import note
from tests.scripted import Scripted, a_task

ROOT = Path(__file__).parents[2]
TASKS = [Task(id=f"{n}", prompt=f"What is {n} + 1?") for n in range(20)]


async def look_again(state: GameState):
    """A node of the user's own."""
    return {"context": f"looked again at {len(state['candidates'])}"}


async def longest(state: GameState):
    """A judge that is no role but a node."""
    return {"judgments": [Judgment(candidate=one.index, score=len(one.text)) for one in state["candidates"]]}


def changed(node=look_again, **values):
    graph = state_graph(tools=[], candidates=3, **values)
    graph.edges.remove(("use_tools", "judge"))
    graph.add_node("look_again", node)
    graph.add_edge("use_tools", "look_again")
    graph.add_edge("look_again", "judge")
    return graph


def played(graph, tasks=TASKS, **values):
    return {row.id: row for row in synth(tasks, graph=graph, **values)}


def test_a_node_between_two_steps_and_a_step_replaced():
    model = Scripted(sample=["a", "bbb", "cc", "a", "bbb", "cc"])
    graph = changed(target=model, judge=model)
    del graph.nodes["judge"]
    graph.add_node("judge", longest)
    [row] = played(graph, [a_task()]).values()
    assert (row.pair.chosen, row.pair.rejected) == ("bbb", "a")
    assert row.rounds[0].context == "looked again at 3"
    assert model.asked("judge") == []
    assert row.models["graph"].startswith(
        "start sample select_tools use_tools reward update_prompts look_again=look_again@"
    )
    state = asyncio.run(graph.compile().ainvoke({"task": a_task()}))
    assert [one.model_copy(update={"usage": {}}) for one in row.rounds] == state["rounds"]


def test_the_graph_brings_players_and_settings_and_the_call_may_change_them():
    model, other = Scripted(), Scripted()
    graph = changed(target=model, judge=model, threshold=10, max_rounds=2)
    [row] = played(graph, [a_task()]).values()
    assert (row.outcome, len(row.rounds)) == ("rejected", 2)
    [row] = played(graph, [a_task()], threshold=9, target=other).values()
    assert row.outcome == "accepted"
    assert (len(model.asked("sample")), len(other.asked("sample"))) == (6, 3)
    assert (model.script, graph.settings.threshold) == (other.script, 10)


def test_an_unchanged_graph_is_the_games_own(tmp_path):
    model = Scripted()
    rows = played(state_graph(target=model, judge=model, tools=[], candidates=3), TASKS[:3], folder=tmp_path)
    assert all("graph" not in row.models for row in rows.values())
    again = list(synth(TASKS[:3], folder=tmp_path, target=model, judge=model, tools=[], candidates=3))
    assert {row.id: row for row in again} == rows


def test_a_graph_is_part_of_the_experiment(tmp_path):
    model = Scripted()
    given = {"target": model, "judge": model}
    played(changed(**given), TASKS[:3], folder=tmp_path)
    with pytest.raises(RunFolderError, match="made with other settings: graph"):
        list(synth(TASKS, folder=tmp_path, tools=[], candidates=3, **given))
    with pytest.raises(RunFolderError, match=r"graph \('.*look_again=look_again@.*longest@"):
        played(changed(longest, **given), folder=tmp_path)


@pytest.mark.parametrize("graph", ["game.py", build_graph(target=Scripted(), judge=Scripted(), tools=[])])
def test_what_is_no_graph_is_refused(graph):
    with pytest.raises(SettingsError, match="is not what state_graph\\(\\) returns, uncompiled"):
        played(graph)


def test_calls_of_a_node_are_in_ledger_and_budget(tmp_path):
    asked = []

    def node_of(model):
        async def node(state: GameState):
            answer = await call(model, [user(f"Look again: {state['task'].text}")], "look_again")
            asked.append(answer.text)
            return {"context": answer.text}

        return node

    model = Scripted(sample=lambda call: "x" if "Look again" in call.user else f"{call.seed}", reward="1/10")
    given = {"target": model, "judge": model, "max_rounds": 1}
    rows = played(changed(node_of(model), **given), TASKS[:4], folder=tmp_path)
    assert asked == ["x"] * 4
    assert all(row.usage["look_again"].calls == 1 for row in rows.values())
    assert note(tmp_path)["requests"] == len(model.calls) == 4 * 6


SCRIPT = """
import asyncio, os, signal, sys
from tests.graph.test_state_graph import TASKS, changed
from tests.scripted import Scripted, scores
from anyprefer.graph import synth

async def slow(call):
    await asyncio.sleep(0.002)
    return {"sample": f"{call.user} {call.seed}", "judge": scores(3, 2, 1), "reward": "9/10"}[call.role]

model = Scripted(sample=slow, judge=slow, reward=slow)
graph = changed(target=model, judge=model)
for place, row in enumerate(synth(TASKS, graph=graph, folder=sys.argv[1], concurrency=4), 1):
    if place == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
print(place, len(model.calls))
"""


def test_a_killed_run_goes_on_with_nothing_lost_or_doubled(tmp_path):
    def play(kill):
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / "run"), str(kill)]
        given = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, env=given, cwd=tmp_path, capture_output=True, text=True, timeout=300)

    assert play(7).returncode == -signal.SIGKILL
    again = play(0)
    assert again.returncode == 0, again.stderr
    rows = list(read_rows(tmp_path / "run"))
    assert Counter(row.id for row in rows) == Counter(task.id for task in TASKS)
    assert {row.rounds[0].context for row in rows} == {"looked again at 3"}
    missing, asked = map(int, again.stdout.split())
    assert 20 - 7 - 4 <= missing <= 20 - 7
    assert asked <= 5 * missing


def test_a_node_that_leaves_python_fails_its_task_and_ends_no_run():
    async def leaves(state: GameState):
        if state["task"].id == "1":
            raise SystemExit

    rows = played(changed(leaves, target=Scripted(), judge=Scripted()), TASKS[:3])
    assert rows["1"].reason == "RuntimeError: a node of the graph raised SystemExit"
    assert [rows[name].outcome for name in ("0", "2")] == ["accepted"] * 2


@pytest.mark.slow
def test_workers_play_a_changed_graph(tmp_path):
    graph = changed(target=Scripted(), judge=Scripted(), engine="none")
    rows = played(graph, TASKS[:4], folder=tmp_path, workers=2)
    assert {row.outcome for row in rows.values()} == {"accepted"}, [row.reason for row in rows.values()]
    assert all(row.rounds[0].context == "looked again at 3" for row in rows.values())
    assert all("look_again=look_again@" in row.models["graph"] for row in rows.values())


def test_a_graph_that_cannot_be_sent_to_workers_says_so():
    lock = threading.Lock()

    async def held(state: GameState):
        with lock:
            return {}

    with pytest.raises(SettingsError, match="graph cannot be sent to other processes"):
        played(changed(held, target="smollm2", judge="evidence"), workers=2)
