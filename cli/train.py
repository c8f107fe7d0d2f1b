"""`anyprefer train`: accepted pairs to a stronger target, such as a LoRA adapter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from anyprefer.cli import completion
from anyprefer.cli.console import at_work, out, said_warnings, table
from anyprefer.cli.estimate import of_text, show_estimate
from anyprefer.cli.flags import Values, flags, literal
from anyprefer.core.errors import RunFolderError, SettingsError
from anyprefer.training.trainers.settings import GPUS, PRESETS, TrainSettings, gpu

if TYPE_CHECKING:
    from anyprefer.core.roles import Trainer
    from anyprefer.training.trainers.settings import Gpu

PANELS: dict[str, tuple[str, ...]] = {
    "Training (defaults of --preset paper)": tuple(TrainSettings.model_fields),
}
"""The fields of `TrainSettings` as help shows them."""

Preset = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=f"Values the flags below start from: {' or '.join(PRESETS)} (default: embedded for smollm2 and scenes, else paper).",
    ),
]
TrainerName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What trains: text_dpo, image_dpo for models that see, a package's, or your own FILE.py:NAME.",
        show_default="--app's, or text_dpo",
        autocompletion=completion.names("trainers"),
    ),
]
TrainerOption = Annotated[
    list[str] | None,
    typer.Option(metavar="SETTING=VALUE", help="A setting of the trainer that has no flag; repeatable."),
]


@flags(TrainSettings, into="values", panels=PANELS)
def train(
    base: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="What to train: smollm2, scenes, hf:ID, a model's or an adapter's folder.",
            autocompletion=completion.models,
        ),
    ],
    pairs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN_OR_PAIRS...",
            help="Run folders, or .jsonl files of pairs.",
            autocompletion=completion.runs,
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Where the adapter or other output goes, must be new."),
    ] = None,
    trainer: TrainerName = None,
    trainer_option: TrainerOption = None,
    preset: Preset = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Print the memory and time it will take on one GPU, and train nothing.")
    ] = False,
    estimate_pairs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="The same for N pairs that are not there yet.")
    ] = None,
    gpu_name: Annotated[
        str, typer.Option("--gpu", metavar="NAME", help=f"The GPU it is estimated for: {', '.join(GPUS)}.")
    ] = "a100",
    *,
    values: Values,
) -> None:
    """Train a model on accepted pairs: DPO with LoRA, or a trainer of your own.

    An adapter's folder as --base is trained on, so rounds stay one adapter.
    On several GPUs: accelerate launch --config_file FILE -m anyprefer.cli
    train …, with a file of training/accelerate-configs.

    [bold]anyprefer train runs/first --base smollm2 --out models/first[/]
    [bold]anyprefer train runs/a runs/b --base hf:ORG/MODEL --preset paper --out models/ab[/]
    [bold]anyprefer train --base hf:meta-llama/Llama-2-7b-chat-hf --estimate-pairs 6000[/]
    """
    seed = values.pop("seed", 0)
    chosen = chosen_trainer(trainer, preset, base, {**values, **trainer_options(trainer_option)})
    if estimate or estimate_pairs:
        _estimate(pairs, base.removeprefix("hf:"), chosen, estimate_pairs, gpu(gpu_name))
    else:
        _train(pairs or [], base, to, chosen, seed)


def chosen_trainer(name: str | None, preset: str | None, start: str, values: Values) -> Trainer:
    """The trainer with its settings; those of local models have a preset for every model."""
    from anyprefer.training.trainers.by_name import TEXT, trainer, trainer_class
    from anyprefer.training.trainers.text_dpo import TextDPO

    name = name or TEXT
    of_models = issubclass(trainer_class(name), TextDPO)
    return trainer(name, values, preset or (default_preset(start.removeprefix("hf:")) if of_models else ""))


def trainer_options(given: list[str] | None) -> Values:
    """`SETTING=VALUE` as values. Raises `SettingsError` for another form."""
    parted = [text.partition("=") for text in given or []]
    for name, equals, value in parted:
        if not (name and equals):
            raise SettingsError(f"--trainer-option {name + equals + value!r} must be SETTING=VALUE, such as steps=100")
    return {name.strip(): literal(value) for name, _, value in parted}


def _estimate(pairs: list[str] | None, base: str, trainer: Trainer, planned: int | None, device: Gpu) -> None:
    console, settings = out(), of_text(trainer)
    if not pairs and not planned:
        raise SettingsError("--estimate needs pairs: name a run folder, or give --estimate-pairs N")
    with console.status("loading"):
        from anyprefer.training.pair_data.read import load_pairs

        rows: Any = load_pairs(*pairs) if pairs else []
    show_estimate(console, base, settings, device, planned or len(rows), rows)


def _train(pairs: list[str], base: str, to: Path | None, trainer: Trainer, seed: int) -> None:
    from anyprefer.training.trainers.processes import is_first, processes

    if to is None:
        raise SettingsError("--out is missing; name the folder the adapter goes to")
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise RunFolderError(f"{to} exists; choose another folder with --out")
    console = out() if is_first() else Console(quiet=True)
    files = [Path(file) for file in pairs]
    with console.status("loading"):
        ready = trainer.ready(files, base)
    at_once = f" in {processes()} processes" if processes() > 1 else ""
    console.print(f"training {base.removeprefix('hf:')} on {ready}{at_once}")
    with at_work(f"nothing was saved in {to}; the same command starts again"), said_warnings():
        checkpoint = trainer.train(files, base, to, seed)
    if is_first():
        _say(console, trainer.told(to), checkpoint)


def _say(console: Console, told: Mapping[str, str], checkpoint: str) -> None:
    shown = table("", "")
    shown.show_header = False
    for key, value in {**told, "checkpoint": checkpoint}.items():
        shown.add_row(Text(key, "dim"), Text(value))
    console.print(shown)
    next_command = f"anyprefer synth TASKS --target {checkpoint} …"
    console.print(Text.assemble("next: ", (next_command, "bold"), " plays with it"), soft_wrap=True)


def default_preset(base: str) -> str:
    """`embedded` for the embedded models and adapters on them, else `paper`."""
    from anyprefer.models.local.adapters import adapter_base
    from anyprefer.models.local.built import is_built

    under = adapter_base(base) or base
    return "embedded" if under == "smollm2" or is_built(under) else "paper"
