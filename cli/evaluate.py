"""`anyprefer evaluate`: how many tasks a model gets right, and how it does on benchmarks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from anyprefer.cli import completion
from anyprefer.cli.console import DONE, STOPPED, at_work, out, table
from anyprefer.cli.flags import ASKING, Values, flags
from anyprefer.cli.synth import Column, columns_of
from anyprefer.core.errors import SettingsError
from anyprefer.core.settings import RunSettings, load_settings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from anyprefer.core.results import EvalResult
    from anyprefer.training.evaluation.controls import Shown
    from anyprefer.training.evaluation.task_sets import TaskSet

FILE_TOKENS = 64
"""Longest answer to a file's task, where nothing else is said."""


@flags(RunSettings, into="values", panels=ASKING)
def evaluate(
    source: Annotated[
        list[str],
        typer.Argument(
            metavar="TASKS...",
            autocompletion=completion.names("benchmarks"),
            help="Benchmarks (see `anyprefer list benchmarks`), or files with a reference column.",
        ),
    ],
    model: Annotated[
        list[str],
        typer.Option(
            metavar="MODEL",
            help="smollm2, hf:ID-or-folder, openai:NAME, openai:NAME@URL; for control policy:NAME; repeat to compare.",
        ),
    ],
    column: Column = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Tasks to ask; families: 200 by default, others: all."),
    ] = None,
    system: Annotated[str, typer.Option(metavar="TEXT", help="System message for tasks that bring none.")] = "",
    max_new_tokens: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Longest answer, in tokens.", show_default=f"{FILE_TOKENS}; families 24; gsm8k 400"
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(min=0, metavar="X", help="0 is greedy.", show_default="0; of targets that act 1"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the drawn tasks and of sampling.")] = 0,
    judge: Annotated[
        str, typer.Option(metavar="MODEL", help="Judge of alpaca_eval: openai:NAME or openai:NAME@URL.")
    ] = "",
    batch_size: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="GSM8K and ARC: sequences a local model reads at once, or requests in flight."
        ),
    ] = 16,
    answers: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Keep every answer there, a model and task set each; GSM8K and ARC resume from them."
        ),
    ] = None,
    images: Annotated[
        str,
        typer.Option(
            metavar="HOW", help="shown, or a text-only control: none leaves images out, blank shows grey ones."
        ),
    ] = "shown",
    print_command: Annotated[
        bool, typer.Option("--print-command", help="Print lm-eval's own command for the same figure, and stop.")
    ] = False,
    *,
    values: Values,
) -> None:
    """Measure accuracy on tasks with known answers, with its 95% interval.

    Files are marked by agreement with the reference: numbers by value, text as
    a whole but for case and punctuation. GSM8K and ARC are asked by lm-eval, and
    AlpacaEval by its own package; --system and --temperature are not theirs,
    and of them GSM8K alone takes --max-new-tokens. A budget (--max-calls,
    --max-tokens, --max-cost) is one for all that is asked; ARC keeps none.

    [bold]anyprefer evaluate sums facts --model smollm2 --model hf:models/first[/]
    [bold]anyprefer evaluate gsm8k arc_easy arc_challenge --model smollm2 --limit 100[/]
    [bold]anyprefer evaluate test.jsonl --column reference=answer --model openai:gpt-4o[/]
    """
    how = _how(images)
    if print_command:
        return _print_commands(source, model, limit, batch_size, max_new_tokens)
    from anyprefer.models.calls import Budget
    from anyprefer.training.evaluation.asking import calls_of
    from anyprefer.training.evaluation.benchmarks import benchmark
    from anyprefer.training.evaluation.task_sets import is_asked_elsewhere, task_set

    sets = {
        name: None if is_asked_elsewhere(name) else task_set(name, limit, seed, columns_of(column), how)
        for name in source
    }
    shown = table(
        "tasks", "model", "right", "of", "accuracy", "95% interval", "unscored", right=("right", "of", "unscored")
    )
    console, errors, notes, marked = out(), dict[str, None](), list[str](), 0
    settings, _ = load_settings(**values)
    acts = all(tasks is None and benchmark(name).acts for name, tasks in sets.items())
    models: dict[str, Any] = dict.fromkeys(model) if acts else _loaded(model, settings)
    calls, warm = calls_of(settings), float(acts) if temperature is None else temperature
    settings = settings.model_copy(update={"temperature": warm})
    asked = {"system": system, "temperature": warm, "seed": seed, "calls": calls}
    elsewhere: dict[str, Any] = {"limit": limit, "seed": seed, "judge": judge, "batch_size": batch_size}
    elsewhere |= {"max_tokens": max_new_tokens, "settings": settings, "calls": calls, "images": how}
    if calls.budget != Budget():
        _check_budget([name for name, tasks in sets.items() if tasks is None], model)
    safe = (
        f"answers so far are kept in {answers}, the same command asks for the others"
        if answers
        else "nothing was kept of the evaluation"
    )
    for spec, chat in models.items():
        for name, tasks in sets.items():
            with at_work(safe), console.status(f"{spec} on {name}"):
                if tasks is None:
                    kept = answers / _plain(f"{name}-{spec}") if answers else None
                    result: EvalResult = _measured(name, spec, notes, folder=kept, **elsewhere)
                else:
                    longest = {"max_tokens": max_new_tokens or _longest(name)}
                    result = _evaluated(chat, tasks, _answer_file(answers, spec, name), asked | longest)
            shown.add_row(*_cells(name, spec, result))
            errors.update({f"{spec} on {name}: {result.first_error}": None} if result.first_error else {})
            marked += result.n + len(getattr(result, "figures", ()))
            notes.extend(_figures(name, spec, result))
    console.print(shown)
    for note in notes:
        console.print(Text(note, "dim"), soft_wrap=True)
    for error in errors:
        console.print(Text(f"unscored: {error}", "yellow"), soft_wrap=True)
    raise typer.Exit(DONE if marked else STOPPED)


