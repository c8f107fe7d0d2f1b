"""`anyprefer report`: one HTML file about a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from anyprefer.cli import completion
from anyprefer.cli.console import out

Run = Annotated[
    Path, typer.Argument(metavar="RUN", help="A folder of synth or iterate.", autocompletion=completion.runs)
]


def report(
    run: Run,
    to: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The file to write.", show_default="RUN/report.html")
    ] = None,
) -> None:
    """Write one HTML file about a run: charts, and all pairs side by side.

    It holds everything and asks nothing of any server, so it can be sent as
    it is. Acceptance and reasons, rewards and scores, tools, cost, bias,
    prompts, training, held-out results, and each row with its evidence.

    [bold]anyprefer report runs/questions[/]
    """
    from anyprefer.training.viewing.page import report as write

    console = out()
    with console.status("reading the rows"):
        file = write(run, to or run / "report.html")
    console.print(Text.assemble("report: ", (str(file), "bold")), soft_wrap=True)
