"""Grounded SAM 2 on the same architectures made tiny; and, where it finds what there is, the places that come of it."""

import numpy as np
import pytest

from anyprefer.core.records import Candidate
from anyprefer.core.regions import Region, encoded, regions_in
from anyprefer.core.task import Task
from anyprefer.core.trajectories import Trajectory
from anyprefer.models.simulators.by_name import simulator
from anyprefer.tools import load_tools
from anyprefer.tools.vision import grounded_segmentation, phrase_detector
from anyprefer.tools.vision.compared import Seen
from tests import tiny_vision

TASK = Task(id="1", prompt="stack the cubes", start={"simulator": "mujoco:stack", "seed": 40_001})


@pytest.fixture(scope="module")
def tool(tmp_path_factory):
    saved = {
        name: getattr(tiny_vision, f"save_{name}")(tmp_path_factory.mktemp(name)) for name in ("grounding_dino", "sam2")
    }
    options = {"model": saved["grounding_dino"], "segmenter": saved["sam2"], "device": "cpu", "every": 2}
    [made] = load_tools(["grounded_keypoints"], {"grounded_keypoints": options})
    made.prepare()
    return made


async def found(tool, query="red circle, blue square"):
    still = Trajectory(states=[[0.0]] * 3, actions=[[0.0] * 6 + [1.0]] * 2)
    candidate = Candidate(index=0, content=still.model_dump(mode="json"), seed=0)
    return await tool.found({"task": TASK, "candidate": candidate, "query": query})


async def test_a_tiny_grounded_sam_2_looks_at_every_second_state_for_what_the_judge_names(tool, monkeypatch):
    monkeypatch.setattr(phrase_detector, "LEAST_SCORE", 0.0)
    finding = await found(tool)
    labels = {region.label for region in regions_in(finding.data)[0]}
    assert labels
    assert labels <= {"red circle", "blue square"}
    assert finding.data["keypoints"].keys() <= labels | {"hand"}
    assert [place is None for place in finding.data["keypoints"]["hand"]] == [False, True, False]


async def test_nothing_found_is_said(tool, monkeypatch):
    monkeypatch.setattr(phrase_detector, "LEAST_SCORE", 1.0)
    with pytest.raises(Exception, match="finds nothing of red circle in the first picture"):
        await found(tool, "red circle")


async def test_without_a_query_the_scenes_objects_are_looked_for_and_placed(tool, monkeypatch):
    """The two models' part is played by the simulator's masks, a pixel too wide: their edges lie on the table behind."""
    asked = []

    def look(self, picture, *phrases):
        asked.append(phrases)
        world = simulator("mujoco:stack", pixels=False)
        world.reset(seed=TASK.start["seed"])
        ids, names = world.segmentation()
        world.close()
        masks = {names[number]: ids == number for number in (1, 2)}
        wide = {name: mask | np.roll(mask, 1, 1) | np.roll(mask, -1, 1) for name, mask in masks.items()}
        found = [Region(name, (0, 0, 9, 9), 0.9, encoded(mask)) for name, mask in wide.items()]
        return Seen([*found, Region("green cube", (0, 0, 9, 9), 0.4, encoded(ids == 3))], picture.size, "it")

    monkeypatch.setattr(grounded_segmentation.GroundedSam, "look", look)
    finding = await found(tool, TASK.text)
    assert asked[0] == ("green cube", "yellow cube")
    world = simulator("mujoco:stack", pixels=False)
    poses = world.reset(seed=TASK.start["seed"])[1]["poses"]
    for name in asked[0]:
        assert np.linalg.norm(np.subtract(finding.data["keypoints"][name][0], poses[name][:3])) < 0.012
