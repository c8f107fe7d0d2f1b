"""`anyprefer rejudge`: existing preference data, judged again with tools."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from anyprefer.cli.console import DONE, STOPPED, at_work, out, said_warnings, table
from anyprefer.cli.flags import PANELS, Values, flags
from anyprefer.cli.progress import progress
from anyprefer.cli.summary import reasons_table
from anyprefer.cli.synth import Config, Limit, default_folder
from anyprefer.core.settings import RunSettings
from anyprefer.graph.runs.reasons import Reasons

_UNUSED = ("target", "candidates", "temperature", "max_new_tokens", "top_p", "pair", "system", "accept", "record", "format",
           "image_noise")  # fmt: skip
"""Settings that mean nothing where the answers are given."""


@flags(RunSettings, into="values", panels=PANELS, leave_out=_UNUSED)
def rejudge(
    source: Annotated[str, typer.Argument(metavar="DATA", help="Pairs: prompt, chosen, rejected, in any known form.")],
    to: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Verdicts and the data set.", show_default="runs/DATA's name"),
    ] = None,
    config: Config = None,
    limit: Limit = None,
    *,
    values: Values,
) -> None:
    """Judge existing preference data again, with tools, and export what holds.

    Pairs that the judge ranks the other way are flipped, those it cannot tell
    apart are removed; each says why. The same command resumes.

    [bold]anyprefer rejudge hh.jsonl --judge openai:gpt-4o --tools web_search --out runs/hh[/]
    [bold]anyprefer rejudge pairs.jsonl --tools calculator,fact_check --limit 200[/]
    """
    from anyprefer.training.export.exported import Options
    from anyprefer.training.export.rejudge import counts, export_judged, rejudge_settings
    from anyprefer.training.export.rejudge import rejudge as judge_again

    settings = rejudge_settings(config, **values)
    folder, console = to or default_folder(source), out()
    with at_work(f"what is judged is safe in {folder}, the same command resumes"), said_warnings():
        with progress(console, limit) as on_row:
            judged = judge_again(source, settings, folder, limit=limit, on_row=on_row)
        found, reasons = counts(judged), Reasons()
        for one in judged:
            if one.verdict == "undecided":
                reasons.add(one.verdict, one.why)
        _show(found, reasons)
        if not found["kept"] + found["flipped"]:
            console.print(f"nothing is exported: no pair could be decided; verdicts with reasons are in {folder}")
            raise typer.Exit(STOPPED)
        made = export_judged(judged, folder, Options(dedup="none", command=shlex.join(["anyprefer", *sys.argv[1:]])))
    console.print(Text.assemble(f"{made.scale} pairs: ", (str(folder / "dataset"), "bold")), soft_wrap=True)
    raise typer.Exit(DONE)


def _show(found: Counter[str], reasons: Reasons) -> None:
    shown = table("verdict", "pairs", right=("pairs",))
    for verdict in ("kept", "flipped", "undecided"):
        shown.add_row(verdict, f"{found[verdict]:,}")
    out().print(shown)
    if reasons.counts:
        out().print(reasons_table(reasons, "Why nothing was decided", "verdict"))
