"""`anyprefer judge-eval`: how often a judge is right about answers that are known to be right or wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from anyprefer.cli.console import DONE, STOPPED, at_work, out, said_warnings, table
from anyprefer.cli.flags import PANELS, Values, flags
from anyprefer.cli.progress import progress
from anyprefer.cli.synth import Config, Limit, default_folder
from anyprefer.core.settings import RunSettings

if TYPE_CHECKING:
    from anyprefer.training.evaluation.gold import Gold
    from anyprefer.training.evaluation.judge_accuracy import JudgeAccuracy

_UNUSED = ("target", "judge", "candidates", "max_new_tokens", "top_p", "pair", "min_margin",
           "accept", "record", "format", "image_noise")  # fmt: skip
"""Settings that mean nothing where the answers are given."""


@flags(RunSettings, into="values", panels=PANELS, leave_out=_UNUSED)
def judge_eval(
    source: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="Rows with prompt, chosen, rejected; or prompt, candidates, correct; or model solutions.",
        ),
    ],
    judge: Annotated[list[str], typer.Option(metavar="MODEL", help="As for synth, or evidence; repeat to compare.")],
    to: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="Verdicts with their evidence, a folder a judge.",
            show_default="runs/DATA's name",
        ),
    ] = None,
    both_orders: Annotated[
        bool, typer.Option(help="Show listwise judges the answers in reverse too, for their consistency.")
    ] = True,
    config: Config = None,
    limit: Limit = None,
    *,
    values: Values,
) -> None:
    """Measure a judge against answers known to be right or wrong.

    Every right answer is compared with every wrong one of its task by the
    judge's scores, with the tools it is given (--tools "" for none). One round
    is played; with --max-rounds and --reward feedback rewrites the judge's
    prompts in between. The same command resumes where it was stopped.

    [bold]anyprefer judge-eval pairs.jsonl --judge openai:gpt-4o --tools ""[/]
    [bold]anyprefer judge-eval test.jsonl --judge smollm2 --judge-form expected --tools calculator[/]
    """
    from anyprefer.graph.players import assemble
    from anyprefer.training.evaluation.gold import read_gold
    from anyprefer.training.evaluation.judge_accuracy import GivenAnswers, eval_settings

    chosen = [eval_settings(config, **{**values, "judge": name}) for name in judge]
    for settings in chosen:
        assemble(settings, target=GivenAnswers())  # an unknown judge shows before the first is asked
    gold = read_gold(source, limit, chosen[0].seed)
    folder, console, results = to or default_folder(source), out(), []
    for settings in chosen:
        home = folder / _plain(f"{settings.judge} {settings.digest()[:6]}")
        with at_work(f"what is scored is safe in {home}, the same command resumes"), said_warnings():
            results.append(_measured(gold, settings, home, both_orders))
    _show(results)
    for result in results:
        if result.first_error:
            console.print(Text(f"unscored by {result.judge}: {result.first_error}", "yellow"), soft_wrap=True)
    console.print(f"verdicts with their evidence are in {folder}", soft_wrap=True)
    raise typer.Exit(DONE if all(result.n for result in results) else STOPPED)


def _measured(gold: list[Gold], settings: RunSettings, home: Path, both_orders: bool) -> JudgeAccuracy:
    from anyprefer.training.evaluation.judge_accuracy import judge_accuracy

    with progress(out(), None) as on_row:
        result = judge_accuracy(gold, settings, home, both_orders=both_orders, on_row=on_row)
    text = json.dumps(result.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False)
    (home / "result.json").write_text(text + "\n", encoding="utf-8")
    return result


def _show(results: list[JudgeAccuracy]) -> None:
    numbers = ("tasks", "pairs", "right", "ties", "best right", "by chance", "same reversed", "unscored", "seconds")
    shown = table("judge", "tools", *numbers[:3], "95% interval", *numbers[3:], right=numbers)
    for result in results:
        low, high = result.interval
        shown.add_row(
            f"{result.judge} {result.judge_form}".strip(),
            ", ".join(result.tools) or "none",
            str(result.n),
            str(result.pairs),
            _share(result.accuracy),
            f"{low:.1%} to {high:.1%}",
            str(result.ties),
            _share(result.top1),
            _share(result.top1_chance),
            "" if result.consistency is None else _share(result.consistency),
            str(result.unscored),
            f"{result.seconds:.0f}",
        )
    out().print(shown)


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.1%}"


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "-", name).strip("-")
