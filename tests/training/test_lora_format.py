import pytest
import torch
from peft import LoraConfig, get_peft_model

from anyprefer.training.trainers.lora_format import lora_in_base_format


def adapted(dtype, **changes):
    torch.manual_seed(0)
    base = torch.nn.Sequential(torch.nn.Linear(32, 48), torch.nn.Linear(48, 16)).to(dtype)
    model = get_peft_model(base, LoraConfig(r=4, lora_alpha=8, target_modules=["0", "1"], **changes))
    for layer in model.modules():
        if hasattr(layer, "lora_B"):
            torch.nn.init.normal_(layer.lora_B["default"].weight)
    return model


def answered(model, dtype):
    """The answer, and the gradients of LoRA's matrices by name."""
    read = torch.randn(8, 32, generator=torch.Generator().manual_seed(1)).to(dtype)
    answer = model(read)
    model.zero_grad()
    answer.float().square().mean().backward()
    return answer.float(), {name: one.grad for name, one in model.named_parameters() if one.grad is not None}


@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_answers_and_gradients_are_pefts(dtype, close):
    model = adapted(dtype)
    stock, gradients = answered(model, dtype)
    lora_in_base_format(model)
    ours, found = answered(model, dtype)
    assert (ours - stock).abs().max() <= close * stock.abs().max()
    assert found.keys() == gradients.keys()
    assert len(found) == 4
    for name, one in found.items():
        assert one.dtype == torch.float32, "the matrices stay what they were"
        assert (one - gradients[name]).abs().max() <= close * gradients[name].abs().max()


def test_without_its_adapter_the_model_is_its_base():
    model = adapted(torch.bfloat16)
    lora_in_base_format(model)
    with model.disable_adapter():
        read = torch.ones(1, 32, dtype=torch.bfloat16)
        assert torch.equal(model(read), model.get_base_model()(read))


@pytest.mark.parametrize("changes", [{"use_dora": True}, {"lora_dropout": 0.5}, {"lora_bias": True}])
def test_relatives_of_lora_stay_as_peft_has_them(changes):
    model = adapted(torch.float32, **changes)
    torch.manual_seed(2)
    stock, _ = answered(model, torch.float32)
    lora_in_base_format(model)
    torch.manual_seed(2)
    assert torch.equal(answered(model, torch.float32)[0], stock)
