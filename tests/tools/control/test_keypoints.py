import numpy as np
import pytest

from anyprefer.core.keypoint_tracks import Tracks
from anyprefer.core.records import Candidate
from anyprefer.core.regions import decoded, regions_in
from anyprefer.core.task import Task
from anyprefer.core.trajectories import Trajectory
from anyprefer.tools import load_tools
from tests.carried import carried

SEED = 40_001
TASK = Task(id="1", prompt="put the carrot on the plate", start={"simulator": "mujoco:carrot", "seed": SEED})
SIDES = {"carrot": 0.010, "plate": 0.004}
"""Metres by which a place that is seen may be off."""


@pytest.fixture(scope="module")
def placed():
    """The expert's trajectory."""
    from anyprefer.models.simulators.by_name import simulator
    from anyprefer.models.simulators.expert import action

    world = simulator("mujoco:carrot", pixels=False)
    observation, info = world.reset(seed=SEED)
    infos, actions, done = [info], [], False
    while not done:
        actions.append(action(world.scene, observation, info).tolist())
        observation, _, success, cut, info = world.step(np.array(actions[-1]))
        infos.append(info)
        done = success or cut
    return Trajectory(
        states=[[0.0]] * len(infos),
        actions=actions,
        success=info["is_success"],
        grasped=[one["is_grasped"] for one in infos],
        poses={name: [one["poses"][name] for one in infos] for name in info["poses"]},
    )


async def finding_of(trajectory, name="keypoints", task=TASK, **options):
    [tool] = load_tools([name], {name: options})
    content = trajectory.model_dump(mode="json")
    return await tool.found({"task": task, "candidate": Candidate(index=0, content=content, seed=0)})


async def test_masks_and_depth_give_places_all_along_a_trajectory(placed):
    finding = await finding_of(placed, every=4)
    assert placed.success
    looked = {state for state, place in enumerate(finding.data["keypoints"]["plate"]) if place}
    last = len(placed.actions)
    assert looked == {*range(0, last + 1, 4), last}
    for name, side in SIDES.items():
        true = np.array(placed.poses[name])[:, :3]
        seen = finding.data["keypoints"][name]
        apart = [np.linalg.norm(true[state] - seen[state]) for state in looked]
        assert max(apart) < 2 * side
        assert np.mean(apart) < side
    regions, size = regions_in(finding.data)
    assert ([region.label for region in regions], size) == (["carrot", "plate"], (224, 168))
    assert decoded(regions[0].mask).sum() > 100
    assert finding.text.startswith("Keypoints (x, y, z in metres")
    assert Tracks.of(finding.data).held("carrot").any()


async def test_a_replay_that_ends_elsewhere_finds_nothing(placed):
    moved = tuple((x + 0.05, *rest) for x, *rest in placed.poses["hand"])
    other = placed.model_copy(update={"poses": {**placed.poses, "hand": moved}})
    with pytest.raises(Exception, match="the replay ends 50 mm from where the recorded trajectory did"):
        await finding_of(other)


@pytest.mark.parametrize("start", [None, {"simulator": "mujoco:carrot"}, {"simulator": 1, "seed": 1}, "mujoco:carrot"])
async def test_a_task_without_a_simulator_cannot_be_replayed(start):
    with pytest.raises(Exception, match="no start with a simulator and a seed"):
        await finding_of(carried("placed"), task=Task(id="1", prompt="x", start=start))


async def test_poses_are_taken_as_they_were_recorded():
    trajectory = carried("placed")
    tracks = Tracks.of((await finding_of(trajectory, "pose_keypoints")).data)
    for name, poses in trajectory.poses.items():
        assert tracks.points[name] == pytest.approx(np.array(poses)[:, :3], abs=1e-4)
    assert tracks.grasped.sum() == 8
    with pytest.raises(Exception, match="no poses were recorded"):
        await finding_of(Trajectory(states=[[0]], actions=[]), "pose_keypoints")


async def test_noise_is_of_the_size_asked_for_seeded_and_not_on_the_hand():
    async def tracks(**options):
        return Tracks.of((await finding_of(carried("placed"), "pose_keypoints", **options)).data).points

    clean, noisy = await tracks(), await tracks(noise=15.0)
    assert np.array_equal(clean["hand"], noisy["hand"])
    apart = np.concatenate([noisy[name] - clean[name] for name in ("carrot", "plate")])
    assert apart.std() == pytest.approx(0.015, rel=0.25)
    assert np.array_equal(noisy["carrot"], (await tracks(noise=15.0))["carrot"])
    assert not np.array_equal(noisy["carrot"], (await tracks(noise=15.0, seed=1))["carrot"])
