"""How probable given answers to prompts are, without sampling."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from anyprefer.models.local.decoding import Stepper
from anyprefer.models.local.prompts import Prompt
from anyprefer.models.local.templates import plain_text
from anyprefer.models.local.weights import Weights


@torch.inference_mode()
def mean_logprobs(weights: Weights, prompts: Sequence[Prompt], answers: Sequence[str]) -> list[float]:
    """For each prompt the mean natural-log probability of its answer's tokens, among all tokens; the end of the turn is
    one of them. Equal prompts and their pictures are read once."""
    ids = [_ids(weights, answer) for answer in answers]
    pad = weights.tokenizer.pad_token_id
    state = _begun(weights, prompts, pad)
    longest = max(map(len, ids))
    padded = torch.tensor([[*one, *[pad] * (longest - len(one))] for one in ids], device=state.logits.device)  # (B, T)
    told = []
    for place in range(longest):
        column = padded[:, place]
        told.append(torch.log_softmax(state.logits.float(), dim=-1).gather(1, column[:, None])[:, 0])
        if place + 1 < longest:
            state.step(column)
    logprobs = torch.stack(told, dim=1).tolist()  # (B, T)
    return [sum(row[: len(one)]) / len(one) for row, one in zip(logprobs, ids, strict=True)]


def _ids(weights: Weights, answer: str) -> list[int]:
    tokenizer = weights.tokenizer
    written: list[int] = tokenizer.encode(plain_text(tokenizer, answer), add_special_tokens=False)
    return [*written, tokenizer.eos_token_id]


def _begun(weights: Weights, prompts: Sequence[Prompt], pad: int) -> Stepper:
    """Ready to read each prompt's answer."""
    at: dict[Prompt, int] = {}
    source = [at.setdefault(prompt, len(at)) for prompt in prompts]
    state = Stepper(weights.model, list(at), pad)
    return state if state.select(source) else Stepper(weights.model, prompts, pad)
