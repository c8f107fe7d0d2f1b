"""`anyprefer benchmarks`: what can be measured, and lm-eval's command for the same."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from anyprefer.cli.console import out, table
from anyprefer.core.errors import InputError


def benchmarks(
    print_command: Annotated[
        str | None, typer.Option(metavar="NAME", help="Print the lm_eval command that gives the same number.")
    ] = None,
    model: Annotated[str, typer.Option(metavar="MODEL", help="The model in that command.")] = "smollm2",
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="The first N tasks only.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, metavar="N", help="Sequences at once, or requests.")] = 16,
    max_tokens: Annotated[int | None, typer.Option(min=1, metavar="N", help="Longest answer of gsm8k.")] = None,
) -> None:
    """List the benchmarks that `anyprefer evaluate` measures.

    GSM8K, ARC and AlpacaEval need anyprefer\\[benchmarks]; their data comes from
    the folder ANYPREFER_DATA names where it has it, else from the hub.

    [bold]anyprefer benchmarks[/]
    [bold]anyprefer benchmarks --print-command arc_easy --model smollm2 --limit 100[/]
    """
    from anyprefer.training.evaluation.benchmarks import BENCHMARKS, benchmark
    from anyprefer.training.evaluation.benchmarks.harness import HARNESS, Harness

    if print_command:
        chosen = benchmark(print_command)
        if not isinstance(chosen, Harness):
            names = ", ".join(one.name for one in HARNESS)
            raise InputError(f"{print_command} is not measured by lm-eval; these are: {names}")
        typer.echo(chosen.command(model, limit, batch_size, max_tokens))
        return
    shown = table("benchmark", "metric", "what")
    for one in BENCHMARKS.values():
        shown.add_row(Text(one.name, "bold"), one.metric, one.description)
    console = out()
    console.print(shown)
    console.print(Text("measure with anyprefer evaluate NAME --model MODEL", "dim"))
