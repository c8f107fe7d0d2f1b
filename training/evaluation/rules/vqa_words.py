"""Answers as the VQA evaluation compares them: punctuation, articles, small numbers and contractions made alike.

The same rules stand in VQA's own evaluation, in EvalAI's answer processor (VizWiz, lmms-eval) and in LLaVA-Med
(llava/eval/eval_metrics/glossary.py at 356ba55); faults that change scores are kept.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_NUMBERS = {
    "none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
    "seven": "7", "eight": "8", "nine": "9", "ten": "10",
}  # fmt: skip
_ARTICLES = ("a", "an", "the")
_PERIOD = re.compile(
    r"\.(?!\d)"
)  # the published look-behind is mistyped and holds nowhere: "3." loses its full stop too
_COMMA_IN_NUMBER = re.compile(r"\d,\d")


def normal(text: str) -> str:
    """The text as LLaVA-Med compares it."""
    text = text.lower()
    joined = _COMMA_IN_NUMBER.search(text) is not None
    made = text
    for mark in _PUNCTUATION:
        apart = f"{mark} " in text or f" {mark}" in text
        made = made.replace(mark, "" if apart or joined else " ")
    # the published call gives re.UNICODE, 32, where the number of replacements stands
    made = _PERIOD.sub("", made, count=32)
    words = (_NUMBERS.get(word, word) for word in made.split())
    return " ".join(_contractions().get(word, word) for word in words if word not in _ARTICLES).replace(",", "")


def eval_ai(text: str) -> str:
    """The text as EvalAI's processor makes it: some marks go before the rules are looked at."""
    text = text.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()
    return normal(text.replace("\n", " ").replace("\t", " ").strip())


def vqa_accuracy(answer: str, golds: list[str]) -> float:
    """Mean over people of min(1, others who said the same / 3), 0..1 (Antol et al. 2015; as lmms-eval computes it)."""
    said, given = eval_ai(answer), [eval_ai(gold) for gold in golds]
    agreed = given.count(said)
    each = [min(1.0, (agreed - (one == said)) / 3) for one in given]
    return sum(each) / len(each) if each else 0.0


@cache
def _contractions() -> dict[str, str]:
    """`dont` to `don't`; the list of VQA's evaluation."""
    lines = Path(__file__).with_name("contractions.txt").read_text(encoding="utf-8").split("\n")
    return dict(line.split() for line in lines if line.strip())
