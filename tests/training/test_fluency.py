"""Perplexity of answers under a model, beside transformers' own loss."""

import math

import pytest
import torch

from anyprefer.core.errors import InputError
from anyprefer.core.input_rows import BadRow
from anyprefer.core.task import Task
from anyprefer.models.local.weights import load_weights
from anyprefer.training.evaluation.fluency import LONGEST, fluency

TEXTS = [
    Task(id="a", prompt="Name a colour.", reference="Green is one of many colours."),
    Task(id="b", prompt="What is 2 + 2?", reference="4"),
    Task(id="c", prompt="Write much.", reference="and so on, " * 2 * LONGEST),
]


def test_it_is_transformers_loss_text_by_text(tiny, monkeypatch):
    monkeypatch.setenv("ANYPREFER_DTYPE", "float32")
    found = fluency(f"hf:{tiny}", TEXTS, system="Be kind.")
    weights = load_weights(str(tiny))
    for task, nats, tokens in zip(TEXTS, found.nats, found.tokens, strict=True):
        chat = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": task.prompt}]
        prompt = weights.tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
        answer = weights.tokenizer.encode(task.reference, add_special_tokens=False)[:LONGEST]
        ids = torch.tensor([prompt + answer])
        labels = torch.tensor([[-100] * len(prompt) + answer])
        with torch.inference_mode():
            loss = weights.model(input_ids=ids, labels=labels).loss.item()
        assert tokens == len(answer)
        assert nats == pytest.approx(loss * tokens, rel=2e-2 if torch.cuda.is_available() else 1e-4)
    assert found.tokens[2] == LONGEST
    assert found.perplexity == pytest.approx(math.exp(sum(found.nats) / sum(found.tokens)))


@pytest.mark.parametrize(
    ("row", "words"),
    [(Task(id="x", prompt="p"), "task x has no reference"), (BadRow("y", "row 3 is empty"), "row 3 is empty")],
)
def test_what_has_no_answer_is_refused(tiny, row, words):
    with pytest.raises(InputError, match=words):
        fluency(f"hf:{tiny}", [TEXTS[0], row])
