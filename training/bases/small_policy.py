"""Trains the small policy by imitation of the noisy expert (behaviour cloning), from nothing.

    build_policy().write(SHIPPED)          # anyprefer build policy

The tokens that the network reads while it learns are drawn from the soft target of each dimension, not the expert's
own: those are exact (roll is always one bin), the later tokens would learn to read that, and the first one that is
sampled beside it would lead them astray. Without it this policy succeeds 91 times of 100 when it takes the likeliest
token, and never when it samples at T = 0.3.
"""

from __future__ import annotations

import random

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, smooth_l1_loss

from anyprefer.models.policies.action_tokens import BINS, MIDDLES
from anyprefer.models.policies.base import DIMENSIONS
from anyprefer.models.policies.small import TOKENS, SmallPolicy, read_words
from anyprefer.models.policies.small_network import WIDTH, Batch
from anyprefer.training.bases.demonstrations import EPISODES, Demonstrations, demonstrations
from anyprefer.training.bases.fitting import fit

STEPS = 12_000
"""1,280 s of one core, after 260 s of demonstrations."""
BATCH = 64
RATE = 1.2e-3
SPREAD = (3.0, 3.0, 3.0, 3.0, 3.0, 10.0, 0.0)
"""Standard deviation of each dimension's soft target, in bins; the gripper's is the bin itself. Yaw is learnt last, and
not at all with 3."""
WEIGHTS = (1.0, 1.0, 1.0, 0.2, 0.2, 1.0, 2.0)
"""Of each dimension's cross entropy; the expert never rolls or pitches."""
PLACES, FLAGS = 8, 2
"""What the auxiliary head regresses, in decimetres and as sine and cosine, and what it classifies."""


def build_policy(steps: int = STEPS, seed: int = 0) -> SmallPolicy:
    """Demonstrations, then training; a toy of few steps has few of both."""
    episodes = max(1, min(EPISODES, steps // 8))
    return train_policy(demonstrations(SmallPolicy.new(()).inputs, episodes), steps, seed)


def train_policy(shown: Demonstrations, steps: int = STEPS, seed: int = 0) -> SmallPolicy:
    """A policy after `steps` updates on batches of 64 steps of the expert."""
    words = sorted({word for told in shown.instructions for text in told for word in read_words(text)})
    policy = SmallPolicy.new(words, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        auxiliary = nn.Linear(WIDTH, PLACES + FLAGS)
        drawn = _Drawn(shown, policy, random.Random(seed))
        weights = torch.tensor(WEIGHTS)

        def loss() -> Tensor:
            batch, soft, truth = drawn.batch()
            inputs = torch.multinomial(soft[:, :-1].flatten(0, 1), 1).view(len(soft), -1)
            logits, felt = policy.module(batch, inputs)
            missed = -(soft * logits.log_softmax(-1)).sum(-1)  # (B, 7)
            imitated: Tensor = (missed * weights).sum(-1).mean() / weights.sum()
            return imitated + _auxiliary_loss(auxiliary(felt), truth)

        fit("policy", [*policy.module.parameters(), *auxiliary.parameters()], loss, steps, RATE)
    policy.module.eval()
    return policy


def _auxiliary_loss(found: Tensor, truth: Tensor) -> Tensor:
    places = smooth_l1_loss(found[:, :PLACES], truth[:, :PLACES])
    return places + binary_cross_entropy_with_logits(found[:, PLACES:], truth[:, PLACES:])


class _Drawn:
    """Batches of demonstrations, each step in one of its task's wordings."""

    def __init__(self, shown: Demonstrations, policy: SmallPolicy, rng: random.Random) -> None:
        self.shown, self.policy, self.rng = shown, policy, rng

    def batch(self) -> tuple[Batch, Tensor, Tensor]:
        """What is seen, the soft targets (B, 7, 256) and the auxiliary truth (B, 10)."""
        shown = self.shown
        rows = np.array(self.rng.choices(range(len(shown.action)), k=BATCH))
        told = [self.rng.choice(shown.instructions[task]) for task in shown.task[rows]]
        inputs = [{"scene": shown.scene[row], "crop": shown.crop[row], "state": shown.state[row]} for row in rows]
        return self.policy.batch(inputs, told), soft_targets(shown.action[rows]), torch.from_numpy(shown.truth[rows])


def soft_targets(actions: NDArray[np.float32]) -> Tensor:
    """(B, 7) actions to probabilities (B, 7, 256) of bins: a Gaussian around each number, cut off at the limits."""
    bins = torch.from_numpy(TOKENS.tokens(actions)).clamp(max=BINS - 2)
    hard = nn.functional.one_hot(bins, BINS).float()
    width = MIDDLES[1] - MIDDLES[0]
    scaled = np.clip(actions / np.array(TOKENS.high), MIDDLES[0], MIDDLES[-1])
    away = torch.from_numpy((MIDDLES - scaled[..., None]) / width).float()  # (B, 7, 255) bins
    spread = torch.tensor(SPREAD).clamp(min=1e-3)[:, None]
    soft = nn.functional.pad((-((away / spread) ** 2) / 2).softmax(-1), (0, 1))
    sharp = torch.tensor([one == 0 for one in SPREAD]).view(1, DIMENSIONS, 1)
    return torch.where(sharp, hard, soft)
