"""The task families of the embedded scale, each with a training and a held-out split, marked without a judge.

The splits share no entity: no pair of operands, no country, state or element is in both. Which split an
entity belongs to is a hash of its name, so it never depends on order, seed or how many tasks are asked for.
ARC's splits are its own training and test questions.
"""

from __future__ import annotations

import json
import random
import re
import string
from collections.abc import Iterator, Sequence
from typing import Any

from anyprefer.core.data_folder import data_file, has_data
from anyprefer.core.errors import InputError
from anyprefer.core.task import Task
from anyprefer.core.values import as_text, stable_hash
from anyprefer.tools.arithmetic import final_number, says, value
from anyprefer.tools.knowledge_search import PACKAGED, STOPWORDS, folded
from anyprefer.tools.reference import agrees
from anyprefer.tools.stated import stated_number
from anyprefer.training.evaluation.family import Family, Split
from anyprefer.training.evaluation.medical_families import MEDICAL
from anyprefer.training.evaluation.scene_families import SCENES

_Item = tuple[str, str, str]
"""Entity, question, gold answer."""

_Question = tuple[str, str, str]
"""Kind of entity, the column that answers, the question."""

_FACTS: tuple[_Question, ...] = (
    ("country", "capital", "What is the capital of {title}? Answer with the name only."),
    ("state", "capital", "What is the capital of the US state of {title}? Answer with the name only."),
    ("element", "symbol", "What is the chemical symbol of {title}? Answer with the symbol only."),
    ("element", "title", "Which chemical element has the symbol {symbol}? Answer with the name only."),
    ("element", "title", "Which chemical element has the atomic number {number}? Answer with the name only."),
)
_GEOGRAPHY: tuple[_Question, ...] = (
    ("country", "continent", "On which continent is {title}? Answer with the name only."),
    ("country", "language", "What is the official language of {title}? Answer with one word."),
    ("country", "capital", "What is the capital of {title}? Answer with the name only."),
)
_ARC = {
    "train": ("arc/easy_train.jsonl", "train"),
    "heldout": ("arc/easy_test_first_500.jsonl", "test"),
}
"""By split, the file in the data folder and the split of the hub's data set."""
_BETWEEN_WORDS = re.compile(r"\W++")
_SENTENCE_END = re.compile(r"[.!?]\s")
_BEGINNINGS = frozenset(string.ascii_uppercase + string.digits)


def sums(n: int, seed: int, split: Split) -> list[Task]:
    """Additions of two two-digit numbers; about 2,000 pairs of operands in each split."""
    _check_split(split)
    rng = random.Random(seed)
    pairs = [(a, b) for a in range(10, 100) for b in range(a, 100) if _split(f"{a}+{b}") == split]
    swapped = [pair if rng.random() < 0.5 else pair[::-1] for pair in pairs]
    items = [(f"{a}+{b}", f"What is {a} + {b}? Answer with the number only.", str(a + b)) for a, b in swapped]
    return _tasks("sums", items, n, rng, split)


def facts(n: int, seed: int, split: Split) -> list[Task]:
    """Capitals of countries and US states, chemical symbols and elements, all in the packaged corpus.

    Left out are capitals that are disputed, shared by two cities or written in two ways, those that the
    country's name holds ("Luxembourg"), and Georgia's (which of the two?).
    """
    return _from_corpus("facts", _FACTS, n, seed, split)


def geography(n: int, seed: int, split: Split) -> list[Task]:
    """Continents, official languages (where there is one) and capitals of countries in the packaged corpus."""
    return _from_corpus("geography", _GEOGRAPHY, n, seed, split)


def science(n: int, seed: int, split: Split) -> list[Task]:
    """ARC-easy's questions with their choices as lines, to be answered with one of them (Clark et al. 2018).

    Training tasks are its training questions, held-out ones the first 500 of its test. Read from the folder
    ANYPREFER_DATA names where it has them, else from the hub.
    """
    _check_split(split)
    items = [(row["id"], _listed(row), _gold(row)) for row in _arc_rows(split)]
    return _tasks("science", items, n, random.Random(seed), split)


def _arc_rows(split: Split) -> list[dict[str, Any]]:
    name, hub_split = _ARC[split]
    if has_data(name):
        return [json.loads(line) for line in data_file(name).read_text(encoding="utf-8").split("\n") if line.strip()]
    from datasets import load_dataset

    try:
        rows = load_dataset("allenai/ai2_arc", "ARC-Easy", split=hub_split)
    except (OSError, ValueError) as error:
        raise InputError(
            f"ARC-easy cannot be loaded from the hub ({type(error).__name__}); "
            f"set ANYPREFER_DATA to a folder with {name}, or connect to the network"
        ) from error
    return list(rows)[:500] if split == "heldout" else list(rows)


