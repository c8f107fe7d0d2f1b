"""One answer a row from a causal language model: prefill once a prompt, then one token a step for all rows.

What `generate` does not do, and what makes it slow for many candidates of few prompts: rows with the same
prompt share its prefill, finished rows leave the batch, the cache grows in place, and each row has its
own seed. A row's sample is decided by that seed alone: one uniform number per (row, step) picks the token.
Pictures are read with the prompt, once for all rows that share it.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from anyprefer.core.errors import ModelError
from anyprefer.models.local.features import as_read, placed
from anyprefer.models.local.kv_cache import select_rows, with_room
from anyprefer.models.local.prompts import Prompt, filled, padded
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

    def __init__(self, model: Any, prompts: Sequence[Prompt], pad: int, *, steps: bool = True) -> None:
        """Reads the prompts; without `steps` nothing is kept for tokens to come.

        Raises `ModelError` for pictures that such a model would have to read again at each step.
        """
        self._model = model
        known = inspect.signature(model.forward).parameters
        self._takes = {name for name in ("position_ids", "logits_to_keep", "use_cache") if name in known}
        caches = [name for name in ("past_key_values", "cache_params") if name in known and steps]
        self._cache_name = caches[0] if caches else None
        ids, mask, pictured = padded(prompts, pad)
        if pictured and not caches and steps:
            raise ModelError("a model that reads pictures must offer a cache of keys and values (past_key_values)")
        self._ids, self._mask = ids.to(model.device), mask.to(model.device)  # (B, S)
        self._ahead = torch.zeros(len(prompts), dtype=torch.long, device=model.device)
        """(B,) How far a row's positions are from the number of its tokens."""
        self._cache: Any = None
        self.logits = self._forward(self._ids, placed(pictured, model))  # (B, V)
        with_room(self._cache)

    def select(self, rows: Sequence[int]) -> bool:
        """Keep rows `rows`, in that order, repeats allowed; False, and nothing done, when the cache cannot."""
        index = torch.tensor(rows, device=self._ids.device)
        if self._cache is not None and not select_rows(self._cache, index):
            return False
        held = (self._ids, self._mask, self._ahead, self.logits)
        self._ids, self._mask, self._ahead, self.logits = (part[index] for part in held)
        return True

    def step(self, tokens: torch.Tensor) -> None:
        """Append tokens (B,) and compute the next logits."""
        column = tokens[:, None]
        self._mask = torch.cat([self._mask, torch.ones_like(column)], dim=1)
        if self._cache is None:
            self._ids = torch.cat([self._ids, column], dim=1)
        self.logits = self._forward(self._ids if self._cache is None else column)

    def extend(self, further: Sequence[Sequence[int]], pad: int) -> bool:
        """Append tokens to each row, one or more, and compute the next logits; False, and nothing done, without a
        cache of keys and values, which alone can leave out the padding between."""
        if self._cache is None or self._cache_name != "past_key_values":
            return False
        ids, mask = (part.to(self._mask.device) for part in filled(further, pad))
        self._mask = torch.cat([self._mask, mask], dim=1)
        self.logits = self._forward(ids)
        return True

    def _forward(self, ids: torch.Tensor, pictured: Mapping[str, torch.Tensor] | None = None) -> torch.Tensor:
        """ids: (B, S) → logits after the last (B, V)."""
        inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": self._mask, **as_read(pictured or {})}
        if "position_ids" in self._takes:
            inputs["position_ids"] = self._positions(ids, pictured or {})
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

    def _positions(self, ids: torch.Tensor, pictured: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """(B, S), or (4, B, S) of a prompt whose pictures have positions in two dimensions (Qwen-VL's M-RoPE)."""
        counted = (self._mask.cumsum(1) - 1).clamp(min=0)
        own = getattr(self._model, "_prepare_position_ids_for_generation", None)  # what `generate` asks as well
        if not (pictured and own):
            return (counted + self._ahead[:, None])[:, -ids.shape[1] :]
        positions: torch.Tensor = own(ids, {"attention_mask": self._mask, **pictured})
        self._ahead = positions.reshape(-1, *ids.shape)[-1, :, -1] - counted[:, -1]
        return positions


def decode(
    model: Any,
    prompts: Sequence[Prompt],
    rows: Sequence[Row],
    *,
    ends: set[int],
    pad: int,
    stopped: Callable[[int], bool],
    never: Sequence[int] = (),
) -> None:
    """Fill `rows[i].ids` with the answer to `prompts[i]`, until an end token, its limit, or `stopped(i)`.

    Tokens `never` are not drawn.
    """
    at: dict[Prompt, int] = {}
    source = [at.setdefault(prompt, len(at)) for prompt in prompts]  # (B,) row → its unique prompt
    state = Stepper(model, list(at), pad)
    if not state.select(source):
        state = Stepper(model, prompts, pad)
    live = list(range(len(rows)))  # state's row → caller's row
    barred = torch.tensor(never, dtype=torch.long, device=state.logits.device)
    while True:
        state.logits.index_fill_(1, barred, float("-inf"))
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
