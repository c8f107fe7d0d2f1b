"""Rollouts: the same in one process and in two; a process that dies is told."""

import os
import signal

import pytest

from anyprefer.core.errors import ModelError
from anyprefer.models import rollouts
from anyprefer.models.policies import lock_step
from anyprefer.models.policies.lock_step import Episode
from anyprefer.models.policies.small import SmallPolicy
from anyprefer.models.rollouts import Rollouts
from tests.policies import CARROT, WORDS


@pytest.fixture
def spec(tmp_path, monkeypatch):
    """A policy that has learnt nothing, whose episodes are played two at a time."""
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path / "cache"))
    for module in (rollouts, lock_step):
        monkeypatch.setattr(module, "AT_ONCE", 2)
    SmallPolicy.new(WORDS, seed=3).save(tmp_path / "policy")
    return f"small:{tmp_path / 'policy'}"


def test_episodes_are_the_same_whatever_the_number_of_processes_and_a_dead_process_is_told(spec):
    episodes = [Episode("mujoco:carrot@camera", 5, CARROT, seed) for seed in range(3)]
    here, there = Rollouts(spec, workers=1), Rollouts(spec, workers=2)
    alone = [trajectory for share in (episodes[:2], episodes[2:]) for trajectory in here.play(share, 1.0)]
    assert here._pool is None
    assert alone == there.play(episodes, 1.0)
    assert len({trajectory.actions for trajectory in alone}) == 3
    assert all(trajectory.states[0] == alone[0].states[0] for trajectory in alone)
    assert all(len(trajectory.tokens) == len(trajectory.actions) <= 40 for trajectory in alone)
    for process in list(there._pool._processes):
        os.kill(process, signal.SIGKILL)
    with pytest.raises(ModelError, match="died with 3 episodes unfinished"):
        there.play(episodes, 1.0)
    there.close()
    here.close()


def test_one_share_is_played_here(spec):
    made = Rollouts(spec, workers=2)
    [trajectory] = made.play([Episode("mujoco:stack", 1, "stack green cube on yellow cube", 0)], 0.0)
    assert made._pool is None
    assert trajectory.success is False
    assert set(trajectory.poses) == {"hand", "green cube", "yellow cube"}
    made.close()