def _listed(row: dict[str, Any]) -> str:
    choices = "\n".join(f"- {choice}" for choice in row["choices"]["text"])
    return f"{row['question']}\n{choices}\nAnswer with one of these choices only."


def _gold(row: dict[str, Any]) -> str:
    return str(row["choices"]["text"][row["choices"]["label"].index(row["answerKey"])])


def _from_corpus(family: str, questions: Sequence[_Question], n: int, seed: int, split: Split) -> list[Task]:
    _check_split(split)
    items = [item for item in _items(questions) if _split(item[0]) == split]
    return _tasks(family, items, n, random.Random(seed), split)


def _items(questions: Sequence[_Question]) -> Iterator[_Item]:
    for line in PACKAGED.read_text(encoding="utf-8").rstrip("\n").split("\n"):
        row = json.loads(line)
        columns = {"title": row["title"], **row.get("facts", {})}
        for kind, wanted, question in questions:
            if row["kind"] == kind and wanted in columns and _can_be_asked(question, wanted, columns):
                yield row["id"], question.format_map(columns), columns[wanted]


def _can_be_asked(question: str, wanted: str, columns: dict[str, str]) -> bool:
    if "{symbol}" in question and columns["symbol"].lower() in STOPWORDS:
        return False  # "the symbol He" cannot be searched for
    given_away = wanted in ("capital", "continent") and columns[wanted].casefold() in columns["title"].casefold()
    return not given_away


def _check_split(split: str) -> None:
    if split not in ("train", "heldout"):
        raise InputError(f"there is no split {split!r}; there are 'train' and 'heldout'")


def _split(entity: str) -> Split:
    return "heldout" if int(stable_hash(entity)[:8], 16) % 2 else "train"


def _tasks(family: str, items: list[_Item], n: int, rng: random.Random, split: Split) -> list[Task]:
    if not 0 < n <= len(items):
        raise InputError(f"{family} has 1 to {len(items)} {split} tasks, not {n}")
    rng.shuffle(items)  # all of them, so that more tasks are the same ones and others behind them
    return [
        Task(id=f"{family}-{split}-{number:04d}", prompt=question, reference=gold, meta={"entity": entity})
        for number, (entity, question, gold) in enumerate(items[:n], 1)
    ]


def _sum_is_right(task: Task, answer: str) -> bool:
    exact = value(task.reference)
    stated = stated_number(answer) or final_number(answer)
    return exact is not None and says(stated, exact)


def _fact_is_right(task: Task, answer: str) -> bool:
    gold, said = folded(task.reference), folded(answer).strip()
    flags = 0 if task.text.endswith("symbol only.") else re.IGNORECASE
    # The gold answer may hold full stops itself ("St. George's").
    said, found = re.subn(rf"(?<!\w){re.escape(gold)}(?!\w)", "Gold", said, flags=flags)
    return found > 0 and _is_one_sentence(said)


def _is_one_sentence(said: str) -> bool:
    """Of a stripped text: no line break, and no full stop before a capital or a digit."""
    runs = (run for run in _BETWEEN_WORDS.finditer(said) if run.end() < len(said))
    return "\n" not in said and not any(_SENTENCE_END.search(run[0]) and said[run.end()] in _BEGINNINGS for run in runs)


def _is_exactly(task: Task, answer: str) -> bool:
    return agrees(answer, as_text(task.reference))


_SENTENCE = (
    "right when the answer is one sentence or line that holds the gold answer as whole words, whatever the case "
    "and accents (a chemical symbol keeps its case); a second sentence or line is wrong"
)

FAMILIES: dict[str, Family] = {
    "sums": Family(
        "sums",
        sums,
        _sum_is_right,
        "right when the number the answer states plainly equals the sum, or its last number where it states none plainly",
    ),
    "facts": Family("facts", facts, _fact_is_right, _SENTENCE),
    "geography": Family("geography", geography, _fact_is_right, _SENTENCE),
    "science": Family(
        "science",
        science,
        _is_exactly,
        "right when the whole answer is the right choice but for case, punctuation and articles (exact match, A.2)",
    ),
    **MEDICAL,
    **SCENES,
}
