"""`anyprefer synth`: plays tasks and keeps every row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from anyprefer.cli.apps import App, Chosen, chosen_app
from anyprefer.cli.console import DONE, INTERRUPTED, STOPPED, at_work, out, said_warnings, to_stderr
from anyprefer.cli.count import count_rows
from anyprefer.cli.flags import PANELS, Values, flags, settings_from
from anyprefer.cli.forecast import Timer, forecast
from anyprefer.cli.progress import progress
from anyprefer.cli.summary import summarise
from anyprefer.core.errors import INTERRUPT, Enough, InputError, RunFolderError
from anyprefer.core.settings import RunSettings
from anyprefer.graph.runs.identity import holds_run
from anyprefer.graph.runs.reasons import Reasons, add_tool_errors

if TYPE_CHECKING:
    from anyprefer.core.input_rows import BadRow
    from anyprefer.core.task import Task
    from anyprefer.graph.runs.runner import Synthesis

Input = Annotated[
    str | None,
    typer.Argument(
        metavar="INPUT",
        help="A file of tasks, hub:ORG/NAME:SPLIT, or data:FILE; a file is .jsonl, .json, .csv, .tsv or .parquet, a "
        "folder of save_to_disk, or - for JSONL from standard input, data:FILE in the folder ANYPREFER_DATA names.",
        show_default="--app's tasks",
    ),
]
Config = Annotated[Path | None, typer.Option(metavar="FILE", help="Settings as TOML; flags win over them.")]
Column = Annotated[
    list[str] | None,
    typer.Option(metavar="FIELD=COLUMN", help="Which column holds a field: prompt=question; repeatable."),
]
Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="Play the first N rows only.")]


@flags(RunSettings, into="values", panels=PANELS)
def synth(
    source: Input = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FOLDER", help="Run folder, new or to be resumed.", show_default="runs/INPUT's name"
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Fail if there is nothing to resume. The same command resumes without it; failed rows are retried.",
        ),
    ] = False,
    estimate: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Play N rows, then forecast what all take; tokens, cost and time."),
    ] = None,
    app: App = None,
    config: Config = None,
    column: Column = None,
    limit: Limit = None,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Resume a run folder whose files are short or damaged: whole rows are kept, what is no row is set "
            "aside, and the tasks of lost rows are played again.",
        ),
    ] = False,
    *,
    values: Values,
) -> None:
    """Play tasks and keep every row: preference pairs from your prompts.

    Each round samples candidates, gathers evidence with tools, judges them and
    forms a pair; below the threshold the prompts are rewritten and it repeats.
    A task ends accepted, rejected or failed; pairs.jsonl has the accepted ones.
    The same command resumes a stopped run; Ctrl-C once finishes the tasks in
    flight, twice stops at once. `--help-all` lists every setting.

    [bold]anyprefer synth questions.jsonl --column prompt=question --limit 20[/]
    [bold]anyprefer synth questions.jsonl --out runs/vllm --threshold 7 \\
        --target openai:my-7b@http://localhost:8000/v1 --judge openai:gpt-4o[/]
    [bold]anyprefer synth questions.jsonl --estimate 20 --max-cost 50[/]
    [bold]anyprefer synth --app natural-language --limit 20[/]
    """
    chosen = chosen_app(app)
    settings = settings_from(config, values, chosen.values)[0]
    played = source_of(source, chosen, settings)
    folder = to or default_folder(played)
    if resume and not holds_run(folder):
        raise RunFolderError(f"run folder {folder} holds no run to resume; leave out --resume")
    console = out()
    if not repair and _is_finished(played, settings, folder, columns_of(column), _least(estimate, limit)):
        summarise(console, folder, Reasons())
        if estimate:
            forecast(console, folder, _expected(played, limit), Timer())
        raise typer.Exit(DONE)
    with said_warnings(), console.status("loading"):
        run, tasks = _prepare(played, settings, folder, columns_of(column), _least(estimate, limit), repair)
        rows = _expected(played, limit)
    _say_what_evidence_judges(settings)
    tool_errors, timer = Reasons(), Timer()
    kept = run.folder.kept if run.folder else 0
    with (
        at_work(f"what is finished is safe in {folder}, the same command resumes"),
        said_warnings(),
        progress(console, _least(estimate, rows), kept) as on_row,
    ):
        run.play(tasks, on_row, timer, lambda row: add_tool_errors(tool_errors, row))
    counts = summarise(console, folder, tool_errors)
    if estimate:
        forecast(console, folder, rows, timer)
    if run.stopped:
        to_stderr(Text.assemble(("stopped: ", "bold yellow"), run.stopped))
    raise typer.Exit(_exit_code(run, counts))


def _say_what_evidence_judges(settings: RunSettings) -> None:
    """Before the run, since on open questions every row would fail."""
    if settings.judge == "evidence":
        to_stderr(
            Text.assemble(
                ("note: ", "bold yellow"),
                "the judge is `evidence`, rules over what the tools find: sums, facts, choices and answer forms. "
                "Open questions need a model as judge: --judge openai:NAME, or --judge openai:NAME@URL for your server",
            )
        )


def _exit_code(run: Synthesis, counts: Counter[str]) -> int:
    if run.stopped == INTERRUPT:
        return INTERRUPTED
    from anyprefer.graph.play_task import mostly_failed

    unfinished = run.stopped and not isinstance(run.calls.stopped, Enough)
    return STOPPED if unfinished or mostly_failed(counts) else DONE


def _least(*counts: int | None) -> int | None:
    return min((count for count in counts if count is not None), default=None)


@dataclass(frozen=True)
class AppTasks:
    """The first iteration's tasks of an application, in place of an input."""

    chosen: Chosen
    tasks: Sequence[Task | BadRow]


