"""`anyprefer iterate` and `anyprefer demo`: synthesise, train, evaluate, and again with the stronger target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from anyprefer.cli.apps import App, Chosen, chosen_app
from anyprefer.cli.console import at_work, out
from anyprefer.cli.console import table as new_table
from anyprefer.cli.flags import PANELS, Values, flags, settings_from
from anyprefer.cli.progress import progress
from anyprefer.cli.synth import Column, Config, Input, Limit, columns_of, default_folder, labels_of, source_of
from anyprefer.cli.train import Preset, TrainerName, TrainerOption, chosen_trainer, trainer_options
from anyprefer.core.errors import InputError, SettingsError
from anyprefer.core.settings import RunSettings
from anyprefer.training.loop.settings import IterateSettings, iterate_settings
from anyprefer.training.trainers.settings import TextSettings

if TYPE_CHECKING:
    from anyprefer.core.input_rows import BadRow
    from anyprefer.core.records import Row
    from anyprefer.core.roles import Evaluate, Trainer
    from anyprefer.core.task import Task
    from anyprefer.training.loop.iterate import Iteration, Plan

Out = Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help="Folder; the same command resumes it.")]
TRAIN_PANELS = {"Training (defaults of --preset paper)": tuple(TextSettings.model_fields)}
"""The fields of `TextSettings` as help shows them."""
LOOP_PANELS = {"Iterations": tuple(IterateSettings.model_fields)}
"""The fields of `IterateSettings` as help shows them."""


@flags(RunSettings, into="values", panels=PANELS, leave_out=("record",))
@flags(
    TextSettings,
    into="training",
    panels=TRAIN_PANELS,
    leave_out=("seed",),
)
@flags(IterateSettings, into="loop", panels=LOOP_PANELS)
def iterate(
    source: Input = None,
    heldout: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TASKS",
            help="What iterations are measured on; benchmarks, files with the same columns and a reference, or FILE.py:NAME; repeatable.",
            show_default="--app's benchmarks",
        ),
    ] = None,
    to: Out = None,
    app: App = None,
    iterations: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="How often to synthesise and train.", show_default="--app's, or 2"),
    ] = None,
    share: Annotated[
        bool, typer.Option("--share/--repeat", help="Each iteration plays its own share of the tasks, or all of them.")
    ] = False,
    config: Config = None,
    column: Column = None,
    limit: Limit = None,
    trainer: TrainerName = None,
    trainer_option: TrainerOption = None,
    preset: Preset = None,
    base: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="For a target behind a URL: what is trained here; it is served there as an adapter."
        ),
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Print what an iteration of --app takes on one GPU, and play nothing.")
    ] = False,
    *,
    values: Values,
    training: Values,
    loop: Values,
) -> None:
    """Synthesise, train, evaluate; then again with the stronger target.

    A folder holds each iteration's pairs, checkpoint and evaluation. Finished
    steps are skipped when the same command is given again. An iteration that
    loses held-out tasks beyond chance is not adopted (--no-gate adopts all).

    [bold]anyprefer iterate tasks.jsonl --heldout heldout.jsonl --iterations 3[/]
    [bold]anyprefer iterate --app natural-language[/]
    [bold]anyprefer iterate tasks.jsonl --heldout heldout.jsonl --target openai:my-7b@http://gpu:8000/v1 --base hf:my/7b[/]
    """
    from anyprefer.training.evaluation.heldout import evaluation
    from anyprefer.training.loop.iterate import Plan

    chosen = chosen_app(app)
    settings = settings_from(config, values, chosen.values)[0]
    count = iterations or (chosen.app.scale(chosen.scale).iterations if chosen.app else 2)
    if source is None:
        played, shares = source_of(None, chosen, settings), 1
        tasks = _of_app(chosen, settings, count, limit)
    else:
        played, shares = source, count if share else 1
        tasks = _shares(source, columns_of(column), limit, shares)
    if not heldout and not chosen.app:
        raise InputError("nothing to measure the iterations on: give --heldout, or an application with --app")
    measured = heldout or (chosen.app.measured(chosen.scale) if chosen.app else ())
    folder = to or default_folder(played).with_name(f"{default_folder(played).name}-iterations")
    base = base if base is not None else chosen.app.scale(chosen.scale).base if chosen.app else ""
    given = {**training, **trainer_options(trainer_option)}
    trained = _trainer(trainer, preset, chosen, base or settings.target, given)
    if estimate:
        return _estimate(chosen, settings, trained)
    loop_settings = iterate_settings(**loop)
    plan = Plan(
        settings,
        trained,
        count,
        lambda n: tasks[(n - 1) % len(tasks)],
        base,
        loop_settings,
        shares,
        labels=labels_of(chosen),
    )
    _run(plan, folder, evaluation(measured, settings, columns_of(column)))


def _estimate(chosen: Chosen, settings: RunSettings, trainer: Trainer) -> None:
    from anyprefer.cli.estimate import show_scale_estimate

    if chosen.app is None:
        raise SettingsError("--estimate needs an application with --app; anyprefer train --estimate takes pairs")
    show_scale_estimate(out(), chosen.app, chosen.scale, settings, trainer)


def _trainer(name: str | None, preset: str | None, chosen: Chosen, start: str, changes: Values) -> Trainer:
    """--trainer and --preset win over the application's, and what is trained decides where there is neither."""
    if chosen.app and not preset and not name:
        return chosen.app.trainer(chosen.scale, **changes)
    return chosen_trainer(
        name or (chosen.app.scale(chosen.scale).trainer if chosen.app else None), preset, start, changes
    )


