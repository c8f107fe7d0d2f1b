"""`anyprefer analyse`: diversity and quality of synthesised pairs, beside other data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.text import Text

from anyprefer.cli import completion
from anyprefer.cli.console import at_work, out
from anyprefer.cli.flags import ASKING, Values, flags
from anyprefer.core.errors import SettingsError
from anyprefer.core.settings import RunSettings

View = Literal["pair", "prompt", "chosen"]


@flags(RunSettings, into="values", panels=ASKING)
def analyse(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN_OR_PAIRS...",
            help="Run folders, folders of iterate, files of pairs, or hub:ID.",
            autocompletion=completion.runs,
        ),
    ],
    to: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where REPORT.md, CSV and PNG files go.")],
    against: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="Another data set's pairs; repeat for several.")
    ] = None,
    samples: Annotated[
        int, typer.Option(min=2, metavar="N", help="Samples of each data set, fewer where one has less.")
    ] = 500,
    components: Annotated[
        int, typer.Option(min=1, metavar="K", help="Principal components of the second condition number.")
    ] = 50,
    view: Annotated[
        View, typer.Option(help="What of a sample is embedded; pair is prompt and chosen answer.")
    ] = "pair",
    encoder: Annotated[
        str, typer.Option(metavar="MODEL", help="minilm, or hf:ID; the paper's is hf:openai/clip-vit-base-patch32.")
    ] = "minilm",
    judge: Annotated[
        str, typer.Option(metavar="MODEL", help="Chat model that rates and scores pairs; without it references do.")
    ] = "",
    task_field: Annotated[
        str, typer.Option(metavar="TEXT", help="The field the judge is an expert in.")
    ] = "question answering",
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Which samples are drawn, and the start of t-SNE.")] = 0,
    *,
    values: Values,
) -> None:
    """Measure diversity and quality of pairs, beside other data sets.

    Diversity: t-SNE and condition number of text embeddings. Quality:
    difficulty and satisfaction by references, and by a judge with --judge.
    Of a folder of iterate also how R goes with held-out accuracy.

    [bold]anyprefer analyse runs/math --against hh.jsonl --out runs/math/analysis[/]
    """
    from anyprefer.core.settings import load_settings
    from anyprefer.training.evaluation.asking import within_limits

    try:
        from anyprefer.training.analysis.analyse import analyse as run
    except ImportError as error:
        raise SettingsError(f"analyse needs {error.name}: pip install 'anyprefer[analysis]'") from None

    settings, _ = load_settings(task_field=task_field, seed=seed, **values)
    console = out()
    chat = within_limits(judge, settings, "judge") if judge else None
    safe = f"ratings so far are kept in {to}, the same command asks for the others" if judge else f"nothing is in {to}"
    with at_work(safe), console.status("measuring"):
        report = run(
            runs,
            against or (),
            out=to,
            samples=samples,
            components=components,
            view=view,
            seed=seed,
            encoder=encoder,
            judge=chat,
            settings=settings,
        )
    console.print(Text.assemble("report: ", (str(report), "bold")), soft_wrap=True)
