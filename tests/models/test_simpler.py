"""SIMPLER's scenes behind our interface, ManiSkill's part played by a stand-in; what is missing is told."""

import sys

import numpy as np
import pytest

from anyprefer.core.errors import InputError, ModelSetupError, SettingsError
from anyprefer.models.policies.lock_step import Episode
from anyprefer.models.policies.small import SmallPolicy
from anyprefer.models.rollouts import Rollouts
from anyprefer.models.simulators import expert, maniskill
from anyprefer.models.simulators.by_name import scene_named, simulator
from anyprefer.models.simulators.simpler_table import SIMPLER_TASKS
from anyprefer.training.evaluation.control_families import CONTROL
from tests.maniskill import stand_in
from tests.policies import WORDS


@pytest.fixture
def world(monkeypatch, tmp_path):
    return stand_in(monkeypatch, tmp_path / "data")


def test_the_expert_does_the_task_and_success_is_scored_at_the_last_step(world):
    env = simulator("simpler:carrot", pixels=False)
    observation, info = env.reset(seed=0)
    assert set(info["poses"]) == {"hand", "carrot", "plate"}
    told, grasped = [], False
    for _ in range(60):
        observation, reward, done, cut, info = env.step(expert.action(env.scene, observation, info))
        told.append((reward, done, cut, info["is_success"]))
        grasped = grasped or info["is_grasped"]
    assert grasped
    assert told[:-1] == [(0.0, False, False, False)] * 59
    assert told[-1] == (1.0, True, False, True)
    away = np.subtract(info["poses"]["carrot"], info["poses"]["plate"])
    assert np.hypot(*away[:2]) < env.scene.near


def test_a_failure_ends_at_the_last_step_too(world):
    env = simulator("simpler:eggplant", pixels=False)
    env.reset(seed=0)
    ends = [env.step(np.zeros(7))[2:4] for _ in range(120)]
    assert ends[-1] == (False, True)
    assert set(ends[:-1]) == {(False, False)}


def test_observations_are_those_of_every_simulator_in_the_robots_frame(world):
    env = simulator("simpler:stack")
    observation, info = env.reset(options={"episode_id": 1})
    assert env.observation_space.contains(observation)
    assert np.allclose(observation["agent_pos"], [0.29, 0, 0.13, 0, 0.044, 1, 0, 0], atol=1e-6)
    assert np.allclose(info["poses"]["green cube"], [0.247, -0.022, 0.015, 0, 0, 0, -1], atol=1e-6)
    assert np.allclose(np.abs(info["poses"]["hand"]), [0.29, 0, 0.13, 0.70710678, 0, 0.70710678, 0], atol=1e-6)
    assert (info["is_grasped"], info["touches"], info["task_description"]) == (False, 0, env.scene.instructions[0])
    observation = env.step(np.array([0.02, 0.01, 0, 0, 0, 0.1, -1]))[0]
    assert np.allclose(observation["agent_pos"], [0.31, 0.01, 0.13, 0.1, 0, -1, 0, 0], atol=1e-6)


def test_turns_are_given_as_an_axis_times_an_angle_and_played_as_maniskill_takes_them(world):
    env = simulator("simpler:carrot", pixels=False)
    env.reset(seed=0)
    env.step(np.array([0, 0, 0, 0.2, 0.15, 0.1, 0.3]))
    [command] = env._env.commands
    about = [np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]) for a in command[3:6]]
    x, y, z = about[0], about[1][np.ix_([2, 0, 1], [2, 0, 1])], about[2][np.ix_([1, 2, 0], [1, 2, 0])]
    angle = np.linalg.norm([0.2, 0.15, 0.1])
    assert np.isclose(np.trace(x @ y @ z), 1 + 2 * np.cos(angle), atol=1e-6)
    assert command[6] == 1
    with pytest.raises(InputError, match=r"\(7,\) finite numbers"):
        env.step(np.full(7, np.nan))


