"""Does the target still write as people do? Its perplexity on answers that nobody trains on here.

    before = fluency("smollm2", texts)                        # texts: tasks whose reference is an answer
    after = fluency("hf:runs/first/adapter", texts)
    after.perplexity / before.perplexity                      # well above 1: training broke something

Preference training can raise a benchmark and ruin the text (docs/experiments.md has a case). The paper does not
look at this.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch.nn.functional import cross_entropy

from anyprefer.core.errors import InputError
from anyprefer.core.input_rows import BadRow
from anyprefer.core.task import Task
from anyprefer.core.values import as_text
from anyprefer.models.local.templates import chat_ids, plain_text
from anyprefer.models.local.weights import Weights, load_weights, use_threads

LONGEST = 128
"""Tokens of an answer that count; the rest is cut off."""
BATCH = 8


class Fluency(BaseModel):
    """How likely a model finds some answers, text by text."""

    model_config = ConfigDict(frozen=True)

    model: str
    nats: tuple[float, ...] = Field(min_length=1)
    """Of each answer: minus the natural logarithm of its probability after its prompt."""
    tokens: tuple[int, ...]
    """Of each answer."""

    @property
    def perplexity(self) -> float:
        """exp of the mean nats a token, 1 or more; lower is better."""
        return math.exp(sum(self.nats) / sum(self.tokens))


def fluency(model: str, texts: Sequence[Task | BadRow], system: str = "") -> Fluency:
    """The likelihood of every task's reference, as an answer to its prompt in the model's chat template.

    `model` is `smollm2` or `hf:ID-or-folder`. Raises `InputError` for a bad row, and for a task without a reference.
    """
    tasks = [_good(task) for task in texts]
    use_threads()
    weights = load_weights(model.removeprefix("hf:"))
    weights.model.eval()
    read = [_ids(weights, task, system) for task in tasks]
    nats = [0.0] * len(read)
    order = sorted(range(len(read)), key=lambda at: sum(map(len, read[at])))
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        for at, found in zip(batch, _nats(weights, [read[at] for at in batch]), strict=True):
            nats[at] = found
    return Fluency(model=model, nats=tuple(nats), tokens=tuple(len(answer) for _, answer in read))


def _good(task: Task | BadRow) -> Task:
    if isinstance(task, BadRow):
        raise InputError(task.error)
    return task


def _ids(weights: Weights, task: Task, system: str) -> tuple[list[int], list[int]]:
    """Token ids of the prompt and of the answer's beginning."""
    answer = as_text(task.reference) if task.reference is not None else ""
    if not answer.strip():
        raise InputError(f"task {task.id} has no reference answer, whose perplexity could be measured")
    said = task.system or system
    chat = task.model_copy(update={"system": said}).messages()
    prompt = chat_ids(weights.tokenizer, chat, add_generation_prompt=True)
    ids = weights.tokenizer.encode(plain_text(weights.tokenizer, answer), add_special_tokens=False)
    return prompt, ids[:LONGEST]


@torch.inference_mode()
def _nats(weights: Weights, texts: Sequence[tuple[list[int], list[int]]]) -> list[float]:
    """Padded on the right, where nothing that counts looks at it."""
    longest = max(len(prompt) + len(answer) for prompt, answer in texts)
    ids = torch.full((len(texts), longest), weights.tokenizer.pad_token_id)  # (B, T)
    seen, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
    for row, (prompt, answer) in enumerate(texts):
        end = len(prompt) + len(answer)
        ids[row, :end], seen[row, :end] = torch.tensor(prompt + answer), 1
        labels[row, len(prompt) : end] = torch.tensor(answer)
    place = weights.model.device
    logits = weights.model(input_ids=ids.to(place), attention_mask=seen.to(place)).logits  # (B, T, V)
    losses = cross_entropy(logits[:, :-1].float().transpose(1, 2), labels[:, 1:].to(place), reduction="none")
    return [float(value) for value in losses.sum(1)]
