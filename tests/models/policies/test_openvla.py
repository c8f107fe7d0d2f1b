"""OpenVLA made tiny: what it is given, what is sampled, and that training sees the same numbers."""

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForImageTextToText

from anyprefer.core.errors import ModelSetupError
from anyprefer.models.policies.by_name import policy as load_policy
from anyprefer.models.policies.openvla_model import OpenVLA
from tests.policies import seen
from tests.tiny_openvla import tiny_openvla

SHORT, LONG = "put carrot", "place the spoon on the towel"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_openvla(tmp_path_factory.mktemp("openvla"))


@pytest.fixture
def policy(folder, monkeypatch):
    monkeypatch.setenv("ANYPREFER_DTYPE", "float32")
    return load_policy(f"openvla:{folder}")


def test_a_saved_folder_loads_with_the_auto_classes(folder):
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    assert isinstance(model, OpenVLA)
    assert AutoConfig.from_pretrained(folder).siglip_config.image_size == 28
    assert (model.tokens, model.side) == (320, 28)


def test_log_probabilities_told_are_those_trained_for_prompts_of_any_length(policy):
    observations, told = seen(4), [SHORT, LONG, SHORT, LONG]
    acted = policy.act(observations, told, range(4), 1.0)
    kept = [policy.inputs(one) for one in observations]
    again = policy.log_probabilities(kept, told, torch.from_numpy(acted.tokens)).detach().double().numpy()
    assert acted.log_probabilities == pytest.approx(again, abs=1e-4)
    alone = policy.act(observations[:1], [SHORT], [0], 1.0)
    assert alone.log_probabilities[0] == pytest.approx(acted.log_probabilities[0], abs=1e-4)
    assert kept[0]["pixels"].shape == (28, 28, 3)


def test_bins_are_the_last_256_tokens_and_actions_have_the_scale_of_bridge(policy):
    acted = policy.act(seen(3), [SHORT] * 3, range(3), 1.0)
    assert ((acted.tokens >= 0) & (acted.tokens < 256)).all()
    assert (abs(acted.actions[:, :6]) <= 0.03).all()
    assert set(acted.actions[:, 6]) <= {-1.0, 1.0}
    logits = torch.zeros(1, 384)
    logits[0, 319 - 7] = 5.0  # OpenVLA's id of bin 7: vocabulary - 1 - 7
    assert policy._bins(logits).argmax().item() == 7


def test_patches_stand_behind_the_first_token_and_the_last_layers_are_not_played(policy):
    model = policy.module
    pixels = torch.from_numpy(np.stack([policy.inputs(one)["pixels"] for one in seen(2)]))
    before = model.patches(pixels)
    with torch.no_grad():
        for tower in (model.dino.encoder.layer, model.siglip.encoder.layers):
            for weight in tower[-1].parameters():
                weight.fill_(9.0)
    assert torch.equal(model.patches(pixels), before)
    ids = torch.tensor([[0, 3, 4], [0, 0, 5]])
    mask = torch.tensor([[1, 1, 1], [0, 1, 1]])
    given = {}
    real = model.language_model.forward

    def spied(**arguments):
        given.update(arguments)
        return real(**arguments)

    model.language_model.forward = spied
    model(pixels, ids, mask)
    words = model.get_input_embeddings()
    assert torch.equal(given["inputs_embeds"][0], torch.cat([words(ids[0, :1]), before[0], words(ids[0, 1:])]))
    assert torch.equal(given["inputs_embeds"][1, 1:], torch.cat([words(ids[1, 1:2]), before[1], words(ids[1, 2:])]))
    assert given["attention_mask"].tolist() == [[1] * 7, [0] + [1] * 6]


def test_lora_is_saved_loaded_and_trained_on(policy, tmp_path):
    policy.with_lora(4, 8)
    with torch.no_grad():
        for name, weight in policy.module.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.02)
    spec = policy.save(tmp_path / "adapter")
    again = load_policy(spec)
    ours, theirs = (one.act(seen(2), [LONG] * 2, [0, 1], 1.0) for one in (policy, again))
    assert ours.log_probabilities == pytest.approx(theirs.log_probabilities, abs=1e-5)
    again.with_lora(16, 16)  # its own goes on
    assert again.module.peft_config["default"].r == 4
    trained = [name for name, weight in again.module.named_parameters() if weight.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)


def test_other_models_are_refused(tmp_path):
    from transformers import LlamaConfig

    LlamaConfig(hidden_size=8, num_attention_heads=2, num_hidden_layers=1).save_pretrained(tmp_path)
    with pytest.raises(ModelSetupError, match="is a llama, not an OpenVLA"):
        load_policy(f"openvla:{tmp_path}")
