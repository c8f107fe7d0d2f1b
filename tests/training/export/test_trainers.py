"""An exported data set goes into trainers as it is: TRL's own, and the rules by which LLaMA-Factory, axolotl and OpenRLHF read."""

import os

import pytest
import torch
from datasets import load_dataset
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)
from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer

from anyprefer.graph import Task
from anyprefer.models.local.weights import load_processor
from anyprefer.training.export.export import export
from tests.folder import TASKS, run
from tests.pictured import picture
from tests.training.export.test_export import answering, rows


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    run(folder / "run", answering(), TASKS)
    export([folder / "run"], folder / "set")
    return folder / "set"


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seen")
    colours = ("red", "blue", "green")
    run(folder / "run", answering(), [Task(id=c, prompt=f"Is it {c}?", images=(picture(c),)) for c in colours])
    export([folder / "run"], folder / "set")
    return folder / "set"


def loaded(folder, name="default"):
    return load_dataset(str(folder), name, split="train", cache_dir=str(folder.parent / "cache"))


def arguments(kind, folder, **more):
    return kind(
        output_dir=str(folder), max_steps=1, per_device_train_batch_size=2, report_to="none", use_cpu=True, bf16=False,
        logging_steps=1, save_strategy="no", **more,
    )  # fmt: skip


def loss(trainer):
    trainer.train()
    [first] = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return first


def test_trl_trains_on_texts(text, tiny, tmp_path):
    model, tokens = AutoModelForCausalLM.from_pretrained(tiny), AutoTokenizer.from_pretrained(tiny)
    trainer = DPOTrainer(
        model, args=arguments(DPOConfig, tmp_path), train_dataset=loaded(text), processing_class=tokens
    )
    assert abs(loss(trainer) - 0.693) < 0.01


def test_trl_trains_a_reward_model_with_margins(text, tiny, tmp_path):
    model = AutoModelForSequenceClassification.from_pretrained(tiny, num_labels=1)
    tokens = AutoTokenizer.from_pretrained(tiny)
    pairs = loaded(text, "conversations")
    trainer = RewardTrainer(model, args=arguments(RewardConfig, tmp_path), train_dataset=pairs, processing_class=tokens)
    assert "margin" in trainer.train_dataset.column_names
    assert loss(trainer) > 0.7  # a margin of 1 asks for more than log 2


def test_trl_trains_on_images(seen, tiny_llava, tmp_path):
    model = AutoModelForImageTextToText.from_pretrained(tiny_llava, dtype=torch.float32)
    given = arguments(DPOConfig, tmp_path, max_length=None, remove_unused_columns=False)
    processor = load_processor(str(tiny_llava))
    trainer = DPOTrainer(model, args=given, train_dataset=loaded(seen), processing_class=processor)
    assert abs(loss(trainer) - 0.693) < 0.01


def test_llama_factory_takes_every_row(text, seen):
    """Its rules (data/converter.py, processor/pairwise.py of 0.9.5): an odd number of turns, one dict an answer, as many
    marks as images, media beside the file."""
    for folder in (text, seen):
        for row in load_dataset("json", data_files=str(folder / "files/train.jsonl"), split="train",
                                cache_dir=str(folder.parent / "cache")):  # fmt: skip
            turns = [one for one in row["messages"] if one["role"] != "system"]
            assert len(turns) % 2 == 1
            assert [one["role"] for one in turns] == [("user", "assistant")[at % 2] for at in range(len(turns))]
            assert row["chosen"]["role"] == row["rejected"]["role"] == "assistant"
            images = row.get("images") or []
            assert sum(one["content"].count("<image>") for one in turns) == len(images)
            assert all(os.path.isfile(folder / "files" / image) for image in images)


def test_openrlhf_and_axolotl_find_the_answers(text, tiny):
    """OpenRLHF 0.11 renders prompt + answer and cuts the prompt off; axolotl 0.19 looks for the answer's text behind a
    message of its own."""
    tokens = AutoTokenizer.from_pretrained(tiny)
    for row in rows(text):
        asked = tokens.apply_chat_template(row["prompt"], tokenize=False, add_generation_prompt=True)
        for name in ("chosen", "rejected"):
            answer = row[name][0]["content"]
            whole = tokens.apply_chat_template(row["prompt"] + row[name], tokenize=False)
            assert whole.startswith(asked)
            assert whole[len(asked) :].startswith(answer)
            alone = [{"role": "user", "content": "[[dummy_message]]"}, row[name][-1]]
            rendered = tokens.apply_chat_template(alone, tokenize=False)
            assert rendered[rendered.find(answer) :].rstrip().startswith(answer)
