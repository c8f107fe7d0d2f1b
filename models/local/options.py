"""How probable each of a few one-token answers is, by one forward pass and without sampling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from anyprefer.core.errors import ModelError
from anyprefer.models.local.decoding import Stepper
from anyprefer.models.local.templates import shared_start
from anyprefer.models.local.weights import Weights

ALIKE = 0.8
"""Share of a group's common beginning that a further prompt must have too."""


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

    Equal prompts are read once, and so is what prompts begin with alike: a judge's question about each of a
    task's answers differs in the answer alone.
    """
    unique = sorted({tuple(prompt) for prompt in prompts})
    logits = _read(weights.model, [list(prompt) for prompt in unique], weights.tokenizer.pad_token_id)  # (U, V)
    logprobs = torch.log_softmax(logits.float(), dim=-1)
    at = {prompt: row for row, prompt in enumerate(unique)}
    return [
        {option: float(logprobs[at[tuple(prompt)], token]) for option, token in tokens.items()}
        for prompt, tokens in zip(prompts, options, strict=True)
    ]


def _read(model: Any, prompts: Sequence[list[int]], pad: int) -> torch.Tensor:
    """The next logits (U, V) of prompts in the order of their ids; a shared beginning is read once."""
    begun = beginnings(prompts)
    if len(set(begun)) < len(prompts):
        firsts = {begin: at for at, begin in enumerate(dict.fromkeys(begun))}
        state = Stepper(model, [list(begin) for begin in firsts], pad)
        if state.select([firsts[begin] for begin in begun]) and state.extend(
            [prompt[len(begin) :] for prompt, begin in zip(prompts, begun, strict=True)], pad
        ):
            return state.logits
    return Stepper(model, prompts, pad, steps=False).logits


def beginnings(prompts: Sequence[list[int]]) -> list[tuple[int, ...]]:
    """Of prompts in the order of their ids, what each shares with its neighbours; a token at least is left over.

    A neighbour joins a group while that shortens what the group shares by a fifth at most.
    """
    groups: list[tuple[int, list[list[int]]]] = []
    for prompt in prompts:
        if groups:
            length, members = groups[-1]
            common = min(length, shared_start(members[0], prompt), len(prompt) - 1)
            if common >= ALIKE * length and common > 0:
                groups[-1] = (common, [*members, prompt])
                continue
        groups.append((len(prompt) - 1, [prompt]))
    return [tuple(members[0][:length]) for length, members in groups for _ in members]
