"""One answer a row from a causal language model: prefill once a prompt, then one token a step for all rows.

What `generate` does not do, and what makes it slow for many candidates of few prompts: rows with the same
prompt share its prefill, finished rows leave the batch, the cache grows in place, and each row has its
own seed. A row's sample is decided by that seed alone: one uniform number per (row, step) picks the token.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Sequence
from typing import Any

import torch

from anyprefer.models.local.kv_cache import select_rows, with_room
from anyprefer.models.local.token_choice import pick

SPARE = 0.25
"""Share of finished rows at which the rest is moved together; moving copies the cache once."""


class Row:
    """One answer in the making."""

    def __init__(self, temperature: float, top_p: float, seed: int, limit: int) -> None:
        self.temperature, self.top_p, self.limit = temperature, top_p, limit
        self.draws = random.Random(seed)
        self.ids: list[int] = []
        """Tokens so far, an end token included."""
        self.done = False


class Stepper:
    """The model's state for a batch: attention mask, cache and the next logits.

    A model whose forward pass offers no cache we know is asked for the whole sequence at each step.
    """

    def __init__(self, model: Any, prompts: Sequence[list[int]], pad: int, *, steps: bool = True) -> None:
        """Reads the prompts; without `steps` nothing is kept for tokens to come."""
        self._model = model
        known = inspect.signature(model.forward).parameters
        self._takes = {name for name in ("position_ids", "logits_to_keep", "use_cache") if name in known}
        caches = [name for name in ("past_key_values", "cache_params") if name in known and steps]
        self._cache_name = caches[0] if caches else None
        width = max(len(prompt) for prompt in prompts)
        ids = [[pad] * (width - len(prompt)) + prompt for prompt in prompts]
        mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        self._ids = torch.tensor(ids, device=model.device)  # (B, S)
        self._mask = torch.tensor(mask, device=model.device)  # (B, S)
        self._cache: Any = None
        self.logits = self._forward(self._ids)  # (B, V)
        with_room(self._cache)

    def select(self, rows: Sequence[int]) -> bool:
        """Keep rows `rows`, in that order, repeats allowed; False, and nothing done, when the cache cannot."""
        index = torch.tensor(rows, device=self._ids.device)
        if self._cache is not None and not select_rows(self._cache, index):
            return False
        self._ids, self._mask, self.logits = (part[index] for part in (self._ids, self._mask, self.logits))
        return True

    def step(self, tokens: torch.Tensor) -> None:
        """Append tokens (B,) and compute the next logits."""
        column = tokens[:, None]
        self._mask = torch.cat([self._mask, torch.ones_like(column)], dim=1)
        if self._cache is None:
            self._ids = torch.cat([self._ids, column], dim=1)
        self.logits = self._forward(self._ids if self._cache is None else column)

    def extend(self, further: Sequence[list[int]], pad: int) -> bool:
        """Append tokens to each row, one or more, and compute the next logits; False, and nothing done, without a
        cache of keys and values, which alone can leave out the padding between."""
        if self._cache is None or self._cache_name != "past_key_values":
            return False
        width = max(len(tokens) for tokens in further)
        ids = [[pad] * (width - len(tokens)) + tokens for tokens in further]
        mask = [[0] * (width - len(tokens)) + [1] * len(tokens) for tokens in further]
        self._mask = torch.cat([self._mask, torch.tensor(mask, device=self._mask.device)], dim=1)
        self.logits = self._forward(torch.tensor(ids, device=self._ids.device))
        return True

    def _forward(self, ids: torch.Tensor) -> torch.Tensor:
        """ids: (B, S) → logits after the last (B, V)."""
        inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": self._mask}
        if "position_ids" in self._takes:
            inputs["position_ids"] = (self._mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        if "logits_to_keep" in self._takes:
            inputs["logits_to_keep"] = 1
        if self._cache_name == "cache_params" and self._cache is not None:
            del inputs["attention_mask"]  # these models mask the prompt's padding only
        if "use_cache" in self._takes:
            inputs["use_cache"] = self._cache_name is not None
        if self._cache_name:
            inputs[self._cache_name] = self._cache
        out = self._model(**inputs)
        self._cache = getattr(out, self._cache_name or "", None)
        logits: torch.Tensor = out.logits[:, -1]
        return logits


def decode(
    model: Any,
    prompts: Sequence[list[int]],
    rows: Sequence[Row],
    *,
    ends: set[int],
    pad: int,
    stopped: Callable[[int], bool],
) -> None:
    """Fill `rows[i].ids` with the answer to `prompts[i]`, until an end token, its limit, or `stopped(i)`."""
    at: dict[tuple[int, ...], int] = {}
    source = [at.setdefault(tuple(prompt), len(at)) for prompt in prompts]  # (B,) row → its unique prompt
    state = Stepper(model, [list(prompt) for prompt in at], pad)
    if not state.select(source):
        state = Stepper(model, prompts, pad)
    live = list(range(len(rows)))  # state's row → caller's row
    while True:
        tokens = _next([rows[i] for i in live], state.logits)
        for i, token in zip(live, tokens.tolist(), strict=True):
            row = rows[i]
            if not row.done:
                row.ids.append(token)
                row.done = token in ends or len(row.ids) >= row.limit or stopped(i)
        kept = [place for place, i in enumerate(live) if not rows[i].done]
        if not kept:
            return
        if len(kept) <= (1 - SPARE) * len(live) and state.select(kept):
            live, tokens = [live[place] for place in kept], tokens[kept]
        state.step(tokens)


def _next(rows: Sequence[Row], logits: torch.Tensor) -> torch.Tensor:
    """Each row's next token (B,); logits: (B, V)."""
    numbers = [(row.temperature, row.top_p, row.draws.random()) for row in rows]
    temperature, top_p, uniform = torch.tensor(numbers, dtype=torch.float32, device=logits.device).unbind(1)
    return pick(logits, temperature, top_p, uniform, nucleus=any(row.top_p < 1 for row in rows))
