"""How fast DPO trains a LoRA adapter: ours beside TRL's DPOTrainer with its default settings, on the same pairs.

    python -m benchmarks.dpo --json runs/benchmarks/dpo.json
    python -m benchmarks.dpo runs/first --base hf:ORG/MODEL --preset paper --seeds 0 --heldout 40

Both get the same base, pairs, LoRA shape, loss, learning rate, schedule, batch size, length limit and seeds.
The stock run leaves everything else as TRL has it: weights in float32 under bfloat16 autocast, gradient
checkpointing, the reference computed in every step, pairs in random order. `--float32` takes the autocast away,
which a processor without bfloat16 instructions needs to be compared at all: there it makes TRL several times slower.
Without run folders the pairs are questions of `geography`, with the right answer over another question's.
Seconds include the reference pass and not the loading of the model. On a CPU that others use too,
`--threads 1` and the column of pairs a CPU second are the steadier measure.

The losses logged while training depend on the order of the pairs (a pair seen late meets a better model) and, with
sft, on which of them shared a batch, so they are not compared. Afterwards one piece of code computes every adapter's
loss in float32 against the base, on the same batches of the training pairs and of `--heldout` pairs kept apart.
"""

from __future__ import annotations

import argparse
import itertools
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
from scipy.stats import sem, t
from torch.nn.functional import logsigmoid
from transformers import AutoModelForCausalLM, PrinterCallback, ProgressCallback
from trl import DPOConfig, DPOTrainer

from anyprefer.core.task import Task
from anyprefer.models.local.weights import load_tokenizer, load_weights, use_threads
from anyprefer.training.evaluation.families import geography
from anyprefer.training.pair_data.read import load_pairs
from anyprefer.training.trainers import dpo
from anyprefer.training.trainers.processes import on_cpu
from anyprefer.training.trainers.settings import TrainSettings, train_settings
from anyprefer.training.trainers.tokens import tokenised
from benchmarks.report import FOLDER, save

STOCK = "TRL's defaults"
MADE = 56
"""Pairs where no run is given."""
REFERENCE: dict[str, tuple[Any, Any]] = {}
Runs = dict[str, list[dict[str, float]]]


def stock(rows: Any, base: str, settings: TrainSettings, folder: Path, autocast: bool | None = None) -> DPOTrainer:
    weights = load_weights(base, dtype="float32", device="cpu", merge=False)
    model = AutoModelForCausalLM.from_pretrained(weights.model.config._name_or_path, dtype=torch.float32)
    arguments = DPOConfig(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        beta=settings.beta,
        loss_type=list(settings.loss_type),
        loss_weights=list(settings.loss_weights),
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation,
        max_length=settings.max_length,
        warmup_steps=settings.warmup,
        lr_scheduler_type=settings.scheduler,
        seed=settings.seed,
        use_cpu=on_cpu(),
        bf16=autocast,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
    )
    return DPOTrainer(
        model=model,
        args=arguments,
        train_dataset=rows,
        processing_class=weights.tokenizer,
        peft_config=dpo.lora_config(settings),
    )


def ours(rows: Any, base: str, settings: TrainSettings, folder: Path) -> DPOTrainer:
    ready = Dataset.from_list(tokenised(list(rows), load_tokenizer(base), settings.max_length, base))
    return dpo._trainer(dpo.Texts(base, settings), folder, ready)


def one_run(build: Any, sets: dict[str, Any], base: str, settings: TrainSettings) -> dict[str, float]:
    """Pairs a second of one training run, and the adapter's losses afterwards."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        clock = _Clock()
        trainer = clock.around(build, sets["training"], base, settings, Path(folder))
        for shown in (ProgressCallback, PrinterCallback):
            trainer.remove_callback(shown)
        began, busy = time.perf_counter(), time.process_time()
        trainer.train()
        seconds = time.perf_counter() - began + clock.reference
        cpu_seconds = time.process_time() - busy + clock.cpu
        adapter = Path(folder) / "adapter"
        dpo._save_adapter(trainer, base, adapter)
        losses = final_losses(trainer, adapter, sets)
    played = len(sets["training"]) * settings.epochs
    return {"pairs_per_second": played / seconds, "pairs_per_cpu_second": played / cpu_seconds, **losses}


@torch.no_grad()
def final_losses(trainer: DPOTrainer, adapter: Path, sets: dict[str, Any]) -> dict[str, float]:
    """DPO loss against the base and nats a token of the chosen answers, on each set of pairs."""
    model = load_weights(str(adapter), dtype="float32", merge=False).model.eval()
    losses = {}
    for name, rows in sets.items():
        tokens = trainer._prepare_dataset(rows, trainer.processing_class, trainer.args, name)
        batches = [
            trainer.data_collator(list(tokens.select(range(at, min(at + 8, len(tokens))))))
            for at in range(0, len(tokens), 8)
        ]
        chosen, rejected = answer_logps(model, batches)
        if name not in REFERENCE:  # the same for every adapter on this base
            with model.disable_adapter():
                REFERENCE[name] = answer_logps(model, batches)
        ref_chosen, ref_rejected = REFERENCE[name]
        margins = (chosen - ref_chosen) - (rejected - ref_rejected)  # (pairs,)
        losses[f"{name}, DPO"] = -logsigmoid(trainer.beta * margins).mean().item()
        answered = sum(batch["completion_mask"].chunk(2)[0].sum().item() for batch in batches)
        losses[f"{name}, chosen answers' nats a token"] = -chosen.sum().item() / answered
    return losses


def answer_logps(model: Any, batches: list[dict[str, Any]]) -> tuple[Any, Any]:
    """Log-probability of each chosen and each rejected answer, without TRL's fused head: (pairs,), (pairs,)."""
    halves = []
    for batch in batches:
        ids, answers = batch["input_ids"].to(model.device), batch["completion_mask"].to(model.device)  # (2 B, T)
        logits = model(input_ids=ids, attention_mask=batch["attention_mask"].to(model.device)).logits
        logps = logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
        halves.append((logps * answers[:, 1:]).sum(1).chunk(2))
    return tuple(torch.cat(half) for half in zip(*halves, strict=True))


