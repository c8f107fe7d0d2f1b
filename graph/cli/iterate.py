"""`anyprefer iterate` and `anyprefer demo`: synthesise, train, evaluate, and again with the stronger target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from anyprefer.graph.cli.console import at_work, out
from anyprefer.graph.cli.console import table as new_table
from anyprefer.graph.cli.evaluate import task_set
from anyprefer.graph.cli.flags import PANELS, Values, flags, settings_from
from anyprefer.graph.cli.progress import progress
from anyprefer.graph.cli.synth import Column, Config, Input, Limit, columns_of, default_folder
from anyprefer.graph.cli.train import PANELS as TRAIN_PANELS
from anyprefer.graph.cli.train import Preset, default_preset
from anyprefer.graph.settings import Settings
from anyprefer.training.settings import IterateSettings, TrainSettings, iterate_settings, train_settings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from anyprefer.graph.inputs import BadRow
    from anyprefer.graph.state import Row, Task
    from anyprefer.training.evaluate import EvalResult
    from anyprefer.training.iterate import Evaluate, Iteration, Plan

Out = Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help="Folder; the same command goes on with it.")]
LOOP_PANELS = {"Iterations": tuple(IterateSettings.model_fields)}
"""The fields of `IterateSettings` as help shows them."""
Iterations = Annotated[int, typer.Option(min=1, metavar="N", help="How often to synthesise and train.")]


@flags(Settings, into="values", panels=PANELS, leave_out=("record", "trace"))
@flags(TrainSettings, into="training", panels=TRAIN_PANELS, leave_out=("seed",))
@flags(IterateSettings, into="loop", panels=LOOP_PANELS)
def iterate(
    source: Input,
    heldout: Annotated[
        list[str],
        typer.Option(
            metavar="TASKS",
            help="Held-out tasks with a reference: files with the same columns, or sums and facts; repeatable.",
        ),
    ],
    to: Out = None,
    iterations: Iterations = 2,
    share: Annotated[
        bool, typer.Option("--share/--repeat", help="Each iteration plays its own share of the tasks, or all of them.")
    ] = False,
    config: Config = None,
    column: Column = None,
    limit: Limit = None,
    preset: Preset = None,
    base: Annotated[
        str,
        typer.Option(
            metavar="MODEL", help="For a target behind a URL: what is trained here, and served there as an adapter."
        ),
    ] = "",
    *,
    values: Values,
    training: Values,
    loop: Values,
) -> None:
    """Synthesise, train, evaluate; then again with the stronger target.

    A folder holds each iteration's pairs, adapter and evaluation. Finished
    steps are skipped when the same command is given again. An iteration that
    loses held-out tasks beyond chance is not adopted (--no-gate adopts all).

    [bold]anyprefer iterate tasks.jsonl --heldout heldout.jsonl --iterations 3[/]
    [bold]anyprefer iterate tasks.jsonl --heldout heldout.jsonl --target openai:my-7b@http://gpu:8000/v1 --base hf:my/7b[/]
    """
    from anyprefer.training.iterate import Plan

    settings = settings_from(config, values)[0]
    folder = to or default_folder(source).with_name(f"{default_folder(source).name}-iterations")
    tasks = _shares(source, columns_of(column), limit, iterations if share else 1)
    chosen = preset or default_preset((base or settings.target).removeprefix("hf:"))
    plan = Plan(
        settings,
        train_settings(chosen, **{"seed": settings.seed, **training}),
        iterations,
        lambda n: tasks[(n - 1) % len(tasks)],
        base,
        iterate_settings(**loop),
    )
    _run(plan, folder, _marked(heldout, columns_of(column), settings))


def demo(
    to: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Folder; the same command goes on with it.")
    ] = Path("runs/demo"),
    tasks: Annotated[int, typer.Option(min=1, metavar="N", help="Tasks of each family in each iteration.")] = 130,
    heldout: Annotated[int, typer.Option(min=1, metavar="N", help="Held-out tasks of each family.")] = 200,
    iterations: Iterations = 2,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of everything.")] = 0,
) -> None:
    """Show the whole loop on this machine: a 135M model learns sums and facts.

    No key, no GPU, no network: SmolLM2 answers, real tools check, rules over
    their verdicts judge, DPO trains; held-out accuracy before and after.
    """
    from anyprefer.training.demo import Demo

    shown = Demo(tasks, heldout, iterations, seed)
    _run(shown.plan(), to, shown.evaluate)


def _run(plan: Plan, folder: Path, evaluate: Evaluate) -> None:
    from anyprefer.training.demo import markdown
    from anyprefer.training.iterate import iterate as run

    console = out()
    with at_work(f"finished steps are safe in {folder}; the same command goes on"), _shown(console, plan) as steps:
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

    from anyprefer.training.iterate import Steps

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
                if not iteration.adopted:
                    console.print(Text(f"not adopted, the target before plays on: {iteration.reason}", "yellow"))

        yield Shown()


def _print(console: Console, done: Sequence[Iteration]) -> None:
    from anyprefer.training.demo import table

    heading, *rows = table(done)
    shown = new_table(*heading, title="Held-out accuracy, 95% interval")
    for row in rows:
        shown.add_row(*row)
    console.print(shown)


def _shares(source: str, columns: dict[str, str], limit: int | None, count: int) -> list[list[Task | BadRow]]:
    """The tasks, dealt out into so many lists."""
    from itertools import islice

    from anyprefer.graph.inputs import read_tasks

    tasks = list(islice(read_tasks(source, columns), limit))
    return [tasks[number::count] for number in range(count)]


def _marked(heldout: Iterable[str], columns: dict[str, str], settings: Settings) -> Evaluate:
    """Greedy answers to the held-out task sets, marked as `anyprefer evaluate` marks them."""
    sets = {name: task_set(name, None, settings.seed, columns) for name in heldout}

    def evaluate(model: BaseChatModel, iteration: int, home: Path) -> Mapping[str, EvalResult]:
        from anyprefer.graph.loops import run_blocking
        from anyprefer.training.evaluate import evaluate as run

        asked: dict[str, Any] = {
            "system": settings.system,
            "max_tokens": settings.max_new_tokens,
            "seed": settings.seed,
        }
        return {name: run_blocking(run(model, tasks, right, **asked)) for name, (tasks, right) in sets.items()}

    return evaluate
