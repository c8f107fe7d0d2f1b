"""How long to train: pairs kept out of training, and the step whose adapter is best on them.

The measure, before the first step and every `check_every` updates: the lowest loss among the steps at which the chosen
answers kept out are no less likely than before training (TRL's rewards/chosen at least 0). The loss alone would not do:
DPO lowers it on and on while every answer, chosen ones too, gets less likely, and the model turns to short, cautious
ones (docs/vision.md, Training, has a curve). Pairs about the same image, or of the same prompt where there is none, are
on one side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import TrainerCallback

from anyprefer.core.errors import TrainingError
from anyprefer.core.values import stable_hash
from anyprefer.training.trainers.settings import TrainSettings

Rows = list[dict[str, Any]]


def kept_out(rows: Rows, settings: TrainSettings) -> tuple[Rows, Rows]:
    """(pairs to train on, pairs kept out): the second have `dev` of the images or prompts, one at least.

    Raises `TrainingError` where there are not two of them.
    """
    if not settings.dev:
        return rows, []
    keys = sorted({_about(row) for row in rows}, key=lambda key: stable_hash([settings.seed, key]))
    if len(keys) < 2:
        raise TrainingError("all pairs are about the same prompt or image, so none can be kept out; set dev to 0")
    out = set(keys[: max(1, round(settings.dev * len(keys)))])
    return [row for row in rows if _about(row) not in out], [row for row in rows if _about(row) in out]


def _about(row: Mapping[str, Any]) -> str:
    pictures: Sequence[str] = row.get("pictures") or ()
    return pictures[0] if pictures else stable_hash(row["prompt_ids"])


class BestStep(TrainerCallback):
    """Notes every check, and keeps the trained weights of the best one."""

    def __init__(self) -> None:
        self.checks: list[dict[str, float]] = []
        self.step, self._loss = 0, float("inf")
        self._weights: dict[str, Any] = {}

    def on_evaluate(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """TRL's metrics of the pairs kept out, as it logs them."""
        found = {name.removeprefix("eval_"): float(value) for name, value in given["metrics"].items()}
        self.checks.append({"step": state.global_step, **found})
        if not self._weights or (found["rewards/chosen"] >= 0 and found["loss"] < self._loss):
            self.step, self._loss = state.global_step, found["loss"]
            self._weights = {name: weight.detach().to("cpu", copy=True) for name, weight in _trained(given["model"])}

    def restore(self, model: Any) -> None:
        """Puts the best check's weights into the model."""
        for name, weight in _trained(model):
            weight.data.copy_(self._weights[name])


def _trained(model: Any) -> list[tuple[str, Any]]:
    return [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
