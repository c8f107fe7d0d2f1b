"""Answers of one batch: how each is drawn, and its text with stop strings cut off.

A row's sample is decided by its own seed: one uniform number per (row, step) picks the token by
inverse CDF, so the same seed and prompt give the same text whichever rows share the batch. What
remains is float noise: another batch shape may sum in another order and, rarely, flip a near tie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from anyprefer.models.local.decoding import Row, decode
from anyprefer.models.local.prompts import Prompt
from anyprefer.models.local.weights import Weights, picture_tokens


@dataclass(frozen=True)
class Sampling:
    """How one answer is drawn."""

    temperature: float
    """≥ 0; 0 is greedy."""
    top_p: float
    """0..1, smallest set of tokens with this much probability; 1 keeps all."""
    seed: int
    max_tokens: int
    stop: tuple[str, ...] = ()
    """The answer ends before the first of these."""


@dataclass(frozen=True)
class Drawn:
    """One answer."""

    text: str
    tokens: int
    """Generated tokens, the end token counted."""
    finished: bool
    """False when `max_tokens` cut it off."""


def _cut(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """The text before the first stop string, and whether there was one."""
    found = [at for at in (text.find(mark) for mark in stop) if at >= 0]
    return (text[: min(found)], True) if found else (text, False)


@torch.inference_mode()
def draw(weights: Weights, prompts: Sequence[Prompt], rows: Sequence[Sampling]) -> list[Drawn]:
    """One answer per prompt, in order. Rows with equal prompts share its prefill.

    The distribution is the model's own at the row's temperature and top_p: of a model's
    generation_config only the end tokens are used. A model that sees says none of its `unspoken` tokens.
    """
    tokenizer = weights.tokenizer
    made = [Row(row.temperature, row.top_p, row.seed, row.max_tokens) for row in rows]
    windows = [_window(row.stop) for row in rows]

    def stopped(at: int) -> bool:
        return bool(windows[at]) and _has_stopped(tokenizer, made[at].ids, rows[at].stop, windows[at])

    ends = _end_tokens(weights)
    never = unspoken(weights, ends)
    decode(weights.model, prompts, made, ends=ends, pad=tokenizer.pad_token_id, stopped=stopped, never=never)
    return [_read(answer.ids, row, tokenizer, ends) for answer, row in zip(made, rows, strict=True)]


def unspoken(weights: Weights, ends: set[int]) -> list[int]:
    """What a model that sees never says: tokens that stand for pictures, pad, unk, bos, and rows of its vocabulary that
    are no token. An answer with a picture's token would ask for a further picture wherever it is read again."""
    if weights.processor is None:
        return []
    tokenizer = weights.tokenizer
    size = weights.model.get_output_embeddings().weight.shape[0]
    named = {tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.bos_token_id, *picture_tokens(weights)}
    barred = {*named, *range(len(tokenizer), size)} - ends - {None}
    return sorted(token for token in barred if token < size)


def _window(stop: Sequence[str]) -> int:
    """How many last tokens surely hold a stop string that the newest token completed: a token has a byte or more."""
    return max(len(mark.encode()) for mark in stop) + 8 if stop else 0


def _has_stopped(tokenizer: Any, ids: list[int], stop: Sequence[str], window: int) -> bool:
    # the whole answer is read only when its end looks like a stop: reading all of it at each step is quadratic
    if not _cut(tokenizer.decode(ids[-window:], skip_special_tokens=True), stop)[1]:
        return False
    return len(ids) <= window or _cut(tokenizer.decode(ids, skip_special_tokens=True), stop)[1]


def _end_tokens(weights: Weights) -> set[int]:
    ends = weights.model.generation_config.eos_token_id
    return set(ends if isinstance(ends, list) else [ends]) | {weights.tokenizer.eos_token_id}


def _read(ids: list[int], row: Sampling, tokenizer: Any, ends: set[int]) -> Drawn:
    end = next((at for at, token in enumerate(ids) if token in ends), None)
    kept = ids if end is None else ids[:end]
    text, stopped = _cut(tokenizer.decode(kept, skip_special_tokens=True), row.stop)
    return Drawn(text=text, tokens=len(ids), finished=stopped or end is not None)
