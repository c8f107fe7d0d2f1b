"""`--estimate` of train, reproduce and iterate: memory and time on one GPU, before there is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from anyprefer.cli.console import table
from anyprefer.cli.forecast import duration
from anyprefer.core.errors import SettingsError

if TYPE_CHECKING:
    from anyprefer.core.roles import Trainer
    from anyprefer.core.settings import RunSettings
    from anyprefer.training.applications.application import Application
    from anyprefer.training.trainers.settings import Gpu, TrainSettings
    from anyprefer.training.trainers.trajectory import TrajectorySettings

_GIB = 2**30


def of_text(trainer: Trainer) -> TrainSettings:
    """The settings an estimate is made from. Raises `SettingsError` for a trainer that trains no language model."""
    from anyprefer.training.trainers.settings import TrainSettings

    if isinstance(trainer.settings, TrainSettings):
        return trainer.settings
    raise SettingsError(f"there is no estimate for trainer {trainer.name}; leave --estimate out")


def show_estimate(
    console: Console, base: str, settings: TrainSettings, gpu: Gpu, pairs: int, rows: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Prints what training on `pairs` pairs takes, and sampling for as many prompts.

    Of the `rows` come the mean tokens of a prompt, and of it with an answer; none: as long as pairs may be.
    """
    from anyprefer.training.trainers.estimate import estimate_sampling, estimate_training, mean_tokens
    from anyprefer.training.trainers.settings import REACHED
    from anyprefer.training.trainers.shape import read_shape

    shape = read_shape(base, settings)
    lengths = mean_tokens(rows, shape.sight.tokens if shape.sight else 0) if rows else None
    prompt, length = lengths or (settings.max_length / 2, settings.max_length)
    found, most = (estimate_training(shape, settings, pairs, gpu, tokens) for tokens in (length, 0))
    sampled = estimate_sampling(shape, pairs, prompt, gpu)

    console.print(f"estimate for {base}: {shape.parameters:,} parameters and {shape.lora:,} of LoRA, {pairs:,} pairs")
    if shape.sight:
        kept = pairs * shape.sight.patches * shape.sight.width * 2 / _GIB
        console.print(
            f"an image is {shape.sight.tokens:,} tokens of {settings.max_length:,}; the tower has "
            f"{shape.sight.tower:,} parameters, the trained projector {shape.projector:,}; features of {pairs:,} images "
            f"take {kept:.1f} GiB of disk"
        )
    console.print()
    title = (
        f"Memory of training, {settings.batch_size} x 2 answers of {settings.max_length:,} tokens with their prompts"
    )
    _memory(console, title, found.memory, found.fits, gpu)
    does, other = ("with", "without") if found.checkpointing else ("without", "with")
    console.print(f"activations {does} gradient checkpointing; {other} it {found.other / _GIB:.1f} GiB")
    console.print()
    title = f"Memory of sampling, {sampled.sequences} answers at once"
    _memory(console, title, sampled.memory, sampled.fits, gpu)
    console.print()
    times = table("", "time", "", right=("time",), title="Time on one GPU")
    about = f"{settings.epochs:g} epochs and the reference"
    if lengths:
        times.add_row(
            "training", duration(found.seconds), f"{about}, {length:,.0f} tokens a pair side as in these pairs"
        )
    times.add_row("training, at most", duration(most.seconds), f"{about}, {settings.max_length:,} tokens a pair side")
    times.add_row("sampling, at most", duration(sampled.seconds), f"one round's candidates for {pairs:,} prompts")
    console.print(times)
    console.print(
        f"assumed: {REACHED:.0%} of {gpu.tflops:g} TFLOP/s and of {gpu.gbps:g} GB/s are reached, "
        "a margin of 10% and 1 GiB; formulas in training/trainers/estimate.py. Nothing was trained."
    )


def show_scale_estimate(
    console: Console, app: Application, scale: str, settings: RunSettings, trainer: Trainer
) -> None:
    """Prints what one iteration of an application's scale takes on one GPU, if every task gives a pair."""
    from anyprefer.training.trainers.settings import gpu
    from anyprefer.training.trainers.trajectory import TrajectorySettings

    chosen = app.scale(scale)
    pairs = sum(source.tasks for source in chosen.sources)
    console.print(f"each arm, seed and iteration, if every task gives a pair ({pairs:,}):")
    if isinstance(trainer.settings, TrajectorySettings):
        _control(console, trainer.settings, settings, pairs, gpu("a100"))
    else:
        show_estimate(
            console, (chosen.base or settings.target).removeprefix("hf:"), of_text(trainer), gpu("a100"), pairs
        )


def _control(console: Console, trained: TrajectorySettings, played: RunSettings, starts: int, device: Gpu) -> None:
    """Of a policy: of OpenVLA's size, or too small to need an estimate."""
    from anyprefer.training.trainers import trajectory_estimate as sizes

    if "openvla" not in played.target:
        raise SettingsError(
            f"{played.target} needs no GPU and no estimate: an iteration takes minutes here (docs/control.md)"
        )
    found = sizes.estimate_control(trained, played, starts, device)
    console.print(
        f"estimate for {played.target}: {sizes.PARAMETERS:,} parameters and {sizes.LORA_32 * (trained.lora_r or 32) // 32:,} "
        f"of LoRA, {starts:,} pairs in {found.windows:,} windows of {trained.window} steps"
    )
    title = f"Memory of training, {trained.batch_size} x 2 windows of {trained.window} steps"
    _memory(console, title, found.training.memory, found.training.fits, device)
    does = "with" if found.training.checkpointing else "without"
    console.print(f"activations {does} gradient checkpointing")
    console.print(f"memory of acting: {found.sampling_memory / _GIB:.1f} GiB")
    times = table("", "time", "", right=("time",), title="Time of an iteration on one GPU")
    times.add_row("training", duration(found.training.seconds), f"{trained.epochs:g} epochs")
    times.add_row(
        "acting, at most",
        duration(found.acting),
        f"{found.rollouts:,} episodes, trials counted, {sizes.STEPS} steps each",
    )
    times.add_row(
        "simulating, at most", duration(found.simulating), f"one process of {sizes.SIMULATED:g} steps a second"
    )
    console.print(times)
    dollars = "not known: its price is in no table" if found.dollars is None else f"{found.dollars:,.2f} US dollars"
    console.print(f"judge and engine behind servers, at most: {dollars}")
    console.print("assumptions are named in training/trainers/trajectory_estimate.py. Nothing was played or trained.")


def _memory(console: Console, title: str, parts: Mapping[str, float], fits: bool, gpu: Gpu) -> None:
    console.print(Text(title, "bold"))
    shown = table("", "GiB", right=("GiB",))
    for name, held in parts.items():
        shown.add_row(name, f"{held / _GIB:.1f}")
    verdict = "fits" if fits else "does not fit"
    shown.add_row(Text(f"all, {verdict} in {gpu.gb:g} GiB", "bold"), f"{sum(parts.values()) / _GIB:.1f}")
    console.print(shown)