def _of_app(chosen: Chosen, settings: RunSettings, count: int, limit: int | None) -> list[list[Task | BadRow]]:
    """The application's tasks of each iteration."""
    if chosen.app is None:
        return []
    app = chosen.app.with_iterations(chosen.scale, count)
    return [app.tasks(chosen.scale, number, settings.seed)[:limit] for number in range(1, count + 1)]


def demo(
    to: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder; the same command resumes it.")] = Path(
        "runs/demo"
    ),
    tasks: Annotated[int, typer.Option(min=1, metavar="N", help="Tasks of each family in each iteration.")] = 130,
    heldout: Annotated[int, typer.Option(min=1, metavar="N", help="Held-out tasks of each family.")] = 200,
    iterations: Annotated[int, typer.Option(min=1, metavar="N", help="How often to synthesise and train.")] = 2,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of everything.")] = 0,
) -> None:
    """Show the whole loop on this machine: a 135M model learns sums and facts.

    No key, no GPU, no network: SmolLM2 answers, real tools check, rules over
    their verdicts judge, DPO trains; held-out accuracy before and after.
    """
    from anyprefer.training.applications.demo import demo as shown

    plan, evaluate = shown(tasks, heldout, iterations, seed)
    _run(plan, to, evaluate)


def _run(plan: Plan, folder: Path, evaluate: Evaluate) -> None:
    from anyprefer.training.loop.iterate import iterate as run
    from anyprefer.training.loop.report import markdown

    console = out()
    with at_work(f"finished steps are safe in {folder}; the same command resumes"), _shown(console, plan) as steps:
        done = run(plan, folder, evaluate, steps)
    _print(console, done)
    report = folder / "report.md"
    report.write_text(markdown(done, plan.settings), encoding="utf-8")
    console.print(
        Text.assemble("report: ", (str(report), "bold"), ", model: ", (done[-1].target, "bold")), soft_wrap=True
    )


@contextmanager
def _shown(console: Console, plan: Plan) -> Iterator[Any]:
    """Steps that say what happens, with a progress line while tasks are played."""
    from contextlib import ExitStack

    from anyprefer.training.evaluation.figures import figures
    from anyprefer.training.loop.iterate import Steps

    with ExitStack() as live:

        class Shown(Steps):
            on_row: Any = None

            def step(self, iteration: int, name: str) -> None:
                live.close()
                console.print(f"{f'iteration {iteration}: ' if iteration else 'before: '}{name}")
                if name == "synthesise":
                    tasks = plan.tasks(iteration)
                    rows = len(tasks) if isinstance(tasks, Sequence) else None
                    self.on_row = live.enter_context(progress(console, rows))

            def row(self, iteration: int, row: Row) -> None:
                self.on_row(row)

            def done(self, iteration: Iteration) -> None:
                if iteration.counts:
                    console.print(", ".join(f"{count} {name}" for name, count in sorted(iteration.counts.items())))
                for name, result in iteration.results.items():
                    low, high = result.interval
                    console.print(f"  {name}: {result.accuracy:.1%} [{low:.1%}, {high:.1%}], n = {result.n}")
                    for figure, value in figures(result).items():
                        console.print(f"    {figure}: {value}")
                if not iteration.adopted:
                    console.print(Text(f"not adopted, the target before plays on: {iteration.reason}", "yellow"))

        yield Shown()


def _print(console: Console, done: Sequence[Iteration]) -> None:
    from anyprefer.training.loop.report import table

    heading, *rows = table(done)
    shown = new_table(*heading, title="Held-out accuracy, 95% interval")
    for row in rows:
        shown.add_row(*row)
    console.print(shown)


def _shares(source: str, columns: dict[str, str], limit: int | None, count: int) -> list[list[Task | BadRow]]:
    """The tasks, dealt out into so many lists."""
    from itertools import islice

    from anyprefer.core.inputs import read_tasks

    tasks = list(islice(read_tasks(source, columns), limit))
    return [tasks[number::count] for number in range(count)]
