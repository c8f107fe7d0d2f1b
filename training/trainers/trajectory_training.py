"""Pairs of trajectories → a stronger policy: the windows, the loss, the loop and the report."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from torch.nn.functional import logsigmoid
from tqdm import tqdm

from anyprefer.core.errors import InputError, TrainingError
from anyprefer.core.trajectories import Trajectory
from anyprefer.models.policies.base import Inputs, TrainablePolicy
from anyprefer.models.policies.by_name import trainable
from anyprefer.models.policies.kept_inputs import kept
from anyprefer.training.pair_data.trajectories import trajectory_files
from anyprefer.training.trainers import curves
from anyprefer.training.trainers.text_dpo import REPORT
from anyprefer.training.trainers.train_report import PairFile, pair_file
from anyprefer.training.trainers.trajectory import TrajectorySettings

_CURVES = ("loss", "rewards/chosen", "rewards/rejected", "rewards/accuracies")
_CHECKED = 10
"""Updates over which the chosen's likelihood is looked at."""


class TrajectoryReport(BaseModel):
    """Where a policy comes from; kept beside it as `anyprefer.json`."""

    model_config = ConfigDict(frozen=True)

    policy: str
    """As `policy(SPEC)` loads it."""
    base: str
    """What this round started from."""
    pairs: tuple[PairFile, ...]
    trained: int
    """Pairs of trajectories."""
    windows: int
    """Pairs of windows."""
    settings: TrajectorySettings
    seed: int
    versions: dict[str, str]
    losses: tuple[float, ...]
    """Training loss of every update; the sigmoid loss starts at log 2 where the reference is the policy."""
    chosen: tuple[float, ...]
    """By how many nats a window the chosen ones' log-likelihood stood over the reference's, of every update."""
    rejected: tuple[float, ...]
    metrics: dict[str, float]
    """Means of the last updates: nats a window of chosen and rejected, and the share of windows with a margin over 0."""
    stopped: int | None
    """The update after which training stopped, since chosen windows had become too unlikely; None: it did not."""
    seconds: float


@dataclass(frozen=True)
class Side:
    """A window of one trajectory."""

    instruction: str
    inputs: Sequence[Inputs]
    tokens: Tensor
    """(steps, 7) long."""
    reference: Tensor
    """(steps, 7): ln p of each token as the policy that acted had it."""


Window = tuple[Side, Side]
"""Chosen and rejected, of as many steps."""


def windows(chosen: Trajectory, rejected: Trajectory, length: int) -> list[Window]:
    """The i-th window of one with the i-th of the other, side by side; the last one may be shorter.

    Raises `TrainingError` for trajectories without tokens, log probabilities or inputs.
    """
    steps = min(len(chosen.actions), len(rejected.actions))
    sides = [_sides(trajectory, steps, length) for trajectory in (chosen, rejected)]
    return list(zip(*sides, strict=True))


def _sides(one: Trajectory, steps: int, length: int) -> list[Side]:
    if not (one.tokens and one.logprobs and one.inputs):
        raise TrainingError("a trajectory has no tokens, logprobs or inputs to be trained on; play it with policy:SPEC")
    try:
        inputs = kept(one.inputs, len(one.actions))
    except InputError as error:
        raise TrainingError(str(error)) from None
    tokens, reference = torch.tensor(one.tokens), torch.tensor(one.logprobs)
    if not reference.isfinite().all():
        raise TrainingError("the policy that acted returned no log probabilities, and TPO needs them as its reference")
    cuts = [slice(first, min(first + length, steps)) for first in range(0, steps, length)]
    return [Side(one.instruction, inputs[cut], tokens[cut], reference[cut]) for cut in cuts]


def train(pairs: Sequence[Path], base: str, output: Path, settings: TrajectorySettings, seed: int) -> TrajectoryReport:
    """Trains the policy `base` on the pairs; saves it with its report in `output`. Raises `TrainingError`."""
    began = time.monotonic()
    torch.set_num_threads(settings.threads)
    files = trajectory_files(*pairs)
    rows = [pair for _, found in files for pair in found]
    data = [window for pair in rows for window in windows(*pair, settings.window)]
    policy = trainable(base)
    if settings.lora_r:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            policy.with_lora(settings.lora_r, settings.lora_alpha)
    fitting = _Fitting(policy, settings, seed)
    fitting.run(data, curves.writer(settings.report_to, output))
    spec = policy.save(output)
    report = TrajectoryReport(
        policy=spec,
        base=base,
        pairs=tuple(pair_file(file, len(found)) for file, found in files),
        trained=len(rows),
        windows=len(data),
        settings=settings,
        seed=seed,
        versions={name: version(name) for name in ("torch", "peft")},
        losses=tuple(fitting.losses),
        chosen=tuple(fitting.chosen),
        rejected=tuple(fitting.rejected),
        metrics=fitting.metrics(),
        stopped=fitting.stopped,
        seconds=round(time.monotonic() - began, 1),
    )
    (output / REPORT).write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return report


