"""How fast DPO trains a LoRA adapter: ours beside TRL's DPOTrainer with its default settings, on the same pairs.

    python benchmarks/dpo.py runs/first --seeds 0 1 2 --json dpo.json
    python benchmarks/dpo.py runs/first --base hf:ORG/MODEL --preset paper --seeds 0

Both get the same base, pairs, LoRA shape, loss, learning rate, schedule, batch size, length limit and seeds.
The stock run leaves everything else as TRL has it: weights in float32 under bfloat16 autocast, gradient
checkpointing, the reference computed in every step, pairs in random order. Seconds include the
reference pass and not the loading of the model. Final loss: mean over the updates of the last epoch; compare
it with `--loss sigmoid`, whose mean does not depend on which pairs shared a batch. On a CPU that others use too,
`--threads 1` and the column of pairs a CPU second are the steadier measure.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PrinterCallback, ProgressCallback
from trl import DPOConfig, DPOTrainer

from anyprefer.graph.models.weights import load_weights, use_threads
from anyprefer.training import dpo
from anyprefer.training.launch import on_cpu
from anyprefer.training.pairs import load_pairs
from anyprefer.training.settings import TrainSettings, train_settings


def stock(rows: Any, base: str, settings: TrainSettings, folder: Path) -> DPOTrainer:
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
        logging_steps=1,
        save_strategy="no",
        report_to="none",
    )
    return DPOTrainer(
        model=model,
        args=arguments,
        train_dataset=rows,
        processing_class=weights.tokenizer,
        peft_config=dpo._lora(settings, weights),
    )


def ours(rows: Any, base: str, settings: TrainSettings, folder: Path) -> DPOTrainer:
    return dpo._trainer(dpo._by_length(rows), base, settings, folder)


def one_run(build: Any, rows: Any, base: str, settings: TrainSettings) -> dict[str, float]:
    """Pairs a second and the last epoch's mean loss of one training run."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        clock = _Clock()
        trainer = clock.around(build, rows, base, settings, Path(folder))
        for shown in (ProgressCallback, PrinterCallback):
            trainer.remove_callback(shown)
        began, busy = time.perf_counter(), time.process_time()
        trainer.train()
        seconds = time.perf_counter() - began + clock.reference
        cpu_seconds = time.process_time() - busy + clock.cpu
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    last = losses[-max(1, round(len(losses) / settings.epochs)) :]
    played = len(rows) * settings.epochs
    speeds = {"pairs_per_second": played / seconds, "pairs_per_cpu_second": played / cpu_seconds}
    return {**speeds, "loss": statistics.mean(last)}


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


def table(runs: dict[str, list[dict[str, float]]]) -> str:
    """Medians with their range, the median of the seed-by-seed speed ratios to the first, and the final losses."""
    first = next(iter(runs.values()))
    lines = [
        "| trainer | pairs/s median [min, max] | times the first | pairs a CPU second | times the first | final loss by seed |",
        "|---|---|---|---|---|---|",
    ]
    for name, values in runs.items():
        cells = [name]
        for measure in ("pairs_per_second", "pairs_per_cpu_second"):
            speeds = [run[measure] for run in values]
            ratios = [run[measure] / base[measure] for run, base in zip(values, first, strict=True)]
            cells.append(f"{statistics.median(speeds):.2f} [{min(speeds):.2f}, {max(speeds):.2f}]")
            cells.append(f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]")
        cells.append(", ".join(f"{run['loss']:.3f}" for run in values))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="+", help="run folders or files of pairs")
    parser.add_argument("--base", default="smollm2", help="smollm2 or hf:ID-or-folder")
    parser.add_argument("--preset", default="embedded")
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--loss", nargs="+", help="loss types of weight 1; default: the preset's")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()

    loss = {"loss_type": tuple(given.loss), "loss_weights": (1.0,) * len(given.loss)} if given.loss else {}
    rows = load_pairs(*given.pairs)
    runs: dict[str, list[dict[str, float]]] = {"TRL's defaults": [], "ours": []}
    use_threads(given.threads)
    for seed in given.seeds:
        settings = train_settings(given.preset, seed=seed, epochs=given.epochs, threads=given.threads, **loss)
        for name, build in (("TRL's defaults", stock), ("ours", ours)):
            runs[name].append(one_run(build, rows, given.base.removeprefix("hf:"), settings))
            print(f"# seed {seed}: {name} {runs[name][-1]}", flush=True)
    kind = "cpu" if on_cpu() else torch.cuda.get_device_name()
    machine = f"{kind}, {torch.get_num_threads()} threads of torch {torch.__version__}"
    print(f"\n{len(rows)} pairs, {settings.epochs:g} epochs, batch {settings.batch_size}, {machine}\n\n{table(runs)}")
    if given.json:
        given.json.write_text(json.dumps({"machine": machine, "runs": runs}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
