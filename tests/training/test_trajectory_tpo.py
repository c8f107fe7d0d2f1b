"""TPO on the small policy: windows, the loss, where it starts, when it stops, what it leaves."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from anyprefer.core.errors import SettingsError, TrainingError
from anyprefer.core.settings import RunSettings
from anyprefer.core.trajectories import Trajectory
from anyprefer.models.policies.by_name import policy as load_policy
from anyprefer.models.policies.kept_inputs import keep
from anyprefer.models.policies.small import SmallPolicy
from anyprefer.training.trainers.by_name import trainer
from anyprefer.training.trainers.trajectory_training import preference_loss, windows
from tests.policies import CARROT, SPOON, WORDS, seen
from tests.tiny_openvla import tiny_openvla

STEPS = (10, 7)


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path / "cache"))


def played(policy, instruction, steps, seed):
    """A trajectory of observations that no action changes."""
    observations = seen(steps + 1, seed)
    acted = policy.act(observations[:-1], [instruction] * steps, range(seed, seed + steps), 1.0)
    return Trajectory(
        states=[tuple(one["agent_pos"]) for one in observations],
        actions=acted.actions.tolist(),
        instruction=instruction,
        tokens=acted.tokens.tolist(),
        logprobs=acted.log_probabilities.tolist(),
        inputs=keep([policy.inputs(one) for one in observations[:-1]]),
    )


def written(folder, pairs):
    """A file of pairs, and the policy that played them."""
    file = folder / "pairs.jsonl"
    rows = [
        {"prompt": "x", "chosen": one.model_dump(mode="json"), "rejected": other.model_dump(mode="json")}
        for one, other in pairs
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture
def start(tmp_path):
    policy = SmallPolicy.new(WORDS, seed=1)
    policy.module.eval()
    return f"policy:{policy.save(tmp_path / 'start')}"


@pytest.fixture
def pairs(tmp_path, start):
    policy = load_policy(start.removeprefix("policy:"))
    made = [
        [played(policy, told, steps, 100 * number + steps) for steps in STEPS]
        for number, told in enumerate((CARROT, SPOON))
    ]
    return written(tmp_path, made)


def trained(start, pairs, output, **settings):
    made = trainer("trajectory", {"warmup_steps": 0, **settings})
    checkpoint = made.train([pairs], start, output, seed=0)
    return checkpoint, json.loads((output / "anyprefer.json").read_text())


def test_training_starts_at_log_2_and_prefers_what_was_chosen(tmp_path, start, pairs):
    checkpoint, report = trained(start, pairs, tmp_path / "made", epochs=10, learning_rate=1e-3, batch_size=2)
    assert report["losses"][0] == pytest.approx(math.log(2), abs=1e-5)
    assert report["losses"][-1] < 0.3
    assert report["chosen"][-1] > report["rejected"][-1]
    assert (report["trained"], report["windows"]) == (2, 2)
    assert checkpoint == f"policy:small:{tmp_path / 'made'}"
    assert load_policy(checkpoint.removeprefix("policy:")).vocabulary == WORDS
    assert set(trainer("trajectory").told(tmp_path / "made")) >= {"pairs", "loss", "seconds"}


def test_the_same_seed_gives_the_same_policy_and_a_finished_training_stays(tmp_path, start, pairs):
    weights = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        trainer("trajectory", {"warmup_steps": 0, "batch_size": 1}).train([pairs], start, tmp_path / name, seed)
        weights.append((tmp_path / name / "policy.safetensors").read_bytes())
    assert weights[0] == weights[1] != weights[2]
    before = (tmp_path / "a" / "anyprefer.json").stat().st_mtime_ns
    trainer("trajectory").train([pairs], start, tmp_path / "a", 0)
    assert (tmp_path / "a" / "anyprefer.json").stat().st_mtime_ns == before


def test_curves_go_to_tensorboard_in_the_output(tmp_path, start, pairs):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _, report = trained(start, pairs, tmp_path / "made", report_to="tensorboard")
    events = EventAccumulator(str(tmp_path / "made" / "curves")).Reload()
    assert [one.value for one in events.Scalars("train/loss")] == pytest.approx(report["losses"])
    assert [one.value for one in events.Scalars("train/rewards/chosen")] == pytest.approx(report["chosen"])


def test_lora_trains_few_weights_and_is_merged(tmp_path, start, pairs):
    _, report = trained(start, pairs, tmp_path / "made", lora_r=4, epochs=5, learning_rate=1e-2)
    assert report["losses"][0] == pytest.approx(math.log(2), abs=1e-5)
    assert report["losses"][-1] < report["losses"][0] - 0.05
    before, after = (SmallPolicy.load(str(tmp_path / name)).module.state_dict() for name in ("start", "made"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert "blocks.0.wide.weight" in changed
    assert not any("eye" in name or "bias" in name for name in changed)


def test_filtered_imitation_is_the_likelihood_of_the_chosen_alone(tmp_path, start, pairs):
    _, report = trained(start, pairs, tmp_path / "made", loss_type=("sft",), epochs=8, learning_rate=1e-3)
    assert report["losses"][0] == pytest.approx(math.log(256), abs=1.5)
    assert report["chosen"][-1] > 5
    _, both = trained(start, pairs, tmp_path / "both", loss_type=("sigmoid", "sft"), loss_weights=(1, 0.5), epochs=1)
    assert both["losses"][0] == pytest.approx(math.log(2) + 0.5 * report["losses"][0], abs=0.02)


def test_training_stops_where_the_chosen_become_unlikely(tmp_path, start):
    policy = load_policy(start.removeprefix("policy:"))
    same = played(policy, CARROT, 8, 0)
    worse = same.model_copy(update={"logprobs": tuple(tuple(p + 1 for p in row) for row in same.logprobs)})
    file = written(tmp_path, [(worse, same)])
    _, report = trained(start, file, tmp_path / "made", epochs=40, learning_rate=1e-6)
    assert report["stopped"] == 10
    assert len(report["losses"]) == 10
    assert report["chosen"][0] == pytest.approx(-56, abs=1e-2)


def test_windows_stand_side_by_side_and_the_longer_trajectory_is_cut(start):
    policy = load_policy(start.removeprefix("policy:"))
    chosen, rejected = played(policy, CARROT, 10, 0), played(policy, CARROT, 17, 30)
    found = windows(chosen, rejected, 8)
    assert [len(one.inputs) for one, _ in found] == [8, 2]
    assert found[1][1].tokens.tolist() == [list(row) for row in rejected.tokens[8:10]]
    assert np.array_equal(found[1][0].inputs[1]["crop"], policy.inputs(seen(11, 0)[9])["crop"])


def test_the_loss_is_trls():
    over = torch.tensor([0.0, 3.0, -2.0]), torch.tensor([0.0, -1.0, 4.0])
    margins = [0.0, 4.0, -6.0]
    assert preference_loss(*over, 0.1).item() == pytest.approx(
        sum(math.log(1 + math.exp(-0.1 * margin)) for margin in margins) / 3
    )


def test_what_cannot_be_trained_on_is_said(tmp_path, start):
    bare = Trajectory(states=[(0.0,), (1.0,)], actions=[(0.0,)])
    with pytest.raises(TrainingError, match="no tokens, logprobs or inputs"):
        trained(start, written(tmp_path, [(bare, bare)]), tmp_path / "made")
    policy = load_policy(start.removeprefix("policy:"))
    gone = played(policy, CARROT, 2, 0)
    Path(gone.inputs).unlink()
    with pytest.raises(TrainingError, match=r"cannot be read from .*play these tasks again"):
        trained(start, written(tmp_path, [(gone, gone)]), tmp_path / "made")
    untold = played(policy, CARROT, 2, 0).model_copy(update={"logprobs": ((float("nan"),) * 7,) * 2})
    with pytest.raises(TrainingError, match="returned no log probabilities"):
        windows(untold, untold, 8)
    for name in ("smollm2", "policy:server:http://localhost:1"):
        with pytest.raises(SettingsError, match="cannot be trained on trajectories here"):
            trainer("trajectory").check(name, RunSettings())
    with pytest.raises(TrainingError, match="'beta'"):
        trainer("trajectory", {"beta": 0})


def test_openvla_made_tiny_samples_trains_with_lora_and_acts_again(tmp_path, monkeypatch):
    monkeypatch.setenv("ANYPREFER_DTYPE", "float32")
    start = f"policy:openvla:{tiny_openvla(tmp_path / 'openvla')}"
    policy = load_policy(start.removeprefix("policy:"))
    file = written(tmp_path, [[played(policy, CARROT, 3, 0), played(policy, CARROT, 4, 50)]])
    made = trainer("trajectory", {"learning_rate": 1e-2, "warmup_steps": 0, "epochs": 4}, preset="paper")
    checkpoint = made.train([file], start, tmp_path / "made", seed=0)
    report = json.loads((tmp_path / "made" / "anyprefer.json").read_text())
    assert report["settings"]["lora_r"] == 32
    assert report["losses"][0] == pytest.approx(math.log(2), abs=1e-4)
    assert report["losses"][-1] < report["losses"][0] - 0.02
    again = load_policy(checkpoint.removeprefix("policy:"))
    before, after = (one.act(seen(2), [CARROT] * 2, [0, 1], 0.0).log_probabilities for one in (policy, again))
    assert not np.allclose(before, after, atol=1e-3)
    more = made.train([file], checkpoint, tmp_path / "more", seed=0)
    assert json.loads((tmp_path / "more" / "adapter_config.json").read_text())["base_model_name_or_path"] == str(
        tmp_path / "openvla"
    )
    assert load_policy(more.removeprefix("policy:")).checkpoint == f"openvla:{tmp_path / 'more'}"
