"""Draws each row's next token from its logits with one uniform number, by inverse CDF.

A vocabulary of 50,000 makes this a large share of a step on a CPU when done the plain way (softmax,
cumsum and search over the whole matrix). Here rows go through in chunks that stay in the cache, and the
search is in two levels: first over sums of blocks of the vocabulary, then within one block.
"""

from __future__ import annotations

import torch

BLOCK = 256
_NUCLEUS = 256
_CPU_ROWS, _GPU_ROWS = 16, 256


def pick(
    logits: torch.Tensor, temperature: torch.Tensor, top_p: torch.Tensor, uniform: torch.Tensor, nucleus: bool
) -> torch.Tensor:
    """Tokens (B,) from logits (B, V), each by its own temperature (B,; 0 is greedy), top_p (B,) and uniform number (B,; 0..1).

    `nucleus` says whether any row's top_p is under 1.
    """
    rows = _CPU_ROWS if logits.device.type == "cpu" else _GPU_ROWS
    parts = []
    for start in range(0, len(logits), rows):
        here = slice(start, start + rows)
        knobs = (temperature[here, None], top_p[here, None], uniform[here, None])
        parts.append(_pick(logits[here], *knobs, nucleus))
    return torch.cat(parts)


def _pick(
    logits: torch.Tensor, temperature: torch.Tensor, top_p: torch.Tensor, uniform: torch.Tensor, nucleus: bool
) -> torch.Tensor:
    """logits: (b, V), the others (b, 1) → (b,)."""
    size = logits.shape[1]
    padded = -(-size // BLOCK) * BLOCK
    mass = torch.full((len(logits), padded), float("-inf"), device=logits.device)  # (b, V')
    mass[:, :size] = logits
    highest, greedy = mass.max(dim=1, keepdim=True)
    mass.sub_(highest).div_(temperature.clamp(min=1e-6)).exp_()  # probabilities, not yet summing to 1
    drawn = _by_nucleus(mass, top_p, uniform) if nucleus else _by_blocks(mass, uniform)
    return torch.where(temperature > 0, drawn, greedy)[:, 0]


def _by_blocks(mass: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """mass: (b, V'), uniform: (b, 1) → index (b, 1)."""
    blocks = mass.view(len(mass), -1, BLOCK)
    ends = blocks.sum(dim=2).cumsum(dim=1)  # (b, V'/BLOCK)
    wanted = uniform * ends[:, -1:]
    block = _search(ends, wanted)
    before = torch.where(block > 0, ends.gather(1, (block - 1).clamp(min=0)), 0.0)
    inside = blocks.gather(1, block[:, :, None].expand(-1, 1, BLOCK))[:, 0].cumsum(dim=1)  # (b, BLOCK)
    return block * BLOCK + _search(inside, wanted - before)


def _by_nucleus(mass: torch.Tensor, top_p: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """mass: (b, V'), top_p and uniform: (b, 1) → index (b, 1)."""
    share = mass / mass.sum(dim=1, keepdim=True)
    count = min(_NUCLEUS, share.shape[1])
    while True:
        probs, order = share.topk(count, dim=1)  # sorting the whole vocabulary costs more than the model's step
        ends = probs.cumsum(dim=1)
        if count == share.shape[1] or bool((ends[:, -1:] >= top_p).all()):
            break
        count = min(count * 8, share.shape[1])
    kept = torch.where(ends - probs < top_p, probs, 0.0).cumsum(dim=1)
    return order.gather(1, _search(kept, uniform * kept[:, -1:]))


def _search(ends: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """First index whose running sum in `ends` (b, n) exceeds `wanted` (b, 1); rounding never leads past the last mass."""
    below = torch.nextafter(ends[:, -1:], torch.zeros_like(wanted))
    return torch.searchsorted(ends, torch.minimum(wanted, below), right=True).clamp(max=ends.shape[1] - 1)
