"""What policies did in an exported data set: as LeRobot's episodes, or as JSON where there is nothing to film."""

import json

from anyprefer.graph import Judge, Judgment, Task, synth
from anyprefer.training.evaluation.control_families import CONTROL
from anyprefer.training.export.export import export
from anyprefer.training.export.exported_pair import ExportedPair
from anyprefer.training.export.trajectory_table import write_trajectories
from tests.robots import MisseeingExpert
from tests.training.export.test_export import rows


class Wanderer:
    name = "wanderer"

    async def sample(self, task, prompt, seeds):
        return [{"states": [[0.0], [float(seed % 7)]], "actions": [[float(seed % 7)]]} for seed in seeds]


class Longest(Judge):
    name = "longest step"

    async def score(self, state):
        return [Judgment(candidate=one.index, score=one.content["actions"][0][0]) for one in state["candidates"]]


def test_trajectories_that_nobody_can_film_are_json(tmp_path):
    tasks = [Task(id=str(n), prompt=f"Go right, {n}.") for n in range(3)]
    list(synth(tasks, target=Wanderer(), judge=Longest(), reward="accept", tools=[], folder=tmp_path / "run"))
    made = export([tmp_path / "run"], tmp_path / "out")
    pairs = rows(tmp_path / "out", "trajectories")
    assert len(pairs) == made.scale == 3
    assert json.loads(pairs[0]["chosen"])["actions"] > json.loads(pairs[0]["rejected"])["actions"]
    assert pairs[0]["instruction"] == "Go right, 0."
    card = (tmp_path / "out" / "README.md").read_text()
    assert "CTRL | Img-Ctrl-Seq" in card
    assert "robotics" in card
    assert "no LeRobotDataset" in card
    assert not (tmp_path / "out" / "default").exists()


def test_those_of_a_simulator_are_episodes(tmp_path):
    [task] = CONTROL["control"].make(1, 0, "dev")
    walks = [MisseeingExpert(most=0.05).walk(task, task.prompt, seed).model_dump(mode="json") for seed in (0, 1)]
    asked = ({"role": "user", "content": task.prompt},)
    one = ExportedPair("a", "run", 1, asked, asked, *walks, task=task, score_chosen=9.0, score_rejected=2.0)
    columns, note = write_trajectories(tmp_path, [one])
    assert note == ""
    assert {"chosen_episode", "rejected_episode", "score_chosen", "chosen_costs"} <= columns.keys()
    assert json.loads((tmp_path / "meta" / "info.json").read_text())["total_episodes"] == 2
