"""Building the embedded policy: demonstrations, soft targets, and a toy that is played."""

import numpy as np
import pytest
import torch

from anyprefer.models.policies.by_name import policy
from anyprefer.models.policies.small import TOKENS, SmallPolicy
from anyprefer.training.bases.by_name import ensure
from anyprefer.training.bases.demonstrations import FIRST, demonstrations
from anyprefer.training.bases.small_policy import soft_targets, train_policy
from tests.policies import seen


@pytest.fixture(scope="module")
def shown():
    return demonstrations(SmallPolicy.new(()).inputs, 1, ["carrot", "stack"])


def test_demonstrations_are_steps_of_the_clean_expert_with_what_the_policy_sees(shown):
    steps = len(shown.action)
    assert steps > 20
    assert (shown.scene.shape, shown.crop.shape) == ((steps, 48, 64, 3), (steps, 48, 48, 3))
    assert (shown.state.shape, shown.truth.shape) == ((steps, 8), (steps, 10))
    assert set(shown.task.tolist()) == {0, 1}
    assert len(shown.instructions[1]) == 3
    assert set(shown.action[:, 6].tolist()) == {-1.0, 1.0}
    assert (abs(shown.action[:, :3]) <= 0.0459).all()
    assert shown.truth[0, 8] == 0  # nothing is held in the first step
    assert FIRST == 100_000


def test_soft_targets_are_around_the_experts_bins_and_the_gripper_is_certain():
    actions = np.array([[0.0459, 0.0, -0.01, 0, 0, 0.1, -1.0]], dtype=np.float32)
    soft = soft_targets(actions)
    assert soft.sum(-1)[0].tolist() == pytest.approx([1.0] * 7, abs=1e-5)
    bins = np.minimum(TOKENS.tokens(actions), 254)
    assert soft.argmax(-1).tolist() == bins.tolist()
    assert soft[0, 6].max() == 1
    assert soft[0, 1].max() == pytest.approx(1 / (3 * np.sqrt(2 * np.pi)), rel=1e-2)
    assert soft[0, 5].max() < soft[0, 1].max() / 3
    assert soft[..., 255].abs().max() == 0


def test_training_lowers_the_loss_and_depends_on_the_seed_alone(shown):
    made = [train_policy(shown, 3, seed) for seed in (0, 0, 1)]
    first, again, other = (one.module.head.weight for one in made)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert "carrot" in made[0].vocabulary


def test_a_toy_is_built_and_played(tmp_path):
    folder = ensure("policy", steps=1, folder=tmp_path / "toy")
    acted = policy(f"small:{folder}").act(seen(1), ["put carrot on plate"], [0], 1.0)
    assert np.isfinite(acted.log_probabilities).all()
    assert ensure("policy", steps=1, folder=folder) == folder
