"""What is known of the judge: its accuracy where `judge-eval` measured it, its likings as its own scores show them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from anyprefer.core.errors import InputError
from anyprefer.training.evaluation.judge_accuracy import JudgeAccuracy
from anyprefer.training.export.distributions import Share, longer
from anyprefer.training.export.tally import Tally

_RESULT = "result.json"


@dataclass(frozen=True)
class Liking:
    """How often something was preferred, and how often it would be by chance."""

    what: str
    share: Share
    by_chance: str


def measured(folders: Sequence[Path]) -> list[JudgeAccuracy]:
    """The results of `judge-eval` in these folders. Raises `InputError` for a folder without any."""
    return [result for folder in folders for result in _in(folder)]


def _in(folder: Path) -> Iterator[JudgeAccuracy]:
    files = [folder] if folder.is_file() else sorted(folder.glob(f"**/{_RESULT}"))
    if not files:
        raise InputError(f"{folder} holds no {_RESULT} of judge-eval; name the folder that judge-eval wrote")
    for file in files:
        try:
            yield JudgeAccuracy.model_validate_json(file.read_bytes())
        except (OSError, ValidationError) as error:
            raise InputError(f"{file} is no result of judge-eval: {error}") from error


def likings(tally: Tally) -> list[Liking]:
    """For the first place and for length, over the rounds in which one candidate scored best."""
    rounds = sum(tally.shown.values())
    chance = sum(n / c for c, n in tally.shown.items()) / rounds if rounds else 0.0
    return [
        Liking("the first candidate scored best", Share(sum(tally.first.values()), rounds), f"{chance:.1%}"),
        Liking("the best candidate is longer than the others' mean", longer(tally.lengths), "50.0%"),
    ]
