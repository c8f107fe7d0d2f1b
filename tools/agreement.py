"""Do a round's candidates agree? Which final answer each states, and how many share it (self-consistency, Wang et al.
2022, arXiv 2203.11171): different ways to a right answer end alike, wrong ones end in many places.

The rule, all of it spelling:

1. What is read: the one line that is marked as the answer ("A: 18", "Answer: B", "#### 18") and not taken back behind it,
   else the whole text. What denies, asks, lists several, refuses, is cut off or is longer than `stated.LONGEST` states no
   final answer.
2. What is compared: the choice, where the question lists choices; the number, where the question counts ("How many …")
   or most answers are a number alone; else the words, at most `reference.SHORT`, without case, accents and articles.
3. Verdict of an answer that n candidates give: n / (n + m), where the strongest other answer has m. A lead of 3 to 1 is
   3/4 and 1/4, a tie is a half, and what all say has 1. It takes no side where fewer than two candidates state an
   answer, and none on words that may mean what as many others say ("Lima, Peru" beside "Lima").

Its weight is 1: two verdicts of it differ by less than 1, so what another tool of that weight has verified outweighs
any vote.

Its weaknesses: what a model gets wrong in the same way each time has a majority too, and units are not read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import NamedTuple

from anyprefer.core.records import Candidate
from anyprefer.core.task import Task
from anyprefer.tools.arithmetic import value
from anyprefer.tools.base import Finding, tool
from anyprefer.tools.multiple_choice import Choices, choices_of, given_choice
from anyprefer.tools.reference import SHORT, may_mean, tokens
from anyprefer.tools.stated import LONGEST, stated_number, stated_text

_CONCLUSION = re.compile(
    r"[*_`>$ ]{0,9}(?:####|\\boxed|(?:(?:so|thus|therefore|hence),? )?(?:(?:the|my) )?(?:final |correct |right )?"
    r"(?:answer[*_` ]{0,9}(?::|is\b)|a:))",
    re.IGNORECASE,
)
_COUNTS = re.compile(r"\bhow (?:many|much|old|far|long|tall|big|fast|heavy|high|deep)\b", re.IGNORECASE)
_REFUSES = re.compile(
    r"\b(?:sorry|apologi[sz]e|unable to|as an ai|language model|decline to|refuse to)\b", re.IGNORECASE
)
_TAKEN_BACK = re.compile(r"\b(?:wait|actually|correction|mistake|instead|sorry)\b", re.IGNORECASE)
_SHOWN = 40
_LISTED = 3


class FinalAnswer(NamedTuple):
    """What a candidate comes to."""

    key: Hashable
    """Equal for answers that are the same: a choice, a number's value, or words."""
    shown: str


class _Stated(NamedTuple):
    """One text's final answer, read in each way; None where it cannot be."""

    choice: FinalAnswer | None = None
    bare: FinalAnswer | None = None
    """The number it is, with nothing but the words of a statement beside it."""
    counted: FinalAnswer | None = None
    """The number it states, alone or with what is counted."""
    words: tuple[str, ...] = ()
    said: str = ""
    """The words as written."""


@tool(quick=True)
def agreement(task: Task, candidate: Candidate, candidates: Sequence[Candidate] = ()) -> Finding:
    """Says how many answers come to the same final answer as this one; what most agree on is more often right."""
    answers = final_answers(task.question, candidates)
    own = answers.get(candidate.index)
    if own is None:
        return Finding("The answer states no one final answer that can be compared with the others'.")
    counts = Counter(one.key for one in answers.values())
    if counts.total() < 2:
        return Finding(f"Final answer: {own.shown}. No other answer states one.")
    shown = {one.key: one.shown for one in reversed(answers.values())}
    rivals = [(shown[key], count) for key, count in counts.most_common() if key != own.key]
    listed = "".join(f"; {count} say {rival}" for rival, count in rivals[:_LISTED])
    return Finding(
        f"Final answer: {own.shown}, as in {counts[own.key]} of the {counts.total()} answers that state one{listed}.",
        verdict=counts[own.key] / (counts[own.key] + (rivals[0][1] if rivals else 0)),
        data={"answers": [{"answer": shown[key], "count": count} for key, count in counts.most_common()]},
    )


def final_answers(question: str, candidates: Sequence[Candidate]) -> dict[int, FinalAnswer]:
    """The final answers of a round by candidate index, without the candidates that state none."""
    texts = tuple(_readable(one) for one in candidates)
    found = zip(candidates, _answers(question, texts), strict=True)
    return {one.index: answer for one, answer in found if answer is not None}


def _readable(candidate: Candidate) -> str:
    """A whole answer in words or a number; "" for what is cut off, refused or no text, such as a trajectory."""
    text = candidate.text if candidate.complete and isinstance(candidate.content, str | int | float) else ""
    return text if len(text) <= LONGEST else ""


@lru_cache(maxsize=64)
def _answers(question: str, texts: tuple[str, ...]) -> tuple[FinalAnswer | None, ...]:
    """Read once for all candidates of a round."""
    choices = choices_of(question)
    stated = [_stated(choices, text) for text in texts]
    if choices.texts:
        return tuple(one.choice for one in stated)
    if _COUNTS.search(question) or 2 * sum(one.bare is not None for one in stated) > sum(any(one) for one in stated):
        return tuple(one.counted for one in stated)
    counts = Counter(one.words for one in stated if one.words)
    return tuple(
        FinalAnswer(one.words, one.said[:_SHOWN]) if one.words and _clear(one.words, counts) else None for one in stated
    )


def _clear(words: tuple[str, ...], counts: Counter[tuple[str, ...]]) -> bool:
    """Do they mean nothing that as many others say in other words?"""
    return not any(
        count >= counts[words] and (may_mean(words, other) or may_mean(other, words))
        for other, count in counts.items()
        if other != words
    )


def _stated(choices: Choices, text: str) -> _Stated:
    closing = _closing(text)
    if not closing or _REFUSES.search(closing):
        return _Stated()
    if choices.texts:
        choice = given_choice(choices, closing)
        return _Stated(choice=FinalAnswer(choice, choice[:_SHOWN]) if choice else None)
    words = stated_text(closing, choices.question) or ""
    words = words if len(words.split()) <= SHORT else ""
    return _Stated(
        bare=_number(stated_number(closing)),
        counted=_number(stated_number(closing, bare=False)),
        words=tuple(tokens(words)),
        said=words,
    )


def _number(written: str | None) -> FinalAnswer | None:
    exact = value(written) if written else None
    return FinalAnswer(exact, str(written)[:_SHOWN]) if exact is not None else None


def _closing(text: str) -> str:
    """The one line that is marked as the answer and not taken back behind it, else the text; "" where several are."""
    lines = [line.strip() for line in text.strip().split("\n")]
    marked = [place for place, line in enumerate(lines) if _CONCLUSION.match(line)]
    if not marked:
        return text.strip()
    taken_back = _TAKEN_BACK.search("\n".join(lines[marked[0] + 1 :]))
    return "" if taken_back or len({lines[place] for place in marked}) > 1 else lines[marked[0]]