class _Clock:
    """Times the reference pass, which happens while a trainer is made."""

    reference = cpu = 0.0

    def around(self, build: Any, *given: Any) -> Any:
        real = DPOTrainer._precompute_ref_logps

        def timed(trainer: Any, *args: Any, **kwargs: Any) -> Any:
            began, busy = time.perf_counter(), time.process_time()
            result = real(trainer, *args, **kwargs)
            self.reference += time.perf_counter() - began
            self.cpu += time.process_time() - busy
            return result

        DPOTrainer._precompute_ref_logps = timed
        try:
            return build(*given)
        finally:
            DPOTrainer._precompute_ref_logps = real


def made_pairs() -> Dataset:
    """Questions about countries, the right answer over the next question's that has another."""
    neighbours = itertools.pairwise(geography(2 * MADE, 0, "train"))
    different = (_pair(task, other) for task, other in neighbours if task.reference != other.reference)
    return Dataset.from_list(list(itertools.islice(different, MADE)))


def _pair(task: Task, other: Task) -> dict[str, Any]:
    chosen, rejected = ([{"role": "assistant", "content": str(one.reference)}] for one in (task, other))
    return {"prompt": [{"role": "user", "content": task.prompt}], "chosen": chosen, "rejected": rejected}


def speed_table(runs: Runs) -> dict[str, Any]:
    """Medians with their range, and the median of the seed-by-seed speed ratios to the stock run."""
    rows = []
    for name, values in runs.items():
        cells = [name]
        for measure in ("pairs_per_second", "pairs_per_cpu_second"):
            speeds = [run[measure] for run in values]
            ratios = [run[measure] / base[measure] for run, base in zip(values, runs[STOCK], strict=True)]
            cells.append(f"{statistics.median(speeds):.2f} ({min(speeds):.2f} to {max(speeds):.2f})")
            cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        rows.append(cells)
    return {"columns": ["trainer", "pairs/s", "first = 1", "pairs a CPU second", "first = 1"], "rows": rows}


def loss_table(runs: Runs) -> dict[str, Any]:
    """Losses after training by seed, and the seed-by-seed differences to the stock run with their 95% t interval."""
    rows = []
    for measure in [name for name in runs[STOCK][0] if not name.startswith("pairs_per")]:
        for name, values in runs.items():
            losses = [run[measure] for run in values]
            differences = [run[measure] - base[measure] for run, base in zip(values, runs[STOCK], strict=True)]
            shown = "" if name == STOCK else _with_interval(differences)
            rows.append([measure, name, " ".join(f"{loss:.4f}" for loss in losses), shown])
    return {"columns": ["pairs, loss", "trainer", "after training, by seed", "less the first [95% t]"], "rows": rows}


def _with_interval(values: list[float]) -> str:
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:+.4f}"
    low, high = t.interval(0.95, len(values) - 1, mean, sem(values))
    return f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="*", help=f"run folders or files of pairs; none: {MADE} that are made here")
    parser.add_argument("--base", default="smollm2", help="smollm2 or hf:ID-or-folder")
    parser.add_argument("--preset", default="embedded")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--loss", nargs="+", help="loss types of weight 1; default: the preset's")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--heldout", type=int, default=16, help="so many pairs, the last, are kept apart from training")
    parser.add_argument("--float32", action="store_true", help="TRL's defaults, but without autocast")
    parser.add_argument("--json", type=Path, default=FOLDER / "dpo.json")
    given = parser.parse_args()

    loss = {"loss_type": tuple(given.loss), "loss_weights": (1.0,) * len(given.loss)} if given.loss else {}
    rows = load_pairs(*given.pairs) if given.pairs else made_pairs()
    split = len(rows) - given.heldout
    sets = {"training": rows.select(range(split))}
    sets |= {"held-out": rows.select(range(split, len(rows)))} if given.heldout else {}
    arms = {STOCK: partial(stock, autocast=False if given.float32 else None), "ours": ours}
    runs: Runs = {name: [] for name in arms}
    use_threads(given.threads)
    for seed in given.seeds:
        changes = {"epochs": given.epochs, "batch_size": given.batch_size, "threads": given.threads, **loss}
        settings = train_settings(given.preset, seed=seed, **changes)
        for name, build in arms.items():
            runs[name].append(one_run(build, sets, given.base.removeprefix("hf:"), settings))
            print(f"# seed {seed}: {name} {runs[name][-1]}", flush=True)
    kind = "CPU" if on_cpu() else torch.cuda.get_device_name()
    counts = " and ".join(f"{len(pairs)} {name} pairs" for name, pairs in sets.items())
    notes = (
        f"{given.base}, LoRA, {counts}, {settings.epochs:g} epochs, batch {settings.batch_size}, seeds "
        f"{', '.join(map(str, given.seeds))} in turns; {kind}, {torch.get_num_threads()} threads of torch "
        f"{torch.__version__}; TRL's defaults {'without' if given.float32 else 'with'} bfloat16 autocast."
    )
    command = "python -m benchmarks.dpo " + " ".join(sys.argv[1:])
    save(given.json, "DPO", command, [speed_table(runs), loss_table(runs)], notes, runs)


if __name__ == "__main__":
    main()
