"""AlpacaEval 2.0 (Dubois et al. 2024) through the `alpaca_eval` package, with any judge behind the OpenAI protocol.

    measure("alpaca_eval", "smollm2", limit=50, judge="openai:gpt-4-1106-preview", folder=Path("runs/alpaca"))

The model answers the instructions; the judge compares each answer with GPT-4-1106's by AlpacaEval 2.0's own prompt
and the probabilities of its one-token verdict, so a judge's server must tell log-probabilities. Answers and judgements
are kept in the folder as they come; the same command asks only for what is missing.

Figures: `win_rate` (mean preference) and `length_controlled_win_rate` (its logistic model). The latter needs the
instructions' difficulties, `df_gamed.csv` of AlpacaEval's data set. Where neither the data folder nor the hub gives
it, AlpacaEval's smaller model without difficulties is fitted instead and the figure is named
`length_controlled_minimal_win_rate`: not to be compared with published ones.
"""

from __future__ import annotations

import json
import logging
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from anyprefer.core.background_loop import run_blocking
from anyprefer.core.data_folder import data_file, has_data
from anyprefer.core.errors import InputError, ModelError, ModelSetupError
from anyprefer.core.results import EvalResult
from anyprefer.core.task import Task
from anyprefer.models.traits import unload
from anyprefer.training.evaluation.asking import within_limits
from anyprefer.training.evaluation.benchmarks.alpaca_judge import Rows, check_judge, is_read, verdicts
from anyprefer.training.evaluation.benchmarks.base import Asked, Benchmark, BenchmarkResult
from anyprefer.training.evaluation.evaluate import evaluate

JUDGE = "openai:gpt-4-1106-preview"
"""AlpacaEval 2.0's own judge."""
MAX_TOKENS = 2048
REFERENCE = ("alpaca_eval/outputs_gpt4_1106_preview.jsonl", "alpaca_eval_gpt4_baseline.json")
"""Instructions with the reference answers: in the data folder, and in the hub's data set."""
DIFFICULTIES = ("alpaca_eval/df_gamed.csv", "df_gamed.csv")
HUB = "tatsu-lab/alpaca_eval"
_PATCHED = threading.Lock()
"""Held while alpaca_eval's look-up of difficulties is ours (its issue 316: they cannot be given)."""
FOLDS = 5
"""Parts into which alpaca_eval divides the verdicts to fit its model."""
_MINIMAL = "length_controlled_minimal"


class AlpacaEval(Benchmark):
    """Win rates against GPT-4-1106-preview on 805 instructions; `accuracy` is the share of wins."""

    name = "alpaca_eval"
    description = (
        "AlpacaEval 2.0 (Dubois et al. 2024): win rate and length-controlled win rate against GPT-4-1106, by a judge"
    )
    metric = "win_rate"

    def measure(self, asked: Asked) -> BenchmarkResult:
        """Answers, then verdicts, then both win rates."""
        asked = replace(asked, judge=asked.judge or JUDGE)
        if find_spec("alpaca_eval") is None:
            raise ModelSetupError("alpaca_eval is not installed; install it with: pip install 'anyprefer[benchmarks]'")
        check_judge(asked.judge, asked.settings)
        reference = [{key: row[key] for key in ("instruction", "output")} for row in _reference(asked.limit)]
        difficulties = _file(*DIFFICULTIES)
        answers, found = _answers(asked, [row["instruction"] for row in reference])
        ours = [{**row, "output": answers[n], "generator": "model"} for n, row in enumerate(reference) if n in answers]
        theirs = [{**row, "generator": "reference"} for n, row in enumerate(reference) if n in answers]
        if not ours:
            raise ModelError(f"{asked.model} answered none of the instructions: {found.first_error}")
        with _kept(asked.folder) as folder, _quiet():
            found_verdicts = verdicts(ours, theirs, folder, asked)
            scores = _scores(found_verdicts, difficulties, reference)
        marked = int(scores["n_total"])
        numbers = _numbers(found_verdicts, reference)
        won = {str(n): row["preference"] > 1.5 for n, row in zip(numbers, found_verdicts, strict=True) if is_read(row)}
        return self.result(
            asked,
            marks=won,
            n=marked,
            correct=int(scores["n_wins"]),
            unscored=len(reference) - marked,
            first_error=found.first_error or ("" if marked == len(ours) else "a verdict could not be read"),
            max_tokens=MAX_TOKENS,
            judge=asked.judge,
            figures={name: score / 100 for name, score in scores.items() if "win_rate" in name or "stderr" in name},
        )


def _reference(limit: int | None) -> Rows:
    """The first instructions with GPT-4-1106's answers."""
    file = _file(*REFERENCE)
    if file is None:
        raise InputError(
            f"alpaca_eval needs {REFERENCE[0]} in the folder ANYPREFER_DATA names, or {HUB} from the hub; neither is there"
        )
    text = file.read_text(encoding="utf-8")
    rows: Rows = (
        json.loads(text) if file.suffix == ".json" else [json.loads(line) for line in text.split("\n") if line.strip()]
    )
    return rows[:limit]


