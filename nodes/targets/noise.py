"""Pictures in noise, so that a target sees less and says more from habit: POVID's way to rejected answers (Zhou et al. 2024,
arXiv 2402.11411, §3.2)."""

from __future__ import annotations

import base64
import io
import math

from anyprefer.core.pictures import opened
from anyprefer.core.task import Task

MIDDLE, SPREAD = 127.5, 69.0
"""Mean and standard deviation of a photograph's pixels, 0..255, as CLIP's processor takes them."""


def in_noise(task: Task, share: float, seed: int) -> Task:
    """The task with each image in noise; `share`, 0..1, is the noise's part of the variance, as a diffusion's forward
    process mixes it: sqrt(1 - share)·x + sqrt(share)·ε. POVID's 500th of 1,000 steps has about .25.

    Raises `InputError` for an image that cannot be opened. Blocks: call it in a thread.
    """
    images = tuple(_mixed(image, share, seed + place) for place, image in enumerate(task.images))
    return task.model_copy(update={"images": images})


def _mixed(image: str, share: float, seed: int) -> str:
    """A `data:` URL of a PNG."""
    import numpy
    from PIL import Image

    pixels = numpy.asarray(opened(image), dtype=float) - MIDDLE  # (H, W, 3)
    noise = numpy.random.RandomState(seed).normal(0, SPREAD, pixels.shape)
    mixed = MIDDLE + math.sqrt(1 - share) * pixels + math.sqrt(share) * noise
    file = io.BytesIO()
    Image.fromarray(mixed.clip(0, 255).astype("uint8")).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
