"""How fast DPO trains a model that sees: ours beside TRL's vision DPO, on the same pairs of rendered scenes.

    python -m benchmarks.image_dpo --base scenes --json runs/benchmarks/image_dpo.json
    python -m benchmarks.image_dpo runs/first --base hf:ORG/MODEL --preset paper --seeds 0 --heldout 40

All get the same base, pairs, LoRA and projector, loss, learning rate, schedule, batch size and seeds; the projector has
LoRA's rate, since TRL has one. "TRL's defaults" leaves everything else as TRL has it: weights in float32 under bfloat16
autocast, gradient checkpointing. "TRL, number format as ours" takes both away. Both run the tower twice an image and step,
and once more for the reference. Seconds are from the rows to the trained adapter: reading rows and images, features,
reference, steps; not the loading of the model. On a CPU that others use too, pairs a CPU second is the measure.

Without run folders chosen answers are true descriptions, and rejected ones name one thing more that is not there.
Afterwards one piece of code computes every adapter's loss in float32, with pixels, on training and held-out pairs.
Memory is the process's, after every step: the median of the last quarter of the steps less that of the second.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch.nn.functional import logsigmoid
from transformers import PrinterCallback, ProgressCallback, TrainerCallback
from trl import DPOConfig, DPOTrainer

from anyprefer.core.pictures import opened
from anyprefer.models.local.weights import default_device, default_dtype, load_weights, use_threads
from anyprefer.training.evaluation.scene_families import scenes
from anyprefer.training.pair_data.read import read_pairs
from anyprefer.training.scenes.captions import caption
from anyprefer.training.scenes.world import LABELS
from anyprefer.training.trainers import dpo
from anyprefer.training.trainers.checked import checked
from anyprefer.training.trainers.image_features import FromPixels
from anyprefer.training.trainers.image_rows import ImageRows
from anyprefer.training.trainers.image_training import ImageCollator, Images, image_lora, trained_projector
from anyprefer.training.trainers.processes import on_cpu
from anyprefer.training.trainers.settings import IMAGE_PRESETS, ImageTrainSettings
from benchmarks.dpo import STOCK, Runs, loss_table, speed_table
from benchmarks.report import FOLDER, save

TUNED = "TRL, number format as ours"
MADE = 200
"""Training pairs where no run is given."""
Rows = list[dict[str, Any]]


def stock(rows: Rows, base: str, settings: ImageTrainSettings, folder: Path, tuned: bool) -> DPOTrainer:
    dtype = settings.dtype or default_dtype(default_device())
    weights = load_weights(base, dtype=dtype if tuned else "float32", device="cpu" if on_cpu() else "")
    arguments = DPOConfig(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        beta=settings.beta,
        loss_type=list(settings.loss_type),
        loss_weights=list(settings.loss_weights),
        per_device_train_batch_size=settings.batch_size,
        max_length=None,
        warmup_steps=settings.warmup,
        lr_scheduler_type=settings.scheduler,
        seed=settings.seed,
        remove_unused_columns=False,
        use_cpu=on_cpu(),
        **({"bf16": False, "gradient_checkpointing": False} if tuned else {}),
        dataloader_pin_memory=not on_cpu(),
        logging_steps=1,
        save_strategy="no",
        report_to="none",
    )
    shown = [{**row, "images": [opened(image) for image in row["images"]]} for row in rows]
    columns = ("prompt", "chosen", "rejected", "images")
    return DPOTrainer(
        model=weights.model,
        args=arguments,
        train_dataset=Dataset.from_list([{name: row[name] for name in columns} for row in shown]),
        processing_class=weights.processor,
        peft_config=image_lora(weights.model, settings, trained_projector(weights.model, settings, base)),
    )


def ours(rows: Rows, base: str, settings: ImageTrainSettings, folder: Path) -> DPOTrainer:
    work = Images(base, settings)
    work.check(rows)
    return dpo._trainer(work, folder, Dataset.from_list(work.tokenised(rows)))


def one_run(build: Any, sets: dict[str, Rows], base: str, settings: ImageTrainSettings) -> dict[str, float]:
    """Pairs a second of one training run, its memory, and the adapter's losses afterwards."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        loading = _loading(base, settings)
        began, busy = time.perf_counter(), time.process_time()
        trainer = build(sets["training"], base, settings, Path(folder))
        for shown in (ProgressCallback, PrinterCallback):
            trainer.remove_callback(shown)
        memory = _Memory()
        trainer.add_callback(memory)
        trainer.train()
        seconds = time.perf_counter() - began - loading[0]
        cpu_seconds = time.process_time() - busy - loading[1]
        adapter = Path(folder) / "adapter"
        dpo._save_adapter(trainer, base, adapter)
        first = next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry)
        losses = final_losses(adapter, base, settings, sets)
    played = len(sets["training"]) * settings.epochs
    speed = {"pairs_per_second": played / seconds, "pairs_per_cpu_second": played / cpu_seconds}
    return {**speed, "first step": first, **losses, "pairs_per_growth": memory.growth()}


def _loading(base: str, settings: ImageTrainSettings) -> tuple[float, float]:
    """Wall and CPU seconds of loading the model, which are left out."""
    began, busy = time.perf_counter(), time.process_time()
    load_weights(base, dtype=settings.dtype, device="cpu" if on_cpu() else "")
    return time.perf_counter() - began, time.process_time() - busy


