"""TRL's DPOTrainer, with the vocabulary's log-probabilities computed for the answers' tokens alone on a CPU too.

TRL 1.16 leaves out prompts and padding on GPUs; elsewhere it scores every position and drops what it does not
need, which is half of a small model's step. The numbers are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from trl import DPOTrainer
from trl.trainer import utils


class AnswersTrainer(DPOTrainer):
    """A DPOTrainer that scores answers only, whatever the device."""

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        """As TRL's."""
        with _answers_only():
            return super().compute_loss(*args, **kwargs)  # type: ignore[no-untyped-call]

    def compute_ref_log_probs(self, *args: Any, **kwargs: Any) -> Any:
        """As TRL's."""
        with _answers_only():
            return super().compute_ref_log_probs(*args, **kwargs)  # type: ignore[no-untyped-call]


@contextmanager
def _answers_only() -> Iterator[None]:
    """TRL asks this question to decide whether to pick the positions; other versions may not ask it."""
    real = getattr(utils, "_use_triton", None)
    if real is None:
        yield
        return
    with mock.patch.object(utils, "_use_triton", lambda device: device.type == "cpu" or real(device)):
        yield
