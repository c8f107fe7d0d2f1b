"""Rows and marking of the tasks beside this file, as lm-eval calls them.

Rows come from the folder ANYPREFER_DATA names where it has the file, else from the hub's data set.
"""

from __future__ import annotations

from typing import Any

from datasets import Dataset, DatasetDict, load_dataset

from anyprefer.core.data_folder import data_file, has_data
from anyprefer.tools.arithmetic import final_number, says, value


def arc_easy(**metadata: Any) -> DatasetDict:
    """{question, choices: {text, label}, answerKey}: the first 500 test questions, or all of the hub's."""
    return _rows("arc/easy_test_first_500.jsonl", "allenai/ai2_arc", "ARC-Easy")


def arc_challenge(**metadata: Any) -> DatasetDict:
    """As `arc_easy`, of the harder set."""
    return _rows("arc/challenge_test_first_500.jsonl", "allenai/ai2_arc", "ARC-Challenge")


def gsm8k(**metadata: Any) -> DatasetDict:
    """{question, answer}: the first 600 test problems, or all of the hub's."""
    return _rows("gsm8k/test_first_600.jsonl", "openai/gsm8k", "main")


def same_final_number(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """1 when the answer's last number equals, by value, the one after `####` in the gold solution."""
    written = final_number(doc["answer"].rpartition("####")[2])
    gold = value(written) if written else None
    if gold is None:
        raise ValueError(f"GSM8K row without a number after ####: {doc['answer'][-80:]!r}")
    return {"exact_match": float(says(final_number(results[0]), gold))}


def _rows(file: str, hub: str, config: str) -> DatasetDict:
    if not has_data(file):
        return DatasetDict(test=load_dataset(hub, config, split="test"))
    return DatasetDict(test=Dataset.from_json(str(data_file(file))))