def _how(images: str) -> Shown:
    """Raises `InputError` for another word."""
    from anyprefer.training.evaluation.controls import shown_how

    return shown_how(images)


def _print_commands(names: Sequence[str], models: Sequence[str], limit: Any, batch_size: int, max_tokens: Any) -> None:
    from anyprefer.training.evaluation.benchmarks import Asked, benchmark

    for spec in models:
        asked = Asked(spec, limit, batch_size=batch_size, max_tokens=max_tokens)
        for name in names:
            typer.echo(benchmark(name).command(asked))


def _check_budget(names: Sequence[str], specs: Sequence[str]) -> None:
    """Raises `SettingsError` where a budget would not hold."""
    from anyprefer.training.evaluation.benchmarks import benchmark

    served = next((spec for spec in specs if spec.startswith("openai:")), "")
    if served and (loose := [name for name in names if not benchmark(name).budgeted]):
        raise SettingsError(
            f"{loose[0]} on {served} is asked by another package, which keeps no budget; leave one of them out"
        )


def _measured(name: str, spec: str, notes: list[str], **values: Any) -> EvalResult:
    """A benchmark's result; its further figures go to `notes`."""
    from anyprefer.training.evaluation.benchmarks import measure

    found = measure(name, spec, **values)
    figures = ", ".join(f"{figure} {value:.1%}" for figure, value in found.figures.items())
    notes.extend(
        [f"{name} on {spec}: {figures}" + (f", judge {found.judge}" if found.judge else "")] if figures else []
    )
    notes.extend([f"{name} on {spec}: sampled at T = {found.temperature:g}"] if found.temperature else [])
    return found


def _figures(name: str, spec: str, result: EvalResult) -> list[str]:
    """What was counted in the answers beside being right."""
    from anyprefer.training.evaluation.figures import figures

    found = ", ".join(f"{figure} {value}" for figure, value in figures(result).items())
    return [f"{name} on {spec}: {found}"] if found else []


def _longest(name: str) -> int:
    from anyprefer.training.evaluation.families import FAMILIES

    return FAMILIES[name].max_tokens if name in FAMILIES else FILE_TOKENS


def _loaded(specs: Sequence[str], settings: RunSettings) -> dict[str, BaseChatModel]:
    """All models by name, so that an unknown one shows before the first is asked; weights are loaded later."""
    from anyprefer.training.evaluation.asking import within_limits

    return {spec: within_limits(spec, settings) for spec in specs}


def _evaluated(model: BaseChatModel, given: TaskSet, answers: Path | None, asked: dict[str, Any]) -> EvalResult:
    from anyprefer.core.background_loop import run_blocking
    from anyprefer.models.traits import unload
    from anyprefer.training.evaluation.evaluate import evaluate as run

    try:
        counted: dict[str, Any] = {"tally": given.tally, "metrics": given.metrics}
        return run_blocking(run(model, given.tasks, given.is_correct, answers=answers, **counted, **asked))
    finally:
        unload(model)


def _answer_file(folder: Path | None, spec: str, name: str) -> Path | None:
    return folder / f"{_plain(f'{name}-{spec}')}.jsonl" if folder else None


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "-", name).strip("-")


def _cells(name: str, spec: str, result: EvalResult) -> list[str]:
    low, high = result.interval
    accuracy = f"{result.accuracy:.1%}" if result.n else "none"
    return [name, spec, str(result.correct), str(result.n), accuracy, f"{low:.1%} to {high:.1%}", str(result.unscored)]