def _file(local: str, hub: str) -> Path | None:
    """From the data folder, else from the hub, else None."""
    if has_data(local):
        return data_file(local)
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repo_id=HUB, filename=hub, repo_type="dataset"))
    except Exception:  # the hub client raises a dozen unrelated types when there is no network
        return None


def _answers(asked: Asked, instructions: Sequence[str]) -> tuple[dict[int, str], EvalResult]:
    """Answers by the instruction's number; a failed or empty one is left out."""
    tasks = [Task(id=str(number), prompt=text) for number, text in enumerate(instructions)]
    answers: dict[int, str] = {}

    def keep(task: Task, answer: str) -> bool:
        if answer.strip():
            answers[int(task.id)] = answer
        return bool(answer.strip())

    file = asked.folder / "alpaca_eval.jsonl" if asked.folder else None
    model = within_limits(asked.model, asked.settings)
    given: dict[str, Any] = {"max_tokens": MAX_TOKENS, "seed": asked.seed, "calls": asked.calls}
    try:
        found = run_blocking(evaluate(model, tasks, keep, answers=file, **given))
    finally:
        unload(model)
    return answers, found


@contextmanager
def _kept(folder: Path | None) -> Iterator[Path]:
    """Where judgements are kept: the folder, or a temporary one."""
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    else:
        with tempfile.TemporaryDirectory() as made:
            yield Path(made)


@contextmanager
def _quiet() -> Iterator[None]:
    """alpaca_eval logs every request through the root logger, and sklearn warns of what it will drop."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        root.setLevel(level)
        root.handlers[:] = handlers


def _numbers(verdicts: Rows, reference: Rows) -> list[int]:
    """The number of each verdict's instruction among the reference's."""
    known: dict[tuple[str, str], int] = {}
    for number, row in enumerate(reference):
        known.setdefault((row["instruction"], row["output"]), number)
    return [known[row["instruction"], row["output_1"]] for row in verdicts]


def _scores(verdicts: Rows, difficulties: Path | None, reference: Rows | None = None) -> dict[str, float]:
    """AlpacaEval's counts and its win rates in percent, under our names.

    `reference` are all instructions in the order that difficulties are numbered by; without it the verdicts are of all.
    """
    if len(verdicts) < FOLDS:
        raise ModelError(
            f"{len(verdicts)} verdicts are too few for a length-controlled win rate; it takes {FOLDS} or more"
        )
    from alpaca_eval.metrics import get_length_controlled_winrate
    from pandas import DataFrame

    numbers = _numbers(verdicts, reference) if reference else None
    # alpaca_eval looks an instruction's difficulty up by its row in the annotations; a missing answer shifts none here
    rows = DataFrame(verdicts, index=_rows_of(difficulties, numbers, len(verdicts)) if difficulties else None)
    with _difficulties(difficulties, len(verdicts)):
        found = get_length_controlled_winrate(
            rows,
            save_weights_dir=None,
            is_add_glm_preference_inplace=False,
            **({} if difficulties else {"glm_name": _MINIMAL}),
        )
    controlled = "length_controlled" if difficulties else _MINIMAL
    return {
        "n_total": found["n_total"],
        "n_wins": found["n_wins"],
        "win_rate": found["win_rate"],
        "win_rate_stderr": found["standard_error"],
        f"{controlled}_win_rate": found["length_controlled_winrate"],
        f"{controlled}_stderr": found["lc_standard_error"],
    }


def _rows_of(difficulties: Path, numbers: Sequence[int] | None, verdicts: int) -> list[int]:
    """The first row of each instruction's number in the file of difficulties; without numbers the verdicts are of all.

    Raises `InputError` where an instruction has no difficulty, or it is not known which.
    """
    from pandas import read_csv

    first = {number: row for row, number in reversed(list(enumerate(read_csv(difficulties)["index"])))}
    if numbers is None and verdicts != len(first):
        raise InputError(f"{verdicts} verdicts for the {len(first)} instructions of {difficulties}: which is missing?")
    numbers = sorted(first) if numbers is None else numbers
    if missing := [number for number in numbers if number not in first]:
        raise InputError(f"{difficulties} has no difficulty of instruction {missing[0]}; get the whole file")
    return [first[number] for number in numbers]


@contextmanager
def _difficulties(file: Path | None, rows: int) -> Iterator[None]:
    """alpaca_eval downloads the difficulties with every call and takes no file: it is given one, in this thread alone.

    Without any, zeros are given, for the model that does not read them.
    """
    from alpaca_eval.metrics import glm_winrate

    with tempfile.TemporaryDirectory() as made:
        if file is None:
            file = Path(made) / "df_gamed.csv"
            lines = ["model,index,instruction_difficulty", *(f"none,{number},0" for number in range(rows))]
            file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        with _PATCHED:
            real, ours = glm_winrate.hf_hub_download, threading.get_ident()
            glm_winrate.hf_hub_download = lambda *asked, **named: (
                str(file) if threading.get_ident() == ours else real(*asked, **named)
            )
            try:
                yield
            finally:
                glm_winrate.hf_hub_download = real


offers = AlpacaEval()
