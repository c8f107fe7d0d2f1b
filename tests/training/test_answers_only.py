"""Our trainer against TRL's own, on the same batch: pairs of several lengths, an adapter that has moved, float32."""

import json

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM
from trl import DPOConfig, DPOTrainer

from anyprefer.models.local.weights import load_tokenizer, load_weights
from anyprefer.training.pair_data.read import load_pairs
from anyprefer.training.trainers import dpo
from anyprefer.training.trainers.settings import train_settings
from anyprefer.training.trainers.tokens import tokenised

LOSSES = [("sigmoid",), ("sigmoid", "sft"), ("ipo",)]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Prompts and answers of different lengths, the longest cut off at `max_length`."""
    file = tmp_path_factory.mktemp("run") / "pairs.jsonl"
    rows = [
        {
            "prompt": [{"role": "user", "content": "q" * (1 + 3 * number)}],
            "chosen": [{"role": "assistant", "content": "yes" * (1 + number % 3)}],
            "rejected": [{"role": "assistant", "content": "no no " * (1 + 4 * number)}],
        }
        for number in range(5)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_pairs(file)


def stock(rows, base, settings, folder):
    """What TRL does when it is given our loss and LoRA and else left alone, but for the number format."""
    arguments = DPOConfig(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.scheduler,
        seed=settings.seed,
        beta=settings.beta,
        loss_type=list(settings.loss_type),
        loss_weights=list(settings.loss_weights),
        per_device_train_batch_size=settings.batch_size,
        max_length=settings.max_length,
        bf16=False,
        use_cpu=True,
        logging_steps=1,
        report_to="none",
    )
    weights = load_weights(base, dtype="float32", device="cpu")
    return DPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32),
        args=arguments,
        train_dataset=rows,
        processing_class=weights.tokenizer,
        peft_config=dpo.lora_config(settings),
    )


def ready(rows, base):
    return Dataset.from_list(tokenised(list(rows), load_tokenizer(str(base)), 96, "tiny"))


def loss_and_gradients(trainer):
    """Of all pairs as one batch in the rows' order, with LoRA's matrices set to the same values everywhere."""
    draw = torch.Generator().manual_seed(1)
    trained = [(name, value) for name, value in trainer.model.named_parameters() if value.requires_grad]
    for _, value in trained:
        value.data = 0.3 * torch.randn(value.shape, generator=draw)
    trainer.model.train()
    rows = sorted(trainer.train_dataset, key=lambda row: len(row["prompt_ids"]))
    loss = trainer.compute_loss(trainer.model, trainer.data_collator(rows))
    loss.backward()
    return loss.item(), {name: value.grad for name, value in trained}


def losses(trainer):
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def test_in_trls_order_every_loss_is_trls(tiny, pairs, tmp_path):
    settings = train_settings(
        dtype="float32", lora_r=2, lora_alpha=4, learning_rate=1e-2, max_length=96, batch_size=2, epochs=2, threads=1,
        loss_type=("sigmoid", "sft"), loss_weights=(1.0, 1.0),
    )  # fmt: skip
    ours = dpo._trainer(dpo.Texts(str(tiny), settings), tmp_path / "ours", pairs.add_column("length", [1] * len(pairs)))
    ours.args.train_sampling_strategy = "random"
    expected = losses(stock(pairs, str(tiny), settings, tmp_path / "stock"))
    assert expected[-1] < 0.9 * expected[0]
    assert losses(ours) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("loss_type", LOSSES, ids="+".join)
def test_loss_and_gradients_are_trls(tiny, pairs, tmp_path, loss_type):
    settings = train_settings(
        dtype="float32", lora_r=2, lora_alpha=4, max_length=96, batch_size=5, threads=1,
        loss_type=loss_type, loss_weights=(1.0, 0.5)[: len(loss_type)],
    )  # fmt: skip
    ours = dpo._trainer(dpo.Texts(str(tiny), settings), tmp_path / "ours", ready(pairs, tiny))
    loss, gradients = loss_and_gradients(ours)
    expected, theirs = loss_and_gradients(stock(pairs, str(tiny), settings, tmp_path / "stock"))
    assert loss == pytest.approx(expected, abs=1e-5)
    assert gradients.keys() == theirs.keys()
    assert max(gradient.abs().max() for gradient in theirs.values()) > 1e-2
    for name, gradient in theirs.items():
        torch.testing.assert_close(gradients[name], gradient, atol=1e-5, rtol=1e-4)
