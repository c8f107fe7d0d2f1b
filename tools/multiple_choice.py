"""Which of a question's own choices a candidate gives, and which of them a knowledge base supports best.

The rule: every choice is searched for together with the question (BM25); its support is the score of the best passage.
A candidate that states none of the choices has verdict 0; one that denies, asks, names several or names a label beside
another choice's text takes no side. The best supported choice has verdict 1 where it leads clearly, and one whose
support is lower by a share s of the best has 1 - 4·s; where that is above a half it takes no side. A choice in a sentence
("It is copper.") has three quarters of the verdict of the bare one.

Its weakness: passages that share the words need not say that the choice is right. With 143,780 passages (Wikipedia's
vital articles, WordNet, FOLDOC and others) the best supported choice was right for 44% of 150 training questions of
ARC-easy, and for 62% of the third with the clearest lead; chance is 25%.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from anyprefer.core.records import Candidate
from anyprefer.core.task import Task
from anyprefer.tools.arithmetic import says, value
from anyprefer.tools.base import Finding, tool
from anyprefer.tools.knowledge_search import Corpus
from anyprefer.tools.reference import agrees
from anyprefer.tools.spelling import NUMBER_WORDS, written
from anyprefer.tools.stated import stated_number, stated_text

_CHOICE = re.compile(r"(?:-|\(?([A-Ha-h1-8])[.)])[ \t]+(\S.*)")
_LABEL = re.compile(r"\(?([A-Ha-h1-8])(?:[.):]+(?![0-9])[ \t]*|$)(.*)")
_SEVERAL = re.compile(r"[0-9] ?(?:-|to) ?[0-9]")
_LONGEST_PROMPT = 20_000
_MOST = 10
_SHOWN = 300
_FORM = "Answer with one of the choices, word for word."
_FALL = 4.0
"""How fast the verdict falls with the share of support that is missing."""
_LEAD = 0.05
"""Share of its support by which the best choice must lead the second to be taken for the right one."""
_IN_WORDS = 0.75


@dataclass(frozen=True)
class Choices:
    """A question and its choices."""

    question: str
    texts: tuple[str, ...] = ()
    """None when there are fewer than 2."""
    labels: tuple[str, ...] = ()
    """The letters or digits before them, upper case; "" for a dash."""


def choices_of(prompt: str) -> Choices:
    """The question and its choices, lines such as `- copper` or `B) copper`."""
    text = prompt[:_LONGEST_PROMPT]
    lines = text.split("\n")
    found = [(at, match) for at, line in enumerate(lines) if (match := _CHOICE.fullmatch(line.strip()))]
    if not 2 <= len(found) <= _MOST:
        return Choices(text)
    return Choices(
        "\n".join(lines[: found[0][0]]).strip(),
        tuple(match[2] for _, match in found),
        tuple((match[1] or "").upper() for _, match in found),
    )


def given_choice(choices: Choices, answer: str) -> str | None:
    """The choice an answer states, "" when it states none of them; None when that is not plain."""
    stated = stated_text(answer, choices.question) if answer.strip() else ""
    if not stated:
        return stated
    if label := _LABEL.fullmatch(stated.strip(" .")):
        letter, rest = label[1].upper(), label[2].strip()
        labelled = choices.texts[choices.labels.index(letter)] if letter in choices.labels else ""
        if labelled:
            return labelled if not rest or _named(choices, rest) == [labelled] else None
        stated = rest or stated
    named = _named(choices, stated)
    if named or _SEVERAL.search(stated) or {*stated.replace(",", " ").upper().split()} <= {*choices.labels}:
        return named[0] if len(named) == 1 else None
    return None if any(_spaced(one) in _spaced(stated) for one in choices.texts) else ""


def _named(choices: Choices, stated: str) -> list[str]:
    """The choices whose text it is; a number must be stated alone, with its sign."""
    number = stated_number(stated)
    return [
        one
        for one in choices.texts
        if agrees(stated, one)
        and (
            written(one.strip(" .")) is None
            or (number is not None and says(number, value(one.strip(" .")) or Fraction(0)))
        )
    ]


def _spaced(text: str) -> str:
    words = " ".join(re.findall(r"[-\w]+", text.casefold()))
    return f" {words} "


@tool
def multiple_choice(task: Task, candidate: Candidate, *, corpus: str = "") -> Finding:
    """Checks the answer to a multiple-choice question: is it one of the choices, and the one the knowledge base supports?"""
    choices = choices_of(task.question)
    if not choices.texts:
        return Finding("The question lists no choices.")
    support = _supported(corpus, choices.question, choices.texts)
    best = max(support, key=lambda one: support[one][0])
    highest, passage = support[best]
    said = f"Best supported choice: {best} ({passage})." if highest else "No passage about the question was found."
    data = {"support": {one: score for one, (score, _) in support.items()}, "text": passage, "form": _FORM}
    given = given_choice(choices, candidate.text)
    if not given:
        stated = "does not state one of the choices plainly" if given is None else "is none of the choices"
        return Finding(f"The answer {stated}. {said}", verdict=None if given is None else 0.0, weight=2.0, data=data)
    verdict = _side({one: score for one, (score, _) in support.items()}, given)
    exact = agrees(candidate.text, given)
    verdict = verdict if verdict is None or exact else _IN_WORDS * verdict
    return Finding(f"The answer is the choice {given!r}. {said}", verdict=verdict, weight=2.0, data=data)


def _side(support: dict[str, float], given: str) -> float | None:
    first, second = sorted(support.values(), reverse=True)[:2]
    if not first or first - second < _LEAD * first:
        return None
    verdict = max(0.0, 1 - _FALL * (1 - support[given] / first))
    return verdict if verdict == 1 or verdict <= 0.5 else None


@lru_cache(maxsize=4096)
def _supported(corpus: str, question: str, choices: tuple[str, ...]) -> dict[str, tuple[float, str]]:
    """Each choice's support (≥ 0) and its best passage; looked up once for all candidates of a task."""
    found = {}
    for one in choices:
        hits = Corpus.open(corpus).search(f"{question} {one} {_IN_LETTERS.get(one.strip(' .'), '')}", 1)
        found[one] = (hits[0]["score"], f"{hits[0]['title']}: {hits[0]['text'][:_SHOWN]}") if hits else (0.0, "")
    return found


_IN_LETTERS = {str(number): word for word, number in NUMBER_WORDS.items()}
"""Passages say "eight legs" where a choice says 8."""


@multiple_choice.preparation
def _open(*, corpus: str = "") -> None:
    Corpus.open(corpus)