@torch.no_grad()
def final_losses(adapter: Path, base: str, settings: ImageTrainSettings, sets: dict[str, Rows]) -> dict[str, float]:
    """DPO loss against the base and nats a token of the chosen answers, on each set of pairs."""
    loaded = load_weights(str(adapter), dtype="float32", device="cpu" if on_cpu() else "", merge=False)
    model, losses = loaded.model.eval(), {}
    for name, rows in sets.items():
        reader = ImageRows(loaded.processor, settings.max_length, base)
        tokens = reader.tokenised(rows)
        images = FromPixels(loaded.processor, reader.sources, torch.float32)
        collate = ImageCollator(loaded.tokenizer.pad_token_id, images)
        batches = [collate(tokens[at : at + 16]) for at in range(0, len(tokens), 16)]
        chosen, rejected = _answer_logps(model, batches)
        with model.disable_adapter():
            ref_chosen, ref_rejected = _answer_logps(model, batches)
        margins = (chosen - ref_chosen) - (rejected - ref_rejected)  # (pairs,)
        losses[f"{name}, DPO"] = -logsigmoid(settings.beta * margins).mean().item()
        answered = sum(batch["completion_mask"].chunk(2)[0].sum().item() for batch in batches)
        losses[f"{name}, chosen answers' nats a token"] = -chosen.sum().item() / answered
    return losses


def _answer_logps(model: Any, batches: list[dict[str, Any]]) -> tuple[Any, Any]:
    """Log-probability of each chosen and each rejected answer, without TRL's fused head: (pairs,), (pairs,)."""
    halves = []
    for batch in batches:
        inputs = {name: value.to(model.device) for name, value in batch.items()}
        answers, ids = inputs.pop("completion_mask"), inputs["input_ids"]  # (2 B, T)
        logps = model(**inputs).logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
        halves.append((logps * answers[:, 1:]).sum(1).chunk(2))
    return tuple(torch.cat(half) for half in zip(*halves, strict=True))


class _Memory(TrainerCallback):
    """The process's resident memory after every step, in MiB."""

    def __init__(self) -> None:
        self.held: list[float] = []

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        self.held.append(pages * 4096 / 2**20)

    def growth(self) -> float:
        quarter = max(1, len(self.held) // 4)
        return statistics.median(self.held[-quarter:]) - statistics.median(self.held[quarter : 2 * quarter])


def made_pairs(count: int) -> Rows:
    """Scenes, the true description over one that names a thing more."""
    return [_pair(task, random.Random(at)) for at, task in enumerate(scenes(count, 0, "train"))]


def _pair(task: Any, rng: random.Random) -> dict[str, Any]:
    there = [one["label"] for one in task.reference["objects"]]
    more = list(there)
    more.insert(rng.randint(0, len(there)), rng.choice([label for label in LABELS if label not in there]))
    answers = {"chosen": caption(there), "rejected": caption(more)}
    messages = {name: [{"role": "assistant", "content": text}] for name, text in answers.items()}
    prompt = [{"role": "user", "content": task.prompt}]
    return {"prompt": prompt, "turns": prompt, **messages, "images": list(task.images)}


def growth_table(runs: Runs) -> dict[str, Any]:
    rows = [[name, *(f"{run['pairs_per_growth']:+.1f}" for run in values)] for name, values in runs.items()]
    seeds = [f"run {number}" for number in range(1, len(next(iter(runs.values()))) + 1)]
    return {"columns": ["trainer: MiB more in the last quarter of its steps", *seeds], "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="*", help=f"run folders or files of pairs; none: {MADE} that are made here")
    parser.add_argument("--base", default="scenes", help="scenes or hf:ID-or-folder")
    parser.add_argument("--preset", default="embedded")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--dtype")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--heldout", type=int, default=100, help="so many pairs, the last, are kept apart from training"
    )
    parser.add_argument("--only", nargs="+", help="of the trainers those whose names begin so")
    parser.add_argument("--json", type=Path, default=FOLDER / "image_dpo.json")
    given = parser.parse_args()

    rows = (
        [row for _, found in read_pairs(*given.pairs) for row in found]
        if given.pairs
        else made_pairs(MADE + given.heldout)
    )
    split = len(rows) - given.heldout
    sets = {"training": rows[:split]} | ({"held-out": rows[split:]} if given.heldout else {})
    arms = {STOCK: partial(stock, tuned=False), TUNED: partial(stock, tuned=True), "ours": ours}
    arms = {name: arm for name, arm in arms.items() if not given.only or name.startswith(tuple(given.only))}
    runs: Runs = {name: [] for name in arms}
    use_threads(given.threads)
    for seed in given.seeds:
        changes = {
            "epochs": given.epochs,
            "batch_size": given.batch_size,
            "threads": given.threads,
            "dtype": given.dtype,
        }
        values = {
            **IMAGE_PRESETS[given.preset],
            **{name: value for name, value in changes.items() if value},
            "seed": seed,
        }
        values["projector_rate"] = values.get("learning_rate", ImageTrainSettings().learning_rate)
        settings = checked(ImageTrainSettings, values, "training setting")
        for name, build in arms.items():
            runs[name].append(one_run(build, sets, given.base.removeprefix("hf:"), settings))
            print(f"# seed {seed}: {name} {runs[name][-1]}", flush=True)
    kind = "CPU" if on_cpu() else torch.cuda.get_device_name()
    counts = " and ".join(f"{len(pairs)} {name} pairs" for name, pairs in sets.items())
    notes = (
        f"{given.base}, LoRA and projector, {counts}, {settings.epochs:g} epochs, batch {settings.batch_size}, seeds "
        f"{', '.join(map(str, given.seeds))} in turns; {kind}, {torch.get_num_threads()} threads of torch "
        f"{torch.__version__}, ours in {settings.dtype or default_dtype(default_device())}."
    )
    command = "python -m benchmarks.image_dpo " + " ".join(sys.argv[1:])
    tables = [speed_table(runs), loss_table(runs), growth_table(runs)] if STOCK in runs else []
    save(given.json, "DPO with images", command, tables, notes, runs)


if __name__ == "__main__":
    main()
