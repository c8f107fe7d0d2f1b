"""`anyprefer build`: the models that are made on this machine from packages alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from anyprefer.cli.console import at_work, out
from anyprefer.core.errors import SettingsError


def build(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="scenes, …, radiology, …, scene_detector, radiology_index or policy."),
    ],
    to: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Where one model goes in place of the cache.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Fewer steps than its own: a toy for tests; needs --out.")
    ] = None,
) -> None:
    """Build the embedded models that see or act, from packages alone, and keep them in the cache.

    scenes describes and answers questions about rendered scenes (a LLaVA
    of EfficientNet-Lite0 and a small Llama); scenes-1, scenes-2, … are the
    same from other seeds. scene_detector finds their objects. radiology is
    the same model for VQA-RAD, which ANYPREFER_DATA must hold, and
    radiology_index what its tools know. scenes takes about six minutes of
    one core and 1 GB of memory, the others one; nothing is downloaded.
    policy is the target of visuo-motor control, which also comes with the
    package: 26 minutes, then policy:small:FOLDER plays it. What is there
    already is kept.

    [bold]anyprefer build scenes scene_detector[/]
    """
    if to is not None and len(names) > 1:
        raise SettingsError("--out takes one model; name one, or leave out --out")
    if steps is not None and to is None:
        raise SettingsError("--steps makes a toy, which the cache must not hold; add --out FOLDER")
    from anyprefer.training.bases.by_name import check, ensure

    for name in names:
        check(name)
    for name in names:
        with at_work("nothing was saved; the same command starts again"):
            folder = ensure(name, steps, to)
        out().print(Text.assemble((name, "bold"), f" is in {folder}"), soft_wrap=True)
