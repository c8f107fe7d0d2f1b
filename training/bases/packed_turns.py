"""Many conversations about one picture as one sequence: the picture's tokens once, behind them a block a conversation.

A block sees the picture and itself, and its positions continue the picture's, so each is exactly the conversation a
LLaVA model is asked later. Packed so, a step teaches eight questions and a description for little more than the price
of one; without packing, or without retrieval questions, yes/no stays at chance for as long as was tried.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from anyprefer.training.bases.scene_words import ANSWER, BEGIN, END, IMAGE, PAD
from anyprefer.training.scenes.captions import ASKED, described
from anyprefer.training.scenes.questions import KINDS, retrieval, yes_no
from anyprefer.training.scenes.world import Scene

IMAGE_TOKENS = 16
QUESTIONS = 8
"""Questions a picture and step."""
RETRIEVAL = 0.4
"""Share of the questions that ask for a colour or shape; they teach what yes/no needs: to bind one word to the other."""
_CAPTION, _QUESTION = 29, 8
"""Tokens of the longest description and question, with their answers but for the end, which nothing follows."""
_PREFIX = 1 + IMAGE_TOKENS
_BLOCKS = (_CAPTION, *[_QUESTION] * QUESTIONS)
IGNORED = -100
_UNSEEN = -1e4


@dataclass(frozen=True)
class Turn:
    """What is asked and answered."""

    asked: str
    answer: str


def turns(scene: Scene, rng: random.Random) -> list[Turn]:
    """A description with its language prior, and `QUESTIONS` questions; one right answer where there are several."""
    return [Turn(ASKED, described(scene, rng)), *(_question(scene, rng) for _ in range(QUESTIONS))]


def _question(scene: Scene, rng: random.Random) -> Turn:
    if rng.random() < RETRIEVAL:
        asked = retrieval(scene, rng)
    else:
        asked = yes_no(scene, rng.choice(KINDS), rng.choice(("yes", "no")), rng)
    return Turn(asked.text, rng.choice(asked.answers))


class Packer:
    """Scenes to token ids and labels. The layout is the same for all: mask and positions are made once."""

    def __init__(self, tokenizer: Any) -> None:
        block = torch.tensor([0] * _PREFIX + [at + 1 for at, size in enumerate(_BLOCKS) for _ in range(size)])
        place = torch.arange(len(block))
        shown = (block[None] == 0) | (block[None] == block[:, None])
        seen = (place[None] <= place[:, None]) & shown
        self.mask = torch.zeros(seen.shape).masked_fill(~seen, _UNSEEN)[None, None]
        """(1, 1, T, T): what is added to the scores of attention."""
        inside = [at for size in _BLOCKS for at in range(_PREFIX, _PREFIX + size)]
        self.positions = torch.tensor([*range(_PREFIX), *inside])[None]
        """(1, T)"""
        self._encode: Callable[..., list[int]] = tokenizer.encode
        self._known: dict[Turn, tuple[list[int], list[int]]] = {}
        self._begin, self._end, self._image, self._answer, self._pad = (
            tokenizer.convert_tokens_to_ids(token) for token in (BEGIN, END, IMAGE, ANSWER, PAD)
        )

    def batch(self, scenes: Sequence[Scene], rng: random.Random) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and labels, (B, T) long each; a label is the next token of an answer, or `IGNORED`."""
        rows = [self._row(turns(one, rng)) for one in scenes]
        return torch.tensor([ids for ids, _ in rows]), torch.tensor([labels for _, labels in rows])

    def _row(self, row: Sequence[Turn]) -> tuple[list[int], list[int]]:
        ids, labels = [self._begin, *[self._image] * IMAGE_TOKENS], [IGNORED] * _PREFIX
        for turn, size in zip(row, _BLOCKS, strict=True):
            read, written = self._tokens(turn)
            empty = size - len(read) - len(written)
            ids += [*read, self._answer, *written[:-1], *[self._pad] * empty]
            labels += [*[IGNORED] * len(read), *written, *[IGNORED] * empty]
        return ids, labels

    def _tokens(self, turn: Turn) -> tuple[list[int], list[int]]:
        """Of what is asked, and of the answer with its end; questions come again and again and are kept."""
        if turn in self._known:
            return self._known[turn]
        read, written = (self._encode(text, add_special_tokens=False) for text in (turn.asked, turn.answer))
        tokens = read, [*written, self._end]
        if turn.asked != ASKED:
            self._known[turn] = tokens
        return tokens
