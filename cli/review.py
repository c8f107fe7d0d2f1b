"""`anyprefer review`: people mark pairs on a page of this machine, and the marks measure the judge."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from anyprefer.cli.console import out, table
from anyprefer.cli.report import Run

if TYPE_CHECKING:
    from anyprefer.training.viewing.queue_of_pairs import Queue


def review(
    run: Run,
    by: Annotated[str, typer.Option(metavar="NAME", help="Who marks; it is written beside each mark.")] = "reviewer",
    pairs: Annotated[int, typer.Option(min=1, metavar="N", help="Pairs to go through, drawn with a fixed seed.")] = 200,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Port of the page; 0 takes a free one.")] = 0,
) -> None:
    """Mark pairs by hand, on a page that only this machine can open.

    Which answer is better, before the judge's choice is shown; then
    Satisfied, Okay or Dissatisfied, and how difficult (Appendix D.3).
    Marks go into RUN/reviews.jsonl, and say how far the judge and R agree
    with people. Ctrl-C ends it; the same command continues.

    [bold]anyprefer review runs/questions --by ana[/]
    """
    from anyprefer.training.viewing.folders import shown_parts
    from anyprefer.training.viewing.queue_of_pairs import Queue
    from anyprefer.training.viewing.review import serve

    queue = Queue(shown_parts(run), pairs)
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(queue, by, port, lambda url: _ready(url, len(queue.pairs))))
    _measured(queue)


def _ready(url: str, pairs: int) -> None:
    out().print(Text.assemble(f"{pairs} pairs to review at ", (url, "bold"), "\nCtrl-C ends it."), soft_wrap=True)


def _measured(queue: Queue) -> None:
    from anyprefer.training.analysis.agreement import measured

    shown = table("what the marks say", "")
    for one in measured(queue.reviewed()):
        shown.add_row(Text(one.what), one.words)
    if shown.row_count:
        out().print(shown)
