"""Candidates that are lists of waypoints, sampled from a seeded start state and ranked by a computed cost."""

import json
import math
import random
from itertools import pairwise

import pytest

from anyprefer.core.errors import SettingsError
from anyprefer.graph import Judge, Judgment, Reward, Task, asynth, build_graph
from anyprefer.graph.runs.row_files import read_rows
from anyprefer.tools import Finding, tool


class Policy:
    """Wanders from the start state towards the goal, by seed."""

    name = "wandering policy"

    def __init__(self):
        self.played = []

    async def sample(self, task, prompt, seeds):
        self.played.append(task.id)
        return [self.path(task.start, random.Random(f"{prompt} {seed}")) for seed in seeds]

    def path(self, start, chance):
        x, y = start["hand"]
        points = [[x, y]]
        for _ in range(4):
            x, y = x + chance.uniform(0, 0.5), y + chance.uniform(0, 0.5)
            points.append([round(x, 4), round(y, 4)])
        return points


class CostJudge(Judge):
    """Score = -cost: the way's length and what is left to the box the tool found."""

    name = "cost of path and distance"

    def cost(self, points, box):
        length = sum(math.dist(a, b) for a, b in pairwise(points))
        middle = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]
        return length + 10 * math.dist(points[-1], middle)

    async def score(self, state):
        [located] = state["task_knowledge"]
        box = located.data["spoon"]
        return [Judgment(candidate=c.index, score=-self.cost(c.content, box)) for c in state["candidates"]]


class ReachReward:
    """Accepts a pair whose better path ends near the box."""

    name = "reach"

    async def rate(self, state, pair):
        near = -pair.chosen_score < 6
        return Reward(score=9 if near else 2, analysis="near" if near else "too far")


@tool
def locate(task: Task) -> Finding:
    """Finds the objects' boxes in the scene."""
    x, y = task.start["spoon"]
    return Finding(f"spoon at {x}, {y}", data={"spoon": [x - 0.1, y - 0.1, x + 0.1, y + 0.1], "points": [[x, y]]})


TASKS = [
    Task(
        id=str(seed), prompt="put the spoon on the towel", start={"hand": [0.0, 0.0], "spoon": [1.0, 1.0], "seed": seed}
    )
    for seed in range(6)
]


def arguments(policy=None):
    return {
        "target": policy or Policy(),
        "judge": CostJudge(),
        "reward": ReachReward(),
        "tools": [locate],
        "task_field": "visuo-motor control",
    }


def check(row):
    """y+ and y- are the cheapest and the dearest path, both from the task's start."""
    last = row.rounds[-1]
    box = last.knowledge[0].data["spoon"]
    costs = {c.index: CostJudge().cost(c.content, box) for c in last.candidates}
    assert row.pair.chosen_index == min(costs, key=costs.get)
    assert row.pair.rejected_index == max(costs, key=costs.get)
    assert row.pair.chosen[0] == row.pair.rejected[0] == row.task.start["hand"]
    assert row.pair.chosen_score == pytest.approx(-costs[row.pair.chosen_index])
    assert row.pair.margin > 0


async def test_the_graph_ranks_paths_by_cost():
    state = await build_graph(**arguments()).ainvoke({"task": TASKS[0]})
    assert len(state["candidates"]) == 5
    assert all(len(candidate.content) == 5 for candidate in state["candidates"])
    assert sorted(state["judgments"], key=lambda j: j.score)[-1].candidate == state["pair"].chosen_index
    assert state["task_knowledge"][0].data["points"] == [[1.0, 1.0]]


async def test_runner_folder_and_resume_keep_paths_and_start_states(tmp_path):
    first, again = Policy(), Policy()
    early = [row async for row in asynth(TASKS[:3], folder=tmp_path, **arguments(first))]
    late = [row async for row in asynth(TASKS, folder=tmp_path, **arguments(again))]
    assert set(first.played) == {"0", "1", "2"}
    assert set(again.played) == {"3", "4", "5"}
    rows = list(read_rows(tmp_path))
    assert {row.id: row for row in rows} == {row.id: row for row in [*early, *late]}
    assert {row.task.id: row.task for row in rows} == {task.id: task for task in TASKS}
    accepted = [row for row in rows if row.outcome == "accepted"]
    assert accepted
    for row in accepted:
        check(row)
    pairs = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()]
    assert [(p["chosen"], p["rejected"]) for p in pairs] == [  # no chat messages around what is no text
        (row.pair.chosen, row.pair.rejected) for row in accepted
    ]
    assert all(pair["judge"] == "cost of path and distance" for pair in pairs)


async def test_the_same_seed_gives_the_same_paths_and_another_seed_others():
    async def paths(seed):
        rows = [row async for row in asynth(TASKS, seed=seed, **arguments())]
        return {row.id: [c.content for c in row.rounds[0].candidates] for row in rows}

    assert await paths(0) == await paths(0)
    assert (await paths(0))["0"] != (await paths(1))["0"]


async def test_a_judge_that_is_no_model_needs_a_reward():
    with pytest.raises(
        SettingsError, match="judge 'cost of path and distance' does not say who rates its pairs, so give a reward"
    ):
        build_graph(**{**arguments(), "reward": None})
