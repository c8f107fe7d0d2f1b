"""`anyprefer reproduce` and `anyprefer ablate`: the paper's tables and figures, and arms of one's own choice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from anyprefer.cli.console import at_work, out
from anyprefer.core.errors import SettingsError

if TYPE_CHECKING:
    from anyprefer.core.records import Row
    from anyprefer.training.experiments.lab import Lab
    from anyprefer.training.experiments.reproduce import Watch
    from anyprefer.training.loop.iterate import Iteration

App = Annotated[str, typer.Option(metavar="NAME", help="The application (see `anyprefer apps`) or its .toml file.")]
ScaleName = Annotated[
    str, typer.Option(metavar="NAME", help="embedded: this machine; paper: the paper's models and data.")
]
Out = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder; the same command resumes it.")]
Seeds = Annotated[str, typer.Option(metavar="A,B,…", help="Each arm is played with each of them.")]
Tasks = Annotated[
    int, typer.Option(min=0, metavar="N", help="Tasks of each source in an iteration; 0: the application's.")
]
Heldout = Annotated[int, typer.Option(min=0, metavar="N", help="Held-out tasks of each benchmark; 0: its own number.")]


def reproduce(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
            help="table2, table4 to table16, figure3 to figure7, fluency (held-out perplexity), or all of --app.",
        ),
    ],
    app: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The application (see `anyprefer apps`) or its .toml file.",
            show_default="the one that the tables are of",
        ),
    ] = None,
    scale: ScaleName = "embedded",
    to: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="Folder; the same command resumes it.",
            show_default="runs/reproduce, or runs/reproduce-APP",
        ),
    ] = None,
    seeds: Seeds = "0,1,2",
    tasks: Tasks = 0,
    heldout: Heldout = 0,
    against: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Pairs that Table 16 and Figure 6 compare with; repeat for several."),
    ] = None,
    play: Annotated[
        bool, typer.Option("--play/--no-play", help="Play what is missing, or report what is complete.")
    ] = True,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Print what training each arm takes on one GPU, and play nothing.")
    ] = False,
) -> None:
    """Make the paper's tables and figures again, our numbers beside the paper's.

    Plays the arms they need, each once: what is complete is not played
    again, and a killed run resumes. Writes REPORT.md, CSV and PNG files.

    [bold]anyprefer reproduce table4 --scale embedded[/]
    [bold]anyprefer reproduce table7 table8 --scale embedded[/]
    [bold]anyprefer reproduce all --scale paper --estimate[/]
    """
    studies = _needed()
    app = app or ("natural-language" if names == ["all"] else studies.application_of(names))
    of_app = [name for name, one in studies.STUDIES.items() if one.application == app]
    wanted = of_app if names == ["all"] else names
    to = to or Path("runs/reproduce" if app == "natural-language" else f"runs/reproduce-{Path(app).stem}")
    lab = _lab(app, scale, to, tasks, heldout)
    console = out()
    if estimate:
        _estimate(console, lab)
        return
    from anyprefer.training.analysis.analyse import named
    from anyprefer.training.experiments.reproduce import reproduce as run

    with at_work(f"finished steps are safe in {to}; the same command resumes"):
        report = run(wanted, lab, _seeds(seeds), named(against or ()), _watch(console), play)
    console.print(Text.assemble("report: ", (str(report), "bold")), soft_wrap=True)


def ablate(
    arms: Annotated[
        list[str] | None,
        typer.Argument(metavar="ARM...", help="The first is what the others are held against; none: list them all."),
    ] = None,
    app: App = "natural-language",
    scale: ScaleName = "embedded",
    to: Out = Path("runs/reproduce"),
    seeds: Seeds = "0",
    iterations: Annotated[int, typer.Option(min=1, metavar="N", help="Iterations of each arm.")] = 1,
    tasks: Tasks = 0,
    heldout: Heldout = 0,
) -> None:
    """Play arms of one application side by side: what each part is worth.

    Arms share tasks, seeds and samples, and the folder of `reproduce`: what
    one has played the other reuses.

    [bold]anyprefer ablate[/]
    [bold]anyprefer ablate anyprefer tools ranks-3-5 candidates-3[/]
    """
    from anyprefer.training.applications.arms import ARMS, arm

    console = out()
    if not arms:
        for one in ARMS.values():
            console.print(Text.assemble((f"{one.name:20}", "bold"), one.title), soft_wrap=True)
        return
    for name in arms:
        arm(name)
    _needed()
    from anyprefer.training.experiments.reproduce import ablate as run

    lab = _lab(app, scale, to, tasks, heldout)
    with at_work(f"finished steps are safe in {to}; the same command resumes"):
        report = run(arms, lab, _seeds(seeds), iterations, _watch(console))
    console.print(Text.assemble("report: ", (str(report), "bold")), soft_wrap=True)


def _needed() -> Any:
    """The studies, whose plots and statistics are an extra."""
    try:
        from anyprefer.training.experiments import studies
    except ImportError as error:
        raise SettingsError(f"this needs {error.name}: pip install 'anyprefer[analysis]'") from None
    return studies


def _lab(app: str, scale: str, folder: Path, tasks: int, heldout: int) -> Lab:
    from anyprefer.training.applications.application import load_application
    from anyprefer.training.experiments.lab import Lab

    chosen = load_application(app)
    chosen.scale(scale)
    return Lab(chosen, scale, folder, tasks, heldout)


def _seeds(given: str) -> tuple[int, ...]:
    try:
        seeds = tuple(dict.fromkeys(int(part) for part in given.split(",") if part.strip()))
    except ValueError:
        seeds = ()
    if not seeds or min(seeds) < 0:
        raise SettingsError(f"--seeds {given!r} must be whole numbers from 0 on, separated by commas, such as 0,1,2")
    return seeds


def _estimate(console: Console, lab: Lab) -> None:
    from anyprefer.cli.estimate import show_scale_estimate

    show_scale_estimate(console, lab.app, lab.scale, lab.app.settings(lab.scale), lab.app.trainer(lab.scale))


def _watch(console: Console) -> Watch:
    from anyprefer.training.experiments.reproduce import Watch

    class Shown(Watch):
        def arm(self, name: str, seed: int) -> None:
            console.print(Text.assemble((name, "bold"), f", seed {seed}"))

        def step(self, iteration: int, name: str) -> None:
            console.print(f"  {f'iteration {iteration}' if iteration else 'before'}: {name}")

        def row(self, iteration: int, row: Row) -> None:
            """Rows are many; the steps are enough."""

        def done(self, iteration: Iteration) -> None:
            counts = ", ".join(f"{count} {name}" for name, count in sorted(iteration.counts.items()))
            scores = ", ".join(f"{name} {result.accuracy:.1%}" for name, result in iteration.results.items())
            console.print(f"    {'; '.join(part for part in (counts, scores) if part)}")

        def failed(self, name: str, seed: int, reason: str) -> None:
            console.print(Text(f"  no outcome: {reason}", "yellow"), soft_wrap=True)

    return Shown()
