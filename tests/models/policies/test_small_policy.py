"""The small policy's numbers: cached decoding, batches, seeds, words, files."""

import numpy as np
import pytest
import torch

from anyprefer.core.errors import ModelSetupError
from anyprefer.models.policies.action_tokens import BINS, ActionTokens
from anyprefer.models.policies.small import TOKENS, SmallPolicy, sampled
from tests.policies import CARROT, SPOON, WORDS, seen


@pytest.fixture(scope="module")
def policy():
    made = SmallPolicy.new(WORDS, seed=3)
    made.module.eval()
    return made


def test_the_log_probabilities_told_are_those_that_are_trained(policy):
    observations, told = seen(6), [CARROT] * 3 + [SPOON] * 3
    acted = policy.act(observations, told, range(6), 1.0)
    kept = [policy.inputs(one) for one in observations]
    again = policy.log_probabilities(kept, told, torch.from_numpy(acted.tokens)).detach().double().numpy()
    assert acted.log_probabilities == pytest.approx(again, abs=1e-4)
    assert (acted.log_probabilities < 0).all()
    assert acted.actions == pytest.approx(TOKENS.actions(acted.tokens))


def test_a_row_is_the_same_alone_and_beside_others(policy):
    observations = seen(5)
    together = policy.act(observations, [CARROT] * 5, range(5), 1.0)
    alone = policy.act(observations[3:4], [CARROT], [3], 1.0)
    assert alone.log_probabilities[0] == pytest.approx(together.log_probabilities[3], abs=1e-4)
    assert alone.tokens[0].tolist() == together.tokens[3].tolist()


def test_seeds_and_temperature_decide_what_is_sampled(policy):
    observations = seen(1) * 64
    warm, cold = (policy.act(observations, [CARROT] * 64, range(64), heat).tokens for heat in (1.0, 0.0))
    assert len({tuple(row) for row in warm.tolist()}) > 60
    assert (cold == cold[0]).all()


def test_the_instruction_reaches_the_policy_word_by_word(policy):
    observations = seen(1) * 4
    told = [CARROT, SPOON, "Put, frobnicate the CARROT on the plate!", "zzz"]
    carrot, spoon, reworded, nothing = policy.act(observations, told, [0] * 4, 1.0).log_probabilities
    assert carrot.tolist() == pytest.approx(reworded.tolist(), abs=1e-4)
    assert not np.allclose(carrot, spoon, atol=1e-4)
    assert np.isfinite(nothing).all()


def test_a_token_is_drawn_as_often_as_it_is_likely():
    logits = torch.tensor([[0.0, 1.0, 2.0]])
    drawn = torch.arange(1000).double() / 1000
    counts = sampled(logits.expand(1000, 3), drawn, 1.0).bincount(minlength=3) / 1000
    assert counts.tolist() == pytest.approx(logits.softmax(-1)[0].tolist(), abs=2e-3)
    assert sampled(logits, torch.tensor([0.999999999]), 1e-6).tolist() == [2]


def test_a_policy_is_one_file_that_is_loaded_again(policy, tmp_path):
    policy.save(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["policy.safetensors"]
    again = SmallPolicy.load(str(tmp_path))
    assert again.vocabulary == policy.vocabulary
    assert again.checkpoint == f"small:{tmp_path}"
    ours, theirs = (one.act(seen(2), [CARROT, SPOON], [0, 1], 1.0) for one in (policy, again))
    assert ours.log_probabilities.tolist() == theirs.log_probabilities.tolist()
    (tmp_path / "policy.safetensors").write_bytes(b"{")
    with pytest.raises(ModelSetupError, match="holds no small policy"):
        SmallPolicy.load(str(tmp_path))


def test_bins_are_openvlas():
    tokens = ActionTokens((-1.0,) * 7, (1.0,) * 7, (False,) * 7)
    edges = np.linspace(-1, 1, BINS)
    middles = (edges[:-1] + edges[1:]) / 2
    given = np.random.default_rng(0).uniform(-1.2, 1.2, (50, 7))
    digitized = np.digitize(np.clip(given, -1, 1), edges)  # `ActionTokenizer.__call__`: token id = vocabulary - this
    assert tokens.tokens(given).tolist() == (digitized - 1).tolist()
    assert tokens.actions(tokens.tokens(given)).tolist() == middles[np.clip(digitized - 1, 0, 254)].tolist()
    assert tokens.actions(tokens.tokens(np.zeros(7))).tolist() == [0.0] * 7


def test_statistics_scale_what_the_mask_says():
    statistics = {"q01": [-0.02] * 6 + [0.0], "q99": [0.04] * 6 + [1.0], "mask": [True] * 6 + [False]}
    tokens = ActionTokens.of_statistics({"bridge_orig": {"action": statistics}})
    ends = tokens.actions([[0] * 7, [254] * 7])
    assert ends[:, 0] == pytest.approx([-0.02 + 0.06 / 510, 0.04 - 0.06 / 510], abs=1e-7)
    assert ends[:, 6] == pytest.approx([-1 + 1 / 255, 1 - 1 / 255])
    with pytest.raises(ModelSetupError, match="no data set 'bridge'; did you mean 'bridge_orig'"):
        ActionTokens.of_statistics({"bridge_orig": {}, "rt1": {}}, "bridge")
    with pytest.raises(ModelSetupError, match=r"hold no action\.q01"):
        ActionTokens.of_statistics({"odd": {"action": {"q01": "x"}}})
    with pytest.raises(ModelSetupError, match="of 2 dimensions"):
        ActionTokens.of_statistics({"odd": {"action": {"q01": [0, 0], "q99": [1, 1]}}})
