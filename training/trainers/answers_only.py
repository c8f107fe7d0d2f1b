"""TRL's DPOTrainer, over rows that are token ids already, with the vocabulary's log-probabilities computed for the
answers' tokens alone on a CPU too.

TRL 1.16 leaves out prompts and padding on GPUs; elsewhere it scores every position and drops what it does not
need, which is half of a small model's step. The numbers are the same.
LoRA computes in the number format of its base (`lora_format.py`).
"""

from __future__ import annotations

import functools
import types
from typing import Any

import torch
from trl import DPOTrainer

from anyprefer.training.trainers.lora_format import lora_in_base_format

_PREDICATE = "_use_triton"
"""What TRL's forward asks to decide whether to pick the positions; no upstream issue known."""


class AnswersTrainer(DPOTrainer):
    """A DPOTrainer that scores answers only, whatever the device."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        model: Any = self.model
        lora_in_base_format(model)

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        """As TRL's."""
        self._score_answers_only()
        return super().compute_loss(*args, **kwargs)  # type: ignore[no-untyped-call]

    def compute_ref_log_probs(self, *args: Any, **kwargs: Any) -> Any:
        """As TRL's."""
        self._score_answers_only()
        return super().compute_ref_log_probs(*args, **kwargs)  # type: ignore[no-untyped-call]

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """0: counting the parameters at every step, for a number that nobody reads, is a tenth of a small model's step."""
        return 0

    def _score_answers_only(self) -> None:
        models: tuple[Any, ...] = (self.model, self.ref_model)
        for model in models:
            if model is not None:
                _score_answers_only(model.get_base_model() if hasattr(model, "get_base_model") else model)

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        ready = "prompt_ids" in dataset.column_names
        return dataset if ready else super()._prepare_dataset(dataset, *args, **kwargs)


def _score_answers_only(model: Any) -> None:
    """Gives this model's forward, which TRL has put there, an answer of its own to the question; no other model's.

    A forward that does not ask, of another TRL, stays as it is.
    """
    theirs = getattr(model.forward, "__func__", None)
    if theirs is None or _PREDICATE not in theirs.__code__.co_names:
        return
    real = theirs.__globals__[_PREDICATE]
    if real.__module__ == __name__:  # it is ours already
        return

    def on_cpu_too(device: torch.device) -> bool:
        return device.type == "cpu" or bool(real(device))

    names = {**theirs.__globals__, _PREDICATE: on_cpu_too}
    ours = types.FunctionType(theirs.__code__, names, theirs.__name__, theirs.__defaults__, theirs.__closure__)
    ours.__kwdefaults__ = theirs.__kwdefaults__
    model.forward = types.MethodType(functools.update_wrapper(ours, theirs), model)
