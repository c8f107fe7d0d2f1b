"""What training came to, of a folder of `iterate`: its curves, and held-out results by iteration."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyprefer.core.results import EvalResult

if TYPE_CHECKING:
    from anyprefer.training.loop.iterate import Iteration

EVALUATION, REPORT = "evaluation.json", "anyprefer.json"
"""Held-out results, and what a trainer of language models writes beside the adapter."""


def heldout(base: Path, homes: Sequence[Path]) -> list[list[str]]:
    """A heading and rows of cells, each with its 95% interval: before, and after each iteration that was evaluated. Empty
    where `base`, the folder of the evaluation before, has none."""
    if not (base / EVALUATION).is_file():
        return []
    from anyprefer.training.loop.report import table  # brings torch

    played = [_iteration(number, home) for number, home in enumerate([base, *homes]) if (home / EVALUATION).is_file()]
    return table(played) if played[0].results else []


def _iteration(number: int, home: Path) -> Iteration:
    from anyprefer.training.loop.iterate import Iteration

    results = {name: EvalResult.model_validate(one) for name, one in _read(home / EVALUATION).items()}
    verdict = _read(home / "gate.json")
    return Iteration(number, "", {}, results, verdict.get("adopted", True) is not False, str(verdict.get("reason", "")))


def refusals(homes: Sequence[Path]) -> list[str]:
    """Why iterations were not adopted."""
    found = {home.name.replace("-", " "): _read(home / "gate.json") for home in homes}
    return [
        f"{name} was not adopted: {said.get('reason', '')}"
        for name, said in found.items()
        if said.get("adopted") is False
    ]


def curves(homes: Sequence[Path]) -> dict[str, tuple[list[float], list[float]]]:
    """(step, loss) of each training, by iteration; `kept out` where pairs were kept out of it."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for home in homes:
        said = _read(home / "adapter" / REPORT)
        losses = [value for value in said.get("losses") or [] if isinstance(value, int | float)]
        if losses:
            found[f"{home.name.replace('-', ' ')}: loss"] = (
                [float(step) for step in range(1, len(losses) + 1)],
                losses,
            )
        checks = [one for one in said.get("checks") or [] if isinstance(one, dict) and "step" in one and "loss" in one]
        if checks:
            steps = ([float(one["step"]) for one in checks], [float(one["loss"]) for one in checks])
            found[f"{home.name.replace('-', ' ')}: loss on pairs kept out"] = steps
    return found


def trained(homes: Sequence[Path]) -> list[list[str]]:
    """Per training: pairs, steps, seconds and what TRL measured last; a heading first."""
    rows = [
        [home.name.replace("-", " "), *_numbers(said)] for home in homes if (said := _read(home / "adapter" / REPORT))
    ]
    return [["training", "pairs", "steps", "seconds", "last loss", "chosen preferred"], *rows] if rows else []


def _numbers(said: dict[str, Any]) -> list[str]:
    metrics = said.get("metrics") or {}
    values = (said.get("trained"), len(said.get("losses") or []), said.get("seconds"))
    last = (metrics.get("loss"), metrics.get("rewards/accuracies"))
    return [*(str(value) for value in values), *("" if value is None else f"{value:.3g}" for value in last)]


def _read(file: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        said = json.loads(file.read_bytes())
        return said if isinstance(said, dict) else {}
    return {}
