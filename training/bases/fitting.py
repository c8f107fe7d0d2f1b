"""The training loop that all stages share: AdamW, a short warm-up, a cosine down to 5% of the rate, clipped gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from tqdm import tqdm

_LAST = 0.05
"""Share of the learning rate at the end."""


def fit(
    name: str, parameters: Iterable[torch.nn.Parameter], loss: Callable[[], torch.Tensor], steps: int, rate: float
) -> None:
    """Makes `steps` steps of `loss`, which draws its own batch each time. `name` stands at the progress bar."""
    trained = list(parameters)
    optimizer = torch.optim.AdamW(trained, lr=rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    warm = min(100, max(1, steps // 10))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _share(step, warm, steps))
    bar = tqdm(range(steps), desc=name, leave=False)
    for step in bar:
        found = loss()
        optimizer.zero_grad()
        found.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        if step % 20 == 0:
            bar.set_postfix(loss=f"{found.item():.3f}")


def _share(step: int, warm: int, steps: int) -> float:
    """Of the learning rate, at a step."""
    if step < warm:
        return (step + 1) / warm
    done = (step - warm) / max(1, steps - warm)
    return _LAST + (1 - _LAST) * (1 + math.cos(math.pi * done)) / 2
