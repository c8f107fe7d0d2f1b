"""`anyprefer train`: accepted pairs to a LoRA adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from anyprefer.cli.console import at_work, out, said_warnings, table
from anyprefer.cli.estimate import show_estimate
from anyprefer.cli.flags import Values, flags
from anyprefer.core.errors import RunFolderError, SettingsError
from anyprefer.training.trainers.settings import PRESETS, Gpu, TrainSettings, gpu_settings, train_settings

PANELS: dict[str, tuple[str, ...]] = {
    "Training (defaults of --preset paper)": tuple(TrainSettings.model_fields),
}
"""The fields of `TrainSettings` as help shows them."""
GPU_PANELS: dict[str, tuple[str, ...]] = {"Estimate": tuple(Gpu.model_fields)}
"""The fields of `Gpu`, likewise."""

Preset = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=f"Values the flags below start from: {' or '.join(PRESETS)} (default: embedded for smollm2, else paper).",
    ),
]


@flags(TrainSettings, into="values", panels=PANELS)
@flags(Gpu, into="gpu", panels=GPU_PANELS)
def train(
    base: Annotated[
        str, typer.Option(metavar="MODEL", help="What to train: smollm2, hf:ID, a model's or an adapter's folder.")
    ],
    pairs: Annotated[
        list[str] | None, typer.Argument(metavar="RUN_OR_PAIRS...", help="Run folders, or .jsonl files of pairs.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Where the LoRA adapter goes, must be new.")
    ] = None,
    preset: Preset = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Print the memory and time it will take on one GPU, and train nothing.")
    ] = False,
    estimate_pairs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="The same for N pairs that are not there yet.")
    ] = None,
    *,
    values: Values,
    gpu: Values,
) -> None:
    """Train a model on accepted pairs: DPO with LoRA.

    An adapter's folder as --base is trained on, so rounds stay one adapter.
    On several GPUs: accelerate launch --config_file FILE -m anyprefer.cli
    train …, with a file of training/accelerate-configs.

    [bold]anyprefer train runs/first --base smollm2 --out models/first[/]
    [bold]anyprefer train runs/a runs/b --base hf:ORG/MODEL --preset paper --out models/ab[/]
    [bold]anyprefer train --base hf:meta-llama/Llama-2-7b-chat-hf --estimate-pairs 6000[/]
    """
    name = base.removeprefix("hf:")
    settings = train_settings(preset or default_preset(name), **values)
    if estimate or estimate_pairs:
        _estimate(pairs, name, settings, estimate_pairs, gpu)
    else:
        _train(pairs or [], name, to, settings)


def _estimate(pairs: list[str] | None, base: str, settings: TrainSettings, planned: int | None, gpu: Values) -> None:
    console = out()
    if not pairs and not planned:
        raise SettingsError("--estimate needs pairs: name a run folder, or give --estimate-pairs N")
    with console.status("loading"):
        from anyprefer.training.pair_data.read import load_pairs
        from anyprefer.training.trainers.estimate import mean_tokens

        rows: Any = load_pairs(*pairs) if pairs else []
    lengths = mean_tokens(rows) if rows else None
    show_estimate(console, base, settings, gpu_settings(**gpu), planned or len(rows), lengths)


def _train(pairs: list[str], name: str, to: Path | None, settings: TrainSettings) -> None:
    from anyprefer.training.trainers.processes import is_first, processes

    if to is None:
        raise SettingsError("--out is missing; name the folder the adapter goes to")
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise RunFolderError(f"{to} exists; choose another folder with --out")
    console = out() if is_first() else Console(quiet=True)
    with console.status("loading"):
        from anyprefer.models.local.adapters import model_or_base_source

        model_or_base_source(name)
        from anyprefer.training.pair_data.read import load_pairs
        from anyprefer.training.trainers.text_dpo import train as run

        rows = load_pairs(*pairs)
    at_once = f" in {processes()} processes" if processes() > 1 else ""
    console.print(f"training {name} on {len(rows)} pairs{at_once}")
    with at_work(f"nothing was saved in {to}; the same command starts again"), said_warnings():
        report = run(pairs, base=name, output=to, settings=settings)
    shown = table("", "")
    shown.show_header = False
    for key, value in (
        ("pairs", str(report.trained)),
        ("loss", f"{report.losses[0]:.3f} → {report.losses[-1]:.3f}" if report.losses else "none"),
        *((key, f"{value:.3f}") for key, value in report.metrics.items() if key.startswith("rewards/")),
        ("seconds", f"{report.seconds:g}"),
        ("adapter", report.adapter),
    ):
        shown.add_row(Text(key, "dim"), Text(value))
    console.print(shown)
    console.print(
        Text.assemble("next: ", (f"anyprefer synth TASKS --target hf:{to} …", "bold"), " plays with it"), soft_wrap=True
    )


def default_preset(base: str) -> str:
    """`embedded` for the embedded model and adapters on it, else `paper`."""
    from anyprefer.models.local.adapters import adapter_base

    return "embedded" if "smollm2" in (base, adapter_base(base)) else "paper"
