from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification, PreTrainedTokenizerFast

from anyprefer.graph.errors import InputError, ModelSetupError
from anyprefer.tools import Finding
from anyprefer.tools.reward_model import reward_model

Ask = Callable[..., Awaitable[Finding]]
TEMPLATE = "{{ bos_token }}{% for m in messages %} {{ m['role'] }} {{ m['content'] }}{% endfor %}"


def save(folder: Path, labels: int = 1, template: str | None = TEMPLATE, head: bool = True) -> str:
    words = ["<s>", "<unk>", "user", "assistant", "Hi", "good", "bad"]
    inner = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", unk_token="<unk>")
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    size = {"vocab_size": 7, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    config = LlamaConfig(**size, num_attention_heads=2, max_position_embeddings=12, num_labels=labels)
    (LlamaForSequenceClassification if head else LlamaForCausalLM)(config).save_pretrained(folder)
    return str(folder)


async def test_the_verdict_is_the_sigmoid_of_the_logit(ask: Ask, tmp_path: Path) -> None:
    name = save(tmp_path)
    found = await ask(reward_model, "Hi", "good", model=name, device="cpu", dtype="float32")
    with torch.inference_mode():
        ids = torch.tensor([[0, 2, 4, 3, 5]])  # one start token, though template and tokenizer both add it
        logit = LlamaForSequenceClassification.from_pretrained(name)(ids).logits[0, 0]
    assert found.data["score"] == pytest.approx(float(logit), abs=1e-5)
    assert found.verdict == pytest.approx(float(torch.sigmoid(logit)), abs=1e-5)
    assert f"{float(logit):.3f}" in found.text
    assert (await ask(reward_model, "Hi", "bad", model=name, device="cpu", dtype="float32")).data != found.data


async def test_too_long_is_unscored(ask: Ask, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="tokens"):
        await ask(reward_model, "Hi", "good " * 20, model=save(tmp_path), device="cpu")


@pytest.mark.parametrize(
    ("options", "says"),
    [({"labels": 2}, "2 labels"), ({"template": None}, "chat template"), ({"head": False}, "no trained score")],
)
async def test_other_models_are_refused(ask: Ask, tmp_path: Path, options: dict[str, object], says: str) -> None:
    with pytest.raises(ModelSetupError, match=says):
        await ask(reward_model, "Hi", "good", model=save(tmp_path, **options), device="cpu")  # type: ignore[arg-type]


async def test_a_missing_model_is_named(ask: Ask, tmp_path: Path) -> None:
    with pytest.raises(ModelSetupError, match="nowhere"):
        await ask(reward_model, "Hi", "good", model=str(tmp_path / "nowhere"), device="cpu")
