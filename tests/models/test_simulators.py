"""The embedded simulator: seeded starts, pictures, camera, shifts, the expert."""

import numpy as np
import pytest

from anyprefer.core.errors import InputError, SettingsError
from anyprefer.models.simulators import expert, shifts
from anyprefer.models.simulators.by_name import simulator
from anyprefer.models.simulators.scene_table import SCENES


def played(scene, seed, noise=False):
    """The steps of a demonstration, and whether it came off."""
    steps, episode = [], expert.demonstration(simulator(scene, pixels=False), seed, noise)
    while True:
        try:
            steps.append(next(episode))
        except StopIteration as end:
            return steps, end.value


@pytest.mark.parametrize("scene", SCENES)
def test_the_expert_does_each_task(scene):
    steps, success = played(f"mujoco:{scene}", 0)
    assert success
    assert len(steps) < 30
    assert any(step.info["is_grasped"] for step in steps)
    assert steps[0].instruction in SCENES[scene].instructions


def test_noise_is_played_and_what_the_expert_would_do_is_kept():
    clean, noisy = (played("mujoco:stack", 3, noise)[0] for noise in (False, True))
    assert np.array_equal(clean[0].action, noisy[0].action)
    assert not np.array_equal(clean[1].observation["agent_pos"], noisy[1].observation["agent_pos"])
    assert all(abs(step.action[:3]).max() <= expert.LONGEST for step in noisy)


def test_a_seed_gives_the_same_episode_whatever_the_shift_of_the_start():
    one, again, other = (
        simulator(name, pixels=False) for name in ("mujoco:carrot", "mujoco:carrot", "mujoco:carrot@camera")
    )
    starts = [env.reset(seed=5)[1]["poses"] for env in (one, again, other)]
    assert starts[0] == starts[1] == starts[2]
    ends = [env.step(np.full(7, 0.02))[1:] for env in (one, again)]
    assert ends[0] == ends[1]
    assert one.reset(seed=6)[1]["poses"] != starts[0]


def test_masks_depth_and_camera_agree_on_where_the_carrot_is():
    env = simulator("mujoco:carrot")
    observation, info = env.reset(seed=1)
    assert observation["pixels"].shape == (168, 224, 3)
    assert observation["pixels"].dtype == np.uint8
    assert env.observation_space.contains(observation)
    ids, names = env.segmentation()
    assert {names[number] for number in np.unique(ids) if number} == {"carrot", "plate", "robot", "table"}
    rows, columns = np.nonzero(ids == 1)
    assert len(rows) > 200
    middle = env.camera().project(np.array(info["poses"]["carrot"][:3]))[0]
    assert np.abs(middle - [columns.mean(), rows.mean()]).max() < 3
    seen = env.camera().points(np.stack([columns, rows], axis=1), env.depth()[rows, columns])
    assert np.linalg.norm(seen.mean(axis=0) - info["poses"]["carrot"][:3]) < 0.016
    env.close()


def test_a_bumped_camera_is_not_what_the_policy_is_told():
    env = simulator("mujoco:carrot@camera=0.02", pixels=False)
    assert np.isclose(np.linalg.norm(env.camera().position - env.calibration().position), 0.02)
    straight = simulator("mujoco:carrot", pixels=False)
    assert np.array_equal(straight.camera().position, env.calibration().position)


def test_shifts_change_friction_object_and_light():
    plain, *changed = (
        simulator(f"mujoco:carrot{shift}", pixels=False)._model
        for shift in ("", "@friction=0.5", "@object=1", "@light=0.5")
    )
    pad = plain.geom("left_pad").id
    assert changed[0].geom_friction[pad, 0] == plain.geom_friction[pad, 0] / 2
    carrot = plain.body("source").geomadr[0]
    assert np.allclose(changed[1].geom_size[carrot], 1.1 * plain.geom_size[carrot])
    assert changed[1].geom_rgba[carrot, 2] > changed[1].geom_rgba[carrot, 0]
    assert changed[2].light_diffuse[0, 0] == plain.light_diffuse[0, 0] / 2


@pytest.mark.parametrize("action", [[0.0] * 6, [float("nan")] * 7, [float("inf")] + [0.0] * 6])
def test_an_action_that_is_none_is_an_error(action):
    env = simulator("mujoco:carrot", pixels=False)
    env.reset(seed=0)
    with pytest.raises(InputError, match="an action is"):
        env.step(action)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bullet:carrot", "no simulator is called 'bullet'"),
        ("mujoco:carot", "did you mean 'carrot'"),
        ("mujoco:carrot@camra", "did you mean 'camera'"),
        ("mujoco:carrot@camera=far", "no size between 0 and 0.06"),
        ("mujoco:carrot@camera=nan", "no size between"),
        ("mujoco:carrot@camera=7", "no size between"),
    ],
)
def test_a_wrong_name_is_an_error_that_says_what_there_is(name, said):
    with pytest.raises(SettingsError, match=said):
        simulator(name)


def test_a_shift_without_a_size_says_how_it_is_found(monkeypatch):
    monkeypatch.setattr(shifts, "shipped", dict)
    with pytest.raises(SettingsError, match=r"shift 'friction' has no size yet: `python -m benchmarks.shifts friction"):
        simulator("mujoco:carrot@friction")