class _Fitting:
    """The loop, and what was seen in it."""

    def __init__(self, policy: TrainablePolicy, settings: TrajectorySettings, seed: int) -> None:
        self.policy, self.settings, self.seed = policy, settings, seed
        self.losses, self.chosen, self.rejected = list[float](), list[float](), list[float]()
        self.right = list[float]()
        self.stopped: int | None = None

    def run(self, data: Sequence[Window], watched: Any = None) -> None:
        """All updates, or those until the chosen become too unlikely; `watched` is TensorBoard's writer."""
        settings = self.settings
        trained = [weight for weight in self.policy.module.parameters() if weight.requires_grad]
        optimiser = torch.optim.AdamW(trained, lr=settings.learning_rate, weight_decay=0.0)
        batches = list(self._batches(data))
        total = -(-len(batches) // settings.gradient_accumulation)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _share(step, settings.warmup_steps, total))
        recent = deque[float](maxlen=_CHECKED)
        for update in tqdm(range(total), desc="tpo", leave=False):
            part = batches[update * settings.gradient_accumulation :][: settings.gradient_accumulation]
            optimiser.zero_grad()
            self._accumulate(part)
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
            schedule.step()
            self._show(watched, update + 1)
            recent.append(self.chosen[-1])
            if len(recent) == _CHECKED and sum(recent) / _CHECKED < -settings.stop_below:
                self.stopped = update + 1
                return

    def _show(self, watched: Any, update: int) -> None:
        """The newest values, under the names that TRL gives them."""
        if watched:
            values = (self.losses, self.chosen, self.rejected, self.right)
            for name, found in zip(_CURVES, values, strict=True):
                watched.add_scalar(f"train/{name}", found[-1], update)
            watched.flush()

    def metrics(self) -> dict[str, float]:
        """Of the last updates."""
        lists = {
            "chosen, nats a window": self.chosen,
            "rejected, nats a window": self.rejected,
            "margins > 0": self.right,
        }
        return {name: round(sum(found[-_CHECKED:]) / len(found[-_CHECKED:]), 3) for name, found in lists.items()}

    def _batches(self, data: Sequence[Window]) -> Iterator[list[Window]]:
        random = torch.Generator().manual_seed(self.seed)
        for _ in range(self.settings.epochs):
            order = torch.randperm(len(data), generator=random).tolist()
            for first in range(0, len(order), self.settings.batch_size):
                yield [data[number] for number in order[first : first + self.settings.batch_size]]

    def _accumulate(self, part: Sequence[list[Window]]) -> None:
        seen = []
        for batch in part:
            loss, chosen, rejected = self._loss(batch)
            (loss / len(part)).backward()  # type: ignore[no-untyped-call]
            seen.append(
                (loss.item(), chosen.mean().item(), rejected.mean().item(), (chosen > rejected).float().mean().item())
            )
        for kept_in, values in zip(
            (self.losses, self.chosen, self.rejected, self.right), zip(*seen, strict=True), strict=True
        ):
            kept_in.append(sum(values) / len(values))
        if not all(abs(value) < float("inf") for value in (self.losses[-1], self.chosen[-1])):
            raise TrainingError("the loss is no longer a number; lower the learning rate")

    def _loss(self, batch: Sequence[Window]) -> tuple[Tensor, Tensor, Tensor]:
        """The loss, and by how much chosen and rejected windows (B,) stand over the reference."""
        sides = [window[0] for window in batch] + [window[1] for window in batch]
        found = self.policy.log_probabilities(
            [inputs for side in sides for inputs in side.inputs],
            [side.instruction for side in sides for _ in side.inputs],
            torch.cat([side.tokens for side in sides]),
        )
        sizes = [len(side.tokens) for side in sides]
        sums = torch.stack([part.sum() for part in torch.split(found, sizes)])  # (2B,)
        reference = torch.stack([side.reference.sum() for side in sides])
        over = sums - reference.to(sums)
        chosen, rejected = over.chunk(2)
        tokens = torch.tensor([side.tokens.numel() for side in sides[: len(batch)]]).to(sums)
        parts = {
            "sigmoid": preference_loss(chosen, rejected, self.settings.beta),
            "sft": -sums[: len(batch)].sum() / tokens.sum(),
        }
        weighted = zip(self.settings.loss_type, self.settings.loss_weights, strict=True)
        return (
            torch.stack([weight * parts[name] for name, weight in weighted]).sum(),
            chosen.detach(),
            rejected.detach(),
        )


def preference_loss(chosen: Tensor, rejected: Tensor, beta: float) -> Tensor:
    """-log σ(β (chosen - rejected)), each (B,) the sum of ln π - ln π_ref over a window: TRL's `sigmoid` loss."""
    return -logsigmoid(beta * (chosen - rejected)).mean()


def _share(step: int, warm: int, steps: int) -> float:
    """Of the learning rate, at an update."""
    if step < warm:
        return (step + 1) / (warm + 1)
    return max(0.0, (steps - step) / max(1, steps - warm))
