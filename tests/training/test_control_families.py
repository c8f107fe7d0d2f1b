"""Start states of visuo-motor control, and how often trials from them succeed."""

import itertools
from collections import Counter

import pytest

from anyprefer.core.errors import InputError
from anyprefer.core.settings import RunSettings
from anyprefer.core.trajectories import Trajectory
from anyprefer.core.videos import read_video
from anyprefer.training.applications.task_source import TaskSource
from anyprefer.training.evaluation.benchmarks import measure
from anyprefer.training.evaluation.control_families import CONTROL, DEMONSTRATIONS, METRICS, SEEDS, counted
from tests.robots import MisseeingExpert


def seeds(split, seed=0, n=400):
    return {task.start["seed"] for task in CONTROL["control"].make(n, seed, split)}


def test_no_start_state_serves_two_uses_whatever_the_runs_seed():
    ends = sorted((first, first + count) for first, count in SEEDS.values())
    assert all(last <= first for (_, last), (first, _) in itertools.pairwise([*ends, (DEMONSTRATIONS, 0)]))
    for run in (0, 1, 19, 2**40):
        for split, (first, count) in SEEDS.items():
            assert seeds(split, run) <= set(range(first, first + count))
    assert (min(seeds("heldout")), min(seeds("train")), min(seeds("dev"))) == (7000, 20000, 40000)
    assert not seeds("train", 0) & seeds("train", 1)
    with pytest.raises(InputError, match="1 to 80000 start states, not 80001"):
        CONTROL["control"].make(80_001, 0, "train")
    with pytest.raises(InputError, match="no split 'test'"):
        CONTROL["control"].make(1, 0, "test")


def test_tasks_take_turns_with_instructions_in_several_wordings():
    tasks = CONTROL["control_friction"].make(24, 0, "train")
    assert Counter(task.start["simulator"] for task in tasks) == dict.fromkeys(
        [f"mujoco:{name}@friction" for name in ("carrot", "spoon", "stack", "eggplant")], 6
    )
    assert len({task.id for task in tasks}) == 24
    assert tasks[0].prompt in tasks[0].meta["wordings"]
    assert len({task.prompt for task in tasks}) == 12
    assert CONTROL["control_unshifted"].make(1, 0, "dev")[0].start == {"simulator": "mujoco:carrot", "seed": 40000}
    assert CONTROL["control_simpler"].make(1, 0, "dev")[0].start["simulator"] == "simpler:carrot"


def test_iterations_of_an_application_share_no_start_state():
    source = TaskSource(family="control", tasks=112)
    ids = [task.id for number in (1, 2, 3) for task in source.tasks_of(number, 3, 0)]
    assert len(set(ids)) == 336
    assert [task.id for task in source.tasks_of(2, 2, 0)] == ids[112:224]


def test_grasp_is_counted_where_the_object_was_held_in_any_step():
    [task] = CONTROL["control"].make(1, 0, "heldout")
    walk = Trajectory(states=[[0]] * 3, actions=[[0]] * 2, grasped=[False, True, False], success=False)
    assert counted(task, walk) == {
        "trials": 1, "grasp": 1, "success": 0, "trials carrot": 1, "grasp carrot": 1, "success carrot": 0, "steps": 2,
    }  # fmt: skip


def test_trials_are_kept_and_counted_and_the_first_failures_filmed(tmp_path):
    target = MisseeingExpert(most=0.06)
    given = {"settings": RunSettings(temperature=1.0), "target": target, "seed": 0}
    found = measure("control", target.name, 8, folder=tmp_path, **given)
    assert (found.n, found.unscored, found.temperature, found.model) == (8, 0, 1.0, target.name)
    assert 0 < found.correct < 8
    assert found.value("success") == found.accuracy <= found.value("grasp")
    assert set(found.metrics) == set(METRICS)
    failed = [name for name, right in found.marks.items() if not right][:3]
    assert {file.stem for file in (tmp_path / "control-failures").iterdir()} == set(failed)
    first = next(iter((tmp_path / "control-failures").iterdir()))
    frames = list(read_video(first))
    assert len(frames) == 1 + found.tallies[first.stem]["steps"]
    assert frames[0].shape == (168, 224, 3)
    assert len(target.played) == 8
    again = measure("control", target.name, 12, folder=tmp_path, **given)
    assert len(target.played) == 12
    assert {name: again.marks[name] for name in found.marks} == found.marks


class Broken(MisseeingExpert):
    async def sample(self, task, prompt, seeds):
        if task.id.startswith("spoon"):
            raise ConnectionError("policy gone")
        return await super().sample(task, prompt, seeds)


def test_a_trial_that_cannot_be_played_is_unscored():
    found = measure("control", "broken", 4, settings=RunSettings(), target=Broken())
    assert (found.n, found.unscored, found.first_error) == (3, 1, "ConnectionError: policy gone")
