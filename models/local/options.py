"""How probable each of a few one-token answers is, by one forward pass and without sampling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from anyprefer.core.errors import ModelError
from anyprefer.models.local.decoding import Stepper
from anyprefer.models.local.prompts import Prompt
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
def weigh(weights: Weights, prompts: Sequence[Prompt], options: Sequence[Mapping[str, int]]) -> list[dict[str, float]]:
    """For each prompt its options' natural-log probabilities as the next token, among all tokens.

    Equal prompts are read once, and so is what prompts begin with alike, their pictures too: a judge's question about
    each of a task's answers differs in the answer alone.
    """
    unique = sorted(set(prompts), key=lambda prompt: (prompt.pictures, prompt.ids))
    logits = _read(weights.model, unique, weights.tokenizer.pad_token_id)  # (U, V)
    logprobs = torch.log_softmax(logits.float(), dim=-1)
    at = {prompt: row for row, prompt in enumerate(unique)}
    return [
        {option: float(logprobs[at[prompt], token]) for option, token in tokens.items()}
        for prompt, tokens in zip(prompts, options, strict=True)
    ]


def _read(model: Any, prompts: Sequence[Prompt], pad: int) -> torch.Tensor:
    """The next logits (U, V) of prompts in order; a shared beginning is read once."""
    begun = beginnings(prompts) if all(prompt.closed < len(prompt.ids) for prompt in prompts) else list(prompts)
    if len(set(begun)) < len(prompts):
        firsts = {begin: at for at, begin in enumerate(dict.fromkeys(begun))}
        state = Stepper(model, list(firsts), pad)
        if state.select([firsts[begin] for begin in begun]) and state.extend(
            [prompt.ids[len(begin.ids) :] for prompt, begin in zip(prompts, begun, strict=True)], pad
        ):
            return state.logits
    return Stepper(model, prompts, pad, steps=False).logits


def beginnings(prompts: Sequence[Prompt]) -> list[Prompt]:
    """Of prompts in the order of their pictures and ids, what each shares with its neighbours; a token at least is
    left over, and none that stands for a picture.

    A neighbour joins a group while that shortens what the group shares by a fifth at most.
    """
    groups: list[tuple[int, list[Prompt]]] = []
    for prompt in prompts:
        if groups:
            length, members = groups[-1]
            first = members[0]
            common = min(length, shared_start(first.ids, prompt.ids), len(prompt.ids) - 1)
            if first.pictures == prompt.pictures and common >= max(ALIKE * length, first.closed, 1):
                groups[-1] = (common, [*members, prompt])
                continue
        groups.append((len(prompt.ids) - 1, [prompt]))
    return [members[0].beginning(length) for length, members in groups for _ in members]
