"""Pairs → a stronger target: DPO with LoRA (TRL + peft), one round.

    report = train(["runs/first"], base="smollm2", output=Path("runs/first/adapter"), settings=train_settings("embedded"))

The next round passes the adapter folder as `base`: the same adapter is trained on, so the chain
stays one adapter on one base. The reference policy is then a frozen copy of the adapter as the
round found it (`reference="start"`, also what a fresh adapter on the base amounts to), or the base
alone (`reference="base"`). Its log-probabilities are computed once, before the first step, by the
model itself without its adapter: no second model is held.

Pairs of like length share a batch, so little of it is padding. Under `accelerate launch` every process
calls `train`, each device takes `batch_size` pairs a step, and the first process writes.

With `dev` some pairs are kept out, and the adapter of the step that did best on them is kept (`choice.py`).
What differs for pairs with images is in `image_training.py`.

Departures from the paper: β and the reference of later rounds are not stated there.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datasets import Dataset
from peft import LoraConfig
from transformers import PrinterCallback, ProgressCallback
from trl import DPOConfig, DPOTrainer

from anyprefer.core.errors import TrainingError
from anyprefer.models.local.adapters import adapter_base, public_name
from anyprefer.models.local.configurations import known_to_see
from anyprefer.models.local.weights import (
    Weights,
    default_device,
    default_dtype,
    load_tokenizer,
    load_weights,
    use_threads,
)
from anyprefer.training.pair_data.read import read_pairs
from anyprefer.training.trainers import curves
from anyprefer.training.trainers.answers_only import AnswersTrainer
from anyprefer.training.trainers.card import model_card
from anyprefer.training.trainers.choice import BestStep, kept_out
from anyprefer.training.trainers.memory import needs_checkpointing
from anyprefer.training.trainers.processes import is_first, is_sharded, on_cpu, one_machine, shared_rows, train_device
from anyprefer.training.trainers.settings import TrainSettings
from anyprefer.training.trainers.text_dpo import REPORT
from anyprefer.training.trainers.tokens import tokenised
from anyprefer.training.trainers.train_report import TrainReport, pair_file

_LIBRARIES = ("torch", "transformers", "trl", "peft")


class Texts:
    """How pairs of texts are trained on; `image_training.Images` does it for pairs with images."""

    trainer: type[AnswersTrainer] = AnswersTrainer

    def __init__(self, base: str, settings: TrainSettings) -> None:
        self.base, self.settings = base, settings

    def check(self, rows: Sequence[dict[str, Any]]) -> None:
        """Raises `TrainingError` for rows, or a model, of another kind."""
        if any(row["images"] for row in rows):
            raise TrainingError("these pairs have images; train a model that sees on them, with the trainer image_dpo")
        if known_to_see(self.base):
            raise TrainingError(f"{self.base} is a model that sees; train it with the trainer image_dpo, on texts too")

    def tokenised(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rows as token ids, shortest first; those that cannot be trained on are left out."""
        return tokenised(rows, load_tokenizer(self.base), self.settings.max_length, self.base)

    def arguments(self) -> dict[str, Any]:
        """`DPOConfig`'s that depend on it."""
        return {"max_length": self.settings.max_length}

    def parts(self, weights: Weights, reference: Any, scratch: Path) -> dict[str, Any]:
        """What else `DPOTrainer` is given. An adapter that is there is trained on."""
        return {
            "processing_class": weights.tokenizer,
            "peft_config": None if weights.adapter else lora_config(self.settings),
        }


def train(
    pairs: Sequence[str | Path], base: str, output: Path, settings: TrainSettings, form: type[Texts] = Texts
) -> TrainReport:
    """Train `base` on the pairs and save the adapter (safetensors) with its report in `output`.

    `pairs` are run folders or files, `base` a model as `LocalChat.model` takes it. An existing
    adapter folder is refused. Raises `TrainingError` (pairs, settings, divergence) and
    `ModelSetupError` (base).
    """
    began = time.monotonic()
    files = read_pairs(*pairs)
    rows = [row for _, found in files for row in found]
    work = form(base, settings)
    work.check(rows)
    _check(output, settings)
    origin = tuple(pair_file(file, len(found)) for file, found in files)
    # the rows' order within a batch matters little: the sampler shuffles batches of like length
    tokens, dev = kept_out(work.tokenised(rows), settings)
    parts = [Dataset.from_list(part) for part in (tokens, dev) if part]
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings(), shared_rows(*parts) as ready:
        warnings.simplefilter("ignore", FutureWarning)  # the libraries' words to each other
        trainer = _trainer(work, Path(scratch), *ready, output=output)
        best = _run(trainer)
    history = trainer.state.log_history
    report = TrainReport(
        adapter=str(output),
        base=base,
        pairs=origin,
        trained=len(tokens),
        left_out=len(rows) - len(tokens) - len(dev),
        kept_out=len(dev),
        step=best.step if best else None,
        checks=best.checks if best else (),
        settings=settings,
        versions={name: version(name) for name in _LIBRARIES},
        losses=tuple(float(entry["loss"]) for entry in history if "loss" in entry),
        metrics=_last_metrics(history),
        seconds=round(time.monotonic() - began, 1),
    )
    _save(trainer, report)
    trainer.accelerator.wait_for_everyone()
    return report


