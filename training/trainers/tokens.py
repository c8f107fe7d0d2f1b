"""Pairs as the trainer sees them: token ids of prompts and answers, checked before anything is trained.

The completion begins where the ids of the prompt and of the prompt with an answer part, as in TRL. No control token
comes of what stands in a message (`models/local/templates.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anyprefer.core.errors import TrainingError
from anyprefer.models.local.templates import chat_ids, shared_start
from anyprefer.training.pair_data.read import characters

_log = logging.getLogger("anyprefer")
Ids = list[int]


def tokenised(rows: Sequence[Mapping[str, Any]], tokenizer: Any, max_length: int, model: str) -> list[dict[str, Any]]:
    """Each row with `prompt_ids`, `chosen_ids`, `rejected_ids` and its characters as `length`, shortest first.

    Rows whose answers are the same tokens within `max_length` are left out and counted in the log. Raises
    `TrainingError` naming row and model where all are, where the template refuses a row, and where a prompt alone
    fills `max_length`.
    """
    if not tokenizer.chat_template:
        raise TrainingError(f"{model} has no chat template, so pairs cannot be written in it; train an -Instruct model")
    named = [{"where": f"pair {number}", **row} for number, row in enumerate(rows, 1)]
    return ready_rows([_pair_ids(row, tokenizer, max_length, model) for row in named], tokenizer, max_length, model)


def ready_rows(found: Sequence[PairIds], tokenizer: Any, max_length: int, model: str) -> list[dict[str, Any]]:
    """What `tokenised` gives, of pairs that are token ids."""
    _warn_of_context(found, tokenizer, model)
    ready = [pair for pair in found if not pair.same(max_length)]
    if len(ready) < len(found):
        _tell_equal([pair for pair in found if pair.same(max_length)], len(found), max_length, model)
    return [pair.row() for pair in sorted(ready, key=lambda pair: pair.length)]


@dataclass(frozen=True)
class PairIds:
    """A pair as token ids."""

    more: Mapping[str, Any]
    """What else its row holds."""
    where: str
    length: int
    """How long prompt and longer answer are together, in characters or tokens: pairs of like length share a batch."""
    prompt: Ids
    chosen: Ids
    rejected: Ids
    lost: Ids
    """End of the prompt that an answer in the template does not follow."""

    def same(self, max_length: int) -> bool:
        """Whether nothing of what differs is within `max_length`."""
        room = max_length - len(self.prompt)
        return self.chosen[:room] == self.rejected[:room]

    def row(self) -> dict[str, Any]:
        """As TRL has it after its own tokenisation."""
        ids = {"prompt_ids": self.prompt, "chosen_ids": self.chosen, "rejected_ids": self.rejected}
        return {**self.more, **ids, "length": self.length}


def _pair_ids(row: Mapping[str, Any], tokenizer: Any, max_length: int, model: str) -> PairIds:
    where = row["where"]
    try:
        prompt = chat_ids(tokenizer, row["prompt"], add_generation_prompt=True)
        chosen, rejected = (chat_ids(tokenizer, [*row["prompt"], *row[name]]) for name in ("chosen", "rejected"))
    except Exception as error:  # a template is a program of the model's: it may raise anything
        raise TrainingError(
            f"{where}: the chat template of {model} refuses this conversation ({type(error).__name__}: {error}); "
            "change the row or train another model"
        ) from error
    if len(prompt) >= max_length:
        raise TrainingError(
            f"{where}: the prompt has {len(prompt)} tokens and leaves no room for answers in max_length {max_length}; "
            "raise it"
        )
    start = min(shared_start(prompt, chosen), shared_start(prompt, rejected))
    length = characters(row["prompt"]) + max(characters(row["chosen"]), characters(row["rejected"]))
    texts = {name: row[name] for name in ("prompt", "chosen", "rejected")}
    return PairIds(texts, where, length, prompt[:start], chosen[start:], rejected[start:], prompt[start:])


def _tell_equal(equal: Sequence[PairIds], pairs: int, max_length: int, model: str) -> None:
    """Says how many pairs are left out and why; raises where none is left."""
    first = equal[0]
    why = (
        f"the chat template of {model} drops all that differs, such as thoughts"
        if first.chosen == first.rejected
        else f"they differ only behind max_length {max_length}, where they are truncated; raise it"
    )
    told = f"{len(equal)} of {pairs} pairs have answers that are equal as tokens; {first.where}: {why}"
    if len(equal) == pairs:
        raise TrainingError(f"there is nothing to prefer: {told}")
    _log.warning("%s; they are left out", told)


def _warn_of_context(found: Sequence[PairIds], tokenizer: Any, model: str) -> None:
    """Some templates open an answer (`<think>`) in a prompt alone, and not in a conversation with an answer."""
    if lost := next((pair for pair in found if pair.lost), None):
        _log.warning(
            "%s: the chat template of %s ends a prompt with %r, but not where an answer follows; the model is trained "
            "in a context that differs from the one it answers in",
            lost.where,
            model,
            tokenizer.decode(lost.lost),
        )
