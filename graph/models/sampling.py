"""One `generate` for many rows, each with its own seed, temperature, nucleus and stop strings.

A row's sample is decided by its own seed: one uniform number per (row, step) picks the token by
inverse CDF, so the same seed and prompt give the same text whichever rows share the batch. What
remains is float noise: another batch shape may sum in another order and, rarely, flip a near tie.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from anyprefer.graph.models.weights import Weights


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


class _SeededPick(LogitsProcessor):
    """Replaces each row's logits by a one-hot of the token its seed picks; greedy rows pass untouched."""

    def __init__(self, rows: Sequence[Sampling], steps: int, device: torch.device) -> None:
        draws = [random.Random(row.seed) for row in rows]
        self._uniform = torch.tensor([[draw.random() for _ in range(steps)] for draw in draws], device=device)  # (B, T)
        self._temperature = torch.tensor([[row.temperature] for row in rows], device=device)  # (B, 1)
        self._top_p = torch.tensor([[row.top_p] for row in rows], device=device)  # (B, 1)
        self._nucleus = any(row.temperature > 0 and row.top_p < 1 for row in rows)
        self._step = 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """scores: (B, V) logits → (B, V) logits."""
        uniform = self._uniform[:, self._step : self._step + 1]  # (B, 1)
        self._step += 1
        greedy = scores.argmax(dim=-1, keepdim=True)  # (B, 1)
        heat = self._temperature.clamp(min=1e-6)
        picked = self._inverse_cdf(torch.softmax(scores.float() / heat, dim=-1), uniform)
        token = torch.where(self._temperature > 0, picked, greedy)
        return scores.fill_(float("-inf")).scatter_(1, token, 0.0)

    def _inverse_cdf(self, probs: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
        """probs: (B, V), uniform: (B, 1) → token (B, 1)."""
        order = None
        if self._nucleus:
            probs, order = probs.sort(dim=-1, descending=True)
            mass_before = probs.cumsum(dim=-1) - probs
            probs = torch.where(mass_before < self._top_p, probs, 0.0)
        cdf = probs.cumsum(dim=-1)
        index = torch.searchsorted(cdf, uniform * cdf[:, -1:], right=True).clamp(max=probs.shape[-1] - 1)
        return index if order is None else order.gather(1, index)


class _RowStops(StoppingCriteria):
    """Ends a row when its answer contains one of its stop strings."""

    def __init__(self, rows: Sequence[Sampling], tokenizer: Any, prompt_length: int) -> None:
        self._rows, self._tokenizer, self._start = rows, tokenizer, prompt_length

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """input_ids: (B, S) → (B,) bool, True where the row is done."""
        done = [
            bool(row.stop) and _cut(self._tokenizer.decode(ids, skip_special_tokens=True), row.stop)[1]
            for row, ids in zip(self._rows, input_ids[:, self._start :], strict=True)
        ]
        return torch.tensor(done, device=input_ids.device)


def _cut(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """The text before the first stop string, and whether there was one."""
    found = [at for at in (text.find(mark) for mark in stop) if at >= 0]
    return (text[: min(found)], True) if found else (text, False)


@torch.inference_mode()
def draw(weights: Weights, prompts: Sequence[list[int]], rows: Sequence[Sampling]) -> list[Drawn]:
    """One answer per prompt (token ids), in order. All rows run to the largest `max_tokens` among them."""
    tokenizer, device = weights.tokenizer, weights.model.device
    steps = max(row.max_tokens for row in rows)
    inputs = tokenizer.pad({"input_ids": list(prompts)}, padding=True, return_tensors="pt").to(device)
    length = inputs["input_ids"].shape[1]
    picks = [_SeededPick(rows, steps, device)] if any(row.temperature > 0 for row in rows) else []
    criteria = [_RowStops(rows, tokenizer, length)] if any(row.stop for row in rows) else []
    out = weights.model.generate(
        input_ids=inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        max_new_tokens=steps,
        do_sample=False,
        temperature=None,
        top_p=None,
        top_k=None,
        pad_token_id=tokenizer.pad_token_id,
        logits_processor=LogitsProcessorList(picks),
        stopping_criteria=StoppingCriteriaList(criteria),
    )
    ends = _end_tokens(weights)
    return [_read(ids.tolist(), row, tokenizer, ends) for ids, row in zip(out[:, length:], rows, strict=True)]


def _end_tokens(weights: Weights) -> set[int]:
    ends = weights.model.generation_config.eos_token_id
    return set(ends if isinstance(ends, list) else [ends]) | {weights.tokenizer.eos_token_id}


def _read(ids: list[int], row: Sampling, tokenizer: Any, ends: set[int]) -> Drawn:
    ids = ids[: row.max_tokens]
    end = next((at for at, token in enumerate(ids) if token in ends), None)
    kept = ids if end is None else ids[:end]
    text, stopped = _cut(tokenizer.decode(kept, skip_special_tokens=True), row.stop)
    return Drawn(text=text, tokens=len(kept) + (end is not None), finished=stopped or end is not None)