def _run(trainer: DPOTrainer) -> BestStep | None:
    """All steps; with pairs kept out the weights are then those of the best check."""
    best = BestStep() if trainer.eval_dataset is not None else None
    if best:
        trainer.add_callback(best)
    trainer.train()
    if not all(abs(entry["loss"]) < float("inf") for entry in trainer.state.log_history if "loss" in entry):
        raise TrainingError("the loss is no longer a number; lower the learning rate")
    if best:
        if best.checks[-1]["step"] < trainer.state.global_step:
            trainer.evaluate()
        best.restore(trainer.model)
    return best


def _check(output: Path, settings: TrainSettings) -> None:
    """What would be found out only after the training, or its first step."""
    curves.check(settings.report_to)
    if (output / "adapter_config.json").exists():
        raise TrainingError(f"{output} already holds an adapter; name another folder or remove it")
    try:
        output.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=output).close()
    except OSError as error:
        raise TrainingError(f"the adapter cannot be written to {output}: {error}; name another folder") from error


def _trainer(work: Texts, scratch: Path, rows: Any, dev: Any = None, *, output: Path | None = None) -> DPOTrainer:
    output = output or scratch
    settings, base = work.settings, work.base
    use_threads(settings.threads)
    arguments = _arguments(
        work, output, scratch, checks=dev is not None
    )  # before the weights: DeepSpeed shards as they load
    dtype = settings.dtype or default_dtype("cpu" if on_cpu() else default_device())
    device = train_device()
    weights = load_weights(base, dtype=dtype, device=device, merge=False)
    # one option under its old name and its new one
    arguments.gradient_checkpointing = arguments.activation_checkpointing = needs_checkpointing(weights.model, settings)
    reference = None
    if weights.adapter and settings.reference == "base":
        reference = load_weights(str(adapter_base(base)), dtype=dtype, device=device).model
    trainer = work.trainer(
        model=weights.model,
        ref_model=reference,
        args=arguments,
        train_dataset=rows,
        eval_dataset=dev,
        **work.parts(weights, reference, scratch),
    )
    for shown in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(shown)
    for shown in (_Bar, *(curves.callbacks(settings.report_to, output) if is_first() else ())):
        trainer.add_callback(shown)
    return trainer


class _Bar(ProgressCallback):
    """The progress bar alone; the losses are in the report."""

    def on_log(self, *args: Any, **kwargs: Any) -> None:
        """Nothing."""


def lora_config(settings: TrainSettings) -> LoraConfig:
    """A fresh adapter's shape."""
    targets = settings.lora_targets
    return LoraConfig(
        r=settings.lora_r,
        lora_alpha=settings.lora_alpha,
        target_modules=targets if targets == "all-linear" else [name.strip() for name in targets.split(",")],
        task_type="CAUSAL_LM",
    )


def _arguments(work: Texts, output: Path, scratch: Path, checks: bool) -> DPOConfig:
    settings = work.settings
    return DPOConfig(
        **work.arguments(),
        output_dir=str(scratch),
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        beta=settings.beta,
        loss_type=list(settings.loss_type),
        loss_weights=list(settings.loss_weights),
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=max(8, settings.batch_size),
        eval_strategy="steps" if checks else "no",
        eval_steps=settings.check_every,
        eval_on_start=checks,
        gradient_accumulation_steps=settings.gradient_accumulation,
        warmup_steps=settings.warmup,
        lr_scheduler_type=settings.scheduler,
        seed=settings.seed,
        precompute_ref_log_probs=one_machine(),  # TRL keeps them in a file that all processes read
        precompute_ref_batch_size=max(8, settings.batch_size),
        train_sampling_strategy="group_by_length",
        remove_unused_columns=False,  # `length` must reach the sampler
        use_cpu=on_cpu(),
        # the weights already have their number format; LoRA's own matrices stay float32
        bf16=False,
        dataloader_pin_memory=not on_cpu() and default_device() == "cuda",
        logging_steps=1,
        save_strategy="no",
        **curves.arguments(settings.report_to, output),
    )


def _save(trainer: DPOTrainer, report: TrainReport) -> None:
    """The adapter first, then what is said of it."""
    output = Path(report.adapter)
    _save_adapter(trainer, report.base, output)
    if trainer.is_world_process_zero():
        (output / REPORT).write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
        (output / "README.md").write_text(model_card(report), encoding="utf-8")


def _save_adapter(trainer: DPOTrainer, base: str, output: Path) -> None:
    # gathering sharded weights is every process's work, writing them is the first one's
    state = trainer.accelerator.get_state_dict(trainer.model_wrapped) if is_sharded() else None
    if not trainer.is_world_process_zero():
        return
    model = trainer.accelerator.unwrap_model(trainer.model)
    # what others can load too, not the cache folder it was loaded from
    model.peft_config["default"].base_model_name_or_path = public_name(adapter_base(base) or base)
    output.mkdir(parents=True, exist_ok=True)
    # left on "auto", peft asks the hub whether the vocabulary grew, offline too: huggingface/peft#1452
    model.save_pretrained(str(output), selected_adapters=["default"], save_embedding_layers=False, state_dict=state)


def _last_metrics(history: Sequence[dict[str, Any]]) -> dict[str, float]:
    last: dict[str, Any] = next((entry for entry in reversed(history) if "loss" in entry), {})
    return {name: float(value) for name, value in last.items()}