def test_a_seed_moves_objects_a_little_from_an_initial_state_and_an_episode_id_does_not(world):
    env = simulator("simpler:carrot", pixels=False)
    first, again, other = (env.reset(seed=seed)[1]["poses"] for seed in (4, 4, 5))
    assert first == again != other
    published = [env.reset(options={"episode_id": number})[1]["poses"] for number in (0, 1)]
    for poses in (first, other):
        moved = [max(abs(np.subtract(poses[name], start[name])).max() for name in env.objects) for start in published]
        assert 0 < min(moved) <= 0.02 + 1e-6


def test_depth_masks_and_camera_are_drawn_once_a_state_and_when_asked_for(world):
    env = simulator("simpler:carrot", pixels=False)
    env.reset(seed=0)
    assert env._env.drawn == 0
    ids, names = env.segmentation()
    assert {names.get(number, "") for number in np.unique(ids)} == {"", "carrot", "plate", "robot", "table"}
    assert (ids[25, 60], ids[65, 60], ids[85, 60], ids[150, 60]) == (3, 1, 2, 4)
    assert env.depth().dtype == np.float32
    assert np.all(env.depth() == 0.5)
    assert env.render().shape == (168, 224, 3)
    assert env._env.drawn == 1
    column, row = env.camera().project(np.array([[0.1, 0.0, 0.0]]))[0]
    assert np.isclose(column, 111.5)
    assert np.isclose(row - 83.5, 0.1 / 0.5 * maniskill.FOCAL)
    assert np.array_equal(env.camera().rotation, env.calibration().rotation)
    env.step(np.zeros(7))
    env.render()
    assert env._env.drawn == 2
    env.close()
    assert env._env.closed


def test_tasks_of_one_process_do_not_share_lists(world):
    first, second = (simulator(f"simpler:{name}", pixels=False)._env for name in ("carrot", "stack"))
    assert first._objects_to_remove_from_greenscreen is not second._objects_to_remove_from_greenscreen
    assert first._rgb_overlay_images is not second._rgb_overlay_images
    assert world._objects_to_remove_from_greenscreen == []


def test_a_policy_plays_in_them(world, monkeypatch, tmp_path):
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path / "cache"))
    SmallPolicy.new(WORDS, seed=3).save(tmp_path / "policy")
    rollouts = Rollouts(f"small:{tmp_path / 'policy'}", workers=1)
    [played] = rollouts.play([Episode("simpler:spoon", 20_000, "put the spoon on the towel", 0)], 1.0)
    assert (len(played.actions), played.success) == (60, False)
    assert set(played.poses) == {"hand", "spoon", "towel"}
    rollouts.close()


def test_names_and_words():
    assert [task.start["simulator"] for task in CONTROL["control_simpler"].make(4, 0, "heldout")] == [
        f"simpler:{name}" for name in SIMPLER_TASKS
    ]
    assert scene_named("simpler:stack").instructions[0] == "stack the green block on the yellow block"
    with pytest.raises(SettingsError, match=r"no scene 'karrot'.*carrot"):
        simulator("simpler:karrot")
    with pytest.raises(SettingsError, match=r"have no shifts.*write simpler:carrot"):
        simulator("simpler:carrot@camera")
    with pytest.raises(SettingsError, match=r"no simulator is called 'simple'.*simpler"):
        simulator("simple:carrot")


def test_what_is_missing_is_told_with_the_lines_that_install_it(world, monkeypatch, tmp_path):
    def fails(self, **given):
        raise RuntimeError("failed to find a rendering device")

    monkeypatch.setattr(world, "__init__", fails)
    with pytest.raises(
        ModelSetupError, match=r"failed to find a rendering device.*apt-get install mesa-vulkan-drivers"
    ):
        simulator("simpler:carrot")
    sys.modules["mani_skill"].ASSET_DIR = tmp_path / "elsewhere"
    with pytest.raises(
        ModelSetupError, match=r"bridge_v2_real2sim_dataset and .*elsewhere.*download_asset.*MS_ASSET_DIR"
    ):
        simulator("simpler:carrot")
    monkeypatch.setitem(sys.modules, "mani_skill", None)
    with pytest.raises(ModelSetupError, match=r'ManiSkill 3.*pip install "anyprefer\[simpler\]"'):
        simulator("simpler:carrot")
