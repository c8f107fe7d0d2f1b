"""Several questions about one picture as one sequence, as in `packed_turns.py`, of questions of any length.

A block, a question with its answer, sees the picture and itself, and its positions continue the picture's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from anyprefer.training.bases.packed_turns import IGNORED, IMAGE_TOKENS
from anyprefer.training.bases.scene_words import ANSWER, BEGIN, END, IMAGE, PAD

PREFIX = 1 + IMAGE_TOKENS
_UNSEEN = -1e4


class Block(NamedTuple):
    """Token ids of a question with the mark that an answer follows, and of the answer with its end."""

    read: list[int]
    written: list[int]


class Batch(NamedTuple):
    """What a step learns from."""

    ids: torch.Tensor
    """(B, T)"""
    labels: torch.Tensor
    """(B, T): the next token of an answer, or `IGNORED`."""
    mask: torch.Tensor
    """(B, 1, T, T): what is added to the scores of attention."""
    positions: torch.Tensor
    """(B, T)"""


class QuestionPacker:
    """Questions to token ids and labels."""

    def __init__(self, tokenizer: Any) -> None:
        self._encode = tokenizer.encode
        self._begin, self._end, self._image, self._answer, self._pad = (
            tokenizer.convert_tokens_to_ids(token) for token in (BEGIN, END, IMAGE, ANSWER, PAD)
        )

    def block(self, question: str, answer: str) -> Block:
        """The tokens of one."""
        read, written = (self._encode(text, add_special_tokens=False) for text in (question, answer))
        return Block([*read, self._answer], [*written, self._end])

    def batch(self, pictures: Sequence[Sequence[Block]]) -> Batch:
        """The blocks of each picture in a row, filled up on the right, where nothing that counts looks."""
        width = PREFIX + max(sum(len(one.read) + len(one.written) - 1 for one in row) for row in pictures)
        ids, labels = (torch.full((len(pictures), width), value) for value in (self._pad, IGNORED))
        blocks, positions = torch.zeros_like(ids), torch.zeros_like(ids)
        ids[:, :PREFIX] = torch.tensor([self._begin, *[self._image] * IMAGE_TOKENS])
        positions[:, :PREFIX] = torch.arange(PREFIX)
        for at, row in enumerate(pictures):
            place = PREFIX
            for number, (read, written) in enumerate(row, 1):
                answered, end = place + len(read) - 1, place + len(read) + len(written) - 1
                ids[at, place:end] = torch.tensor([*read, *written[:-1]])
                labels[at, answered:end] = torch.tensor(written)
                blocks[at, place:end] = number
                positions[at, place:end] = torch.arange(PREFIX, PREFIX + end - place)
                place = end
        return Batch(ids, labels, _mask(blocks), positions)


def _mask(blocks: torch.Tensor) -> torch.Tensor:
    """From each token's block, 0 for the picture's: earlier tokens of the same block and of the picture are seen."""
    place = torch.arange(blocks.shape[1])
    shown = (blocks[:, None] == 0) & (place < PREFIX) | (blocks[:, None] == blocks[:, :, None])
    return torch.zeros(shown.shape).masked_fill(~(shown & (place <= place[:, None])), _UNSEEN)[:, None]