Played = str | AppTasks


def source_of(source: str | None, chosen: Chosen, settings: RunSettings) -> Played:
    """The input given, else the application's tasks. Raises `InputError` when there is neither."""
    if source is not None:
        return source
    if chosen.app is None:
        raise InputError("no INPUT: give a file, hub:ID or data:FILE, or an application with --app")
    return AppTasks(chosen, chosen.app.tasks(chosen.scale, 1, settings.seed))


def _is_finished(
    played: Played, settings: RunSettings, folder: Path, columns: dict[str, str], limit: int | None
) -> bool:
    """Whether there is nothing left to play, so that no model need be loaded."""
    from anyprefer.core.input_files import STDIN
    from anyprefer.core.inputs import read_tasks
    from anyprefer.graph.runs.finished import finished_ids
    from anyprefer.graph.synthesis import source_name

    if played == STDIN or not holds_run(folder):
        return False
    if isinstance(played, AppTasks):
        return finished_ids(folder, settings, played.chosen.label, islice(played.tasks, limit)) is not None
    tasks = islice(read_tasks(played, columns, settings.image_roots), limit)
    return finished_ids(folder, settings, source_name(played, columns), tasks) is not None


def _prepare(
    played: Played, settings: RunSettings, folder: Path, columns: dict[str, str], limit: int | None, repair: bool
) -> tuple[Synthesis, Iterable[Task | BadRow]]:
    """The run and its tasks. What is wrong with input, models or tools shows here, before a folder is made."""
    from anyprefer.core.inputs import read_tasks
    from anyprefer.graph.players import assemble
    from anyprefer.graph.runs.runner import Synthesis
    from anyprefer.graph.synthesis import source_name

    if isinstance(played, AppTasks):
        label, labels = played.chosen.label, labels_of(played.chosen)
        run = Synthesis(settings, folder, assemble(settings), label, repair, labels=labels)
        return run, islice(played.tasks, limit)
    tasks = read_tasks(played, columns, settings.image_roots)
    first = next(tasks)
    run = Synthesis(settings, folder, assemble(settings), source_name(played, columns), repair)
    return run, islice(chain([first], tasks), limit)


def _expected(played: Played, limit: int | None) -> int | None:
    return _least(len(played.tasks) if isinstance(played, AppTasks) else count_rows(played), limit)


def labels_of(chosen: Chosen) -> dict[str, str]:
    """What traces are found by: the application, where there is one."""
    return {"application": chosen.label} if chosen.app else {}


def columns_of(given: list[str] | None) -> dict[str, str]:
    """`["prompt=question"]` → {"prompt": "question"}. Raises `InputError` for anything else."""
    pairs = [text.partition("=") for text in given or ()]
    for field, equals, column in pairs:
        if not (field and equals and column):
            raise InputError(f"--column {field + equals + column!r} must be FIELD=COLUMN, such as prompt=question")
    return {field.strip(): column.strip() for field, _, column in pairs}


def default_folder(source: Played) -> Path:
    """runs/ and the input's name: `data/sums.jsonl.gz` → runs/sums, `hub:org/set:test` → runs/set-test; an
    application's and its scale's: runs/natural-language-embedded."""
    if isinstance(source, AppTasks):
        return Path("runs") / source.chosen.label
    name = source.rpartition("/")[2].removeprefix("hub:").replace(":", "-")
    return Path("runs") / (name if source.startswith("hub:") else Path(name.removesuffix(".gz")).stem)
