"""How probable each of a few one-token answers is, by one forward pass and without sampling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from anyprefer.graph.errors import ModelError
from anyprefer.graph.models.decoding import Stepper
from anyprefer.graph.models.weights import Weights


def option_tokens(tokenizer: Any, options: Sequence[str]) -> dict[str, int]:
    """Each option's token: the vocabulary's own where it has the text, else the one the tokenizer makes of it.

    Raises `ModelError` naming an option that is no single token.
    """
    vocabulary: Mapping[str, int] = tokenizer.get_vocab()
    found = {}
    for option in options:
        ids = [vocabulary[option]] if option in vocabulary else tokenizer.encode(option, add_special_tokens=False)
        if len(ids) != 1:
            raise ModelError(
                f"option {option!r} is {len(ids)} tokens of {tokenizer.name_or_path}; options must be one token each"
            )
        found[option] = ids[0]
    return found


@torch.inference_mode()
def weigh(
    weights: Weights, prompts: Sequence[list[int]], options: Sequence[Mapping[str, int]]
) -> list[dict[str, float]]:
    """For each prompt (token ids) its options' natural-log probabilities as the next token, among all tokens.

    Equal prompts are read once.
    """
    at: dict[tuple[int, ...], int] = {}
    source = [at.setdefault(tuple(prompt), len(at)) for prompt in prompts]  # (B,) call → its unique prompt
    read = Stepper(weights.model, [list(prompt) for prompt in at], weights.tokenizer.pad_token_id, steps=False)
    logprobs = torch.log_softmax(read.logits.float(), dim=-1)  # (U, V)
    return [
        {option: float(logprobs[row, token]) for option, token in tokens.items()}
        for row, tokens in zip(source, options, strict=True)
    ]
