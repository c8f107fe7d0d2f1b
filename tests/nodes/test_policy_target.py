"""A policy as the target: start states, instructions, seeds, tasks that are played together."""

import asyncio

import pytest

from anyprefer.core.errors import InputError, ModelSetupError, SettingsError
from anyprefer.core.settings import RunSettings
from anyprefer.core.task import Task
from anyprefer.core.trajectories import Trajectory
from anyprefer.graph.players import load_target
from anyprefer.models.policies.kept_inputs import kept
from anyprefer.models.policies.lock_step import LockStep
from anyprefer.models.policies.small import SmallPolicy
from tests.policies import CARROT, SPOON, WORDS

START = {"simulator": "mujoco:carrot", "seed": 20_000}


@pytest.fixture
def target(tmp_path, monkeypatch):
    """A policy that has learnt nothing; its episodes end after three steps."""
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("anyprefer.models.simulators.mujoco_scenes.STEPS", 3)
    policy = SmallPolicy.new(WORDS, seed=3)
    made = load_target(f"policy:{policy.save(tmp_path / 'policy')}", RunSettings())
    yield made
    made.close()


async def test_a_candidate_is_a_trajectory_of_its_start_seed_and_instruction(target):
    task = Task(id="1", prompt=CARROT, start=START)
    first, other = await target.sample(task, CARROT, [1, 2])
    [again] = await target.sample(task, CARROT, [1])
    [told] = await target.sample(task, SPOON, [1])
    assert isinstance(first, Trajectory)
    assert (first.instruction, told.instruction) == (CARROT, SPOON)
    assert first.poses["carrot"][0] == other.poses["carrot"][0]
    assert first.actions != other.actions
    assert again.tokens == first.tokens
    assert again.logprobs[0] == pytest.approx(first.logprobs[0], abs=1e-4)
    assert told.logprobs[0] != pytest.approx(first.logprobs[0], abs=1e-4)
    assert first.success is False
    assert set(first.poses) == {"hand", "carrot", "plate"}
    assert [one["crop"].shape for one in kept(first.inputs, 3)] == [(48, 48, 3)] * 3


async def test_tasks_in_flight_are_played_together_and_one_that_cannot_be_played_fails_alone(target, monkeypatch):
    played, real = [], LockStep.play

    def play(self, policy, episodes, temperature):
        played.append(len(episodes))
        return real(self, policy, episodes, temperature)

    monkeypatch.setattr(LockStep, "play", play)
    tasks = [Task(id=str(seed), prompt=CARROT, start={**START, "seed": seed}) for seed in range(3)]
    found = await asyncio.gather(*(target.sample(task, CARROT, [0, 1]) for task in tasks))
    assert played == [6]
    assert len({walk.poses["carrot"][0] for walks in found for walk in walks}) == 3
    for start in (None, {"simulator": "mujoco:carrot"}, {"simulator": "mujoco:carrot", "seed": "1"}):
        with pytest.raises(InputError, match="task odd needs start"):
            await target.sample(Task(id="odd", prompt=CARROT, start=start), CARROT, [0])
    wrong = Task(id="wrong", prompt=CARROT, start={"simulator": "mujoco:carot", "seed": 1})
    [right], error = await asyncio.gather(
        target.sample(tasks[0], CARROT, [0]), target.sample(wrong, CARROT, [0]), return_exceptions=True
    )
    assert right.tokens == found[0][0].tokens
    assert isinstance(error, SettingsError)
    assert "'carot'" in str(error)


def test_a_policy_that_is_not_there_is_said(tmp_path):
    with pytest.raises(SettingsError, match="target 'policy' needs a policy"):
        load_target("policy", RunSettings())
    with pytest.raises(ModelSetupError, match="holds no small policy"):
        load_target(f"policy:small:{tmp_path}", RunSettings())
    with pytest.raises(ModelSetupError, match="unknown policy 'smal'; did you mean 'small'"):
        load_target("policy:smal", RunSettings())
