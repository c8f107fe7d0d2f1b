"""The small policy's network, shaped like OpenVLA: pictures and words to tokens of an action, 0.43M parameters.

A prefix that attends to itself fully (12 tokens of the scene, 9 of the crop, the instruction's words, one of
proprioception), then seven tokens of 256 bins, each decoded from those before it (a prefix language model, Raffel et
al. 2020, arXiv 1910.10683, §3.2.3). Keys and values of the prefix are computed once an action.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from anyprefer.models.policies.action_tokens import BINS
from anyprefer.models.policies.base import DIMENSIONS

WIDTH, HEADS, LAYERS = 96, 4, 2
CHANNELS = (16, 32, 64, 96)
WORDS = 12
"""Longest instruction, in words that it knows."""
PROPRIOCEPTION = 8
_IMAGE_TOKENS = 12 + 9
PREFIX = _IMAGE_TOKENS + WORDS + 1

Cache = list[tuple[Tensor, Tensor]]
"""Keys and values (B, heads, length, width / heads) of each layer."""


class Batch(NamedTuple):
    """What the network is given."""

    scene: Tensor
    """(B, 48, 64, 3) uint8."""
    crop: Tensor
    """(B, 48, 48, 3) uint8."""
    words: Tensor
    """(B, 12) of the vocabulary, 0 where there is none."""
    state: Tensor
    """(B, 8) float32."""


class Eye(nn.Module):
    """Four convolutions of stride 2, with each pixel's place beside its colours: a token of 16x16 pixels."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        sizes = (5, *CHANNELS)
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2, padding=1) for before, after in pairwise(sizes)
        )
        rows, columns = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
        places = torch.stack([rows[:, None].expand(height, width), columns.expand(height, width)])
        self.places: Tensor
        self.register_buffer("places", places[None], persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, H, W, 3) uint8 to (B, H/16 * W/16, 96)."""
        colours = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
        seen = torch.cat([colours, self.places.expand(len(pixels), -1, -1, -1)], dim=1)
        for layer in self.layers:
            seen = nn.functional.relu(layer(seen))
        return seen.flatten(2).transpose(1, 2)


class Block(nn.Module):
    """Attention and two layers, each after a norm and added."""

    def __init__(self) -> None:
        super().__init__()
        self.before_attention, self.before_layers = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attended, self.joined = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(
        self, hidden: Tensor, mask: Tensor, past: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(B, L, 96) to (B, L, 96) and all keys and values; `mask` (B, 1, L, past + L) is true where one attends."""
        parts = self.attended(self.before_attention(hidden)).chunk(3, dim=-1)
        query, key, value = (one.reshape(*one.shape[:2], HEADS, -1).transpose(1, 2) for one in parts)
        if past is not None:
            key, value = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
        seen = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        hidden = hidden + self.joined(seen.transpose(1, 2).flatten(2))
        hidden = hidden + self.narrow(nn.functional.gelu(self.wide(self.before_layers(hidden))))
        return hidden, (key, value)


class SmallNetwork(nn.Module):
    """`words` is the size of the vocabulary, the empty word 0 counted."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.scene_eye, self.crop_eye = Eye(48, 64), Eye(48, 48)
        self.word = nn.Embedding(words, WIDTH)
        self.state = nn.Linear(PROPRIOCEPTION, WIDTH)
        self.place = nn.Parameter(torch.randn(PREFIX + DIMENSIONS, WIDTH) * 0.02)
        self.token = nn.Embedding(BINS, WIDTH)
        self.begin = nn.Parameter(torch.zeros(WIDTH))
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, BINS)

    def forward(self, batch: Batch, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, 7, 256) of all tokens where those before are `inputs` (B, 6), and what the proprioception's token
        became (B, 96)."""
        prefix, known = self._prefix(batch)
        hidden = torch.cat([prefix, self._tokens(inputs)], dim=1)
        mask = _mask(known)
        for block in self.blocks:
            hidden, _ = block(hidden, mask)
        return self.head(self.norm(hidden[:, PREFIX:])), hidden[:, PREFIX - 1]

    def begun(self, batch: Batch) -> tuple[Cache, Tensor]:
        """The prefix's keys and values, and which of its places (B, PREFIX) are attended to."""
        hidden, known = self._prefix(batch)
        cache: Cache = []
        for block in self.blocks:
            hidden, kept = block(hidden, known[:, None, None])
            cache.append(kept)
        return cache, known

    def step(self, cache: Cache, known: Tensor, last: Tensor | None, at: int) -> tuple[Tensor, Cache]:
        """Logits (B, 256) of token number `at`, after `last` (B,); None before the first."""
        given = torch.zeros(len(known), 0, dtype=torch.long) if last is None else last[:, None]
        hidden = self._tokens(given, at)[:, -1:]
        there = torch.cat([known, known.new_ones(len(known), at + 1)], dim=1)[:, None, None]
        kept: Cache = []
        for block, past in zip(self.blocks, cache, strict=True):
            hidden, one = block(hidden, there, past)
            kept.append(one)
        return self.head(self.norm(hidden[:, 0])), kept

    def _prefix(self, batch: Batch) -> tuple[Tensor, Tensor]:
        parts = [self.scene_eye(batch.scene), self.crop_eye(batch.crop), self.word(batch.words)]
        hidden = torch.cat([*parts, self.state(batch.state)[:, None]], dim=1) + self.place[:PREFIX]
        known = torch.ones(hidden.shape[:2], dtype=torch.bool)
        known[:, _IMAGE_TOKENS : PREFIX - 1] = batch.words > 0
        return hidden, known

    def _tokens(self, inputs: Tensor, at: int | None = None) -> Tensor:
        """The start and the tokens `inputs`, at the places where the next one is read; with `at` the last place alone
        counts."""
        begin = self.begin.expand(len(inputs), 1, WIDTH)
        hidden = torch.cat([begin, self.token(inputs)], dim=1)
        first = PREFIX + (at - inputs.shape[1] if at is not None else 0)
        return hidden + self.place[first : first + hidden.shape[1]]


def _mask(known: Tensor) -> Tensor:
    """(B, 1, L, L): all attend to the prefix, tokens of the action to those before them too."""
    length = PREFIX + DIMENSIONS
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    causal[:PREFIX, :PREFIX] = True
    there = torch.cat([known, known.new_ones(len(known), DIMENSIONS)], dim=1)
    return causal[None, None] & there[:, None, None]
