"""`anyprefer export`: runs as a data set that trainers load as it is."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from anyprefer.cli import completion
from anyprefer.cli.console import at_work, out, said_warnings, table

if TYPE_CHECKING:
    from anyprefer.training.export.exported import DataSet

Kind = Literal["none", "exact", "minhash", "embedding"]


def export(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN…", help="Folders of synth or iterate, in order.", autocompletion=completion.runs),
    ],
    to: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="The data set's folder, new or to be replaced.")],
    push: Annotated[
        str, typer.Option(metavar="ORG/NAME", help="Upload it to the Hugging Face hub, privately; needs HF_TOKEN.")
    ] = "",
    public: Annotated[bool, typer.Option("--public", help="Make the pushed data set public.")] = False,
    dedup: Annotated[
        Kind,
        typer.Option(
            help="Remove duplicates: equal, nearly equal, or of the same meaning; each with those before it.",
        ),
    ] = "minhash",
    against: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A benchmark's questions: pairs that hold one are removed; repeatable."),
    ] = None,
    test_share: Annotated[
        float, typer.Option(min=0, max=0.5, metavar="X", help="Share of the questions in a split `test`.")
    ] = 0.0,
    judge_eval: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="A folder of judge-eval: the judge's accuracy for the card; repeatable."),
    ] = None,
    license: Annotated[str, typer.Option(metavar="NAME", help="The data's licence, such as apache-2.0.")] = "",
    language: Annotated[list[str] | None, typer.Option(metavar="CODE", help="Such as en; repeatable.")] = None,
    image_roots: Annotated[
        list[str] | None,
        typer.Option(metavar="FOLDER", help="A further folder that the runs' images may come from; repeatable."),
    ] = None,
) -> None:
    """Make a data set of runs: a folder that TRL, LLaMA-Factory, axolotl,
    OpenRLHF, open-instruct and ms-swift load as it is, with a card.

    What is left out (duplicates, benchmarks' questions) is in removed.jsonl.

    [bold]anyprefer export runs/math --out data/math --against gsm8k/test.jsonl[/]
    [bold]anyprefer export runs/loop --out data/loop --license apache-2.0 --push me/loop[/]
    """
    from anyprefer.training.export.export import export as make
    from anyprefer.training.export.exported import Options

    options = Options(
        dedup=dedup,
        against=tuple(against or ()),
        test_share=test_share,
        judge_eval=tuple(judge_eval or ()),
        image_roots=tuple(image_roots or ()),
        license=license,
        language=tuple(language or ()),
        repo=push,
        command=shlex.join(["anyprefer", *sys.argv[1:]]),
    )
    if push:
        from anyprefer.training.export.push import check_name

        check_name(push)
    console = out()
    with said_warnings(), console.status("reading rows"):
        made = make(runs, to, options)
    _show(made, to)
    if push:
        from anyprefer.training.export.push import push as upload

        with at_work(f"the data set is in {to}; give the same command again"), console.status("uploading"):
            address = upload(to, push, public=public)
        console.print(Text.assemble("pushed: ", (address, "bold")), soft_wrap=True)


def _show(made: DataSet, to: Path) -> None:
    console = out()
    shown = table("step", "number", right=("number",))
    shown.add_row("tasks", f"{made.tally.outcomes.total():,}")
    shown.add_row("accepted", f"{made.tally.outcomes['accepted']:,}")
    for why, count in sorted(made.gone.items()):
        shown.add_row(f"removed: {why}", f"{count:,}")
    for split, pairs in made.splits.items():
        shown.add_row(f"pairs in {split}", f"{len(pairs):,}")
    if made.trajectories:
        shown.add_row("pairs of trajectories", f"{len(made.trajectories):,}")
    console.print(shown)
    console.print(Text.assemble("data set: ", (str(to), "bold")), soft_wrap=True)
