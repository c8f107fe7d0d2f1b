"""Does a candidate keep the form the task asks for? Rules, no model."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from anyprefer.core.records import Candidate
from anyprefer.core.task import Task
from anyprefer.tools.arithmetic import final_number
from anyprefer.tools.base import Finding, tool
from anyprefer.tools.spelling import cleaned, number_in_words
from anyprefer.tools.stated import LONGEST

_THING = r"(?P<thing>numbers?|numerals?|digits?|name|word|symbol|letter|yes or no)"
_LEAST = r"(?:only |just |exactly |simply )"
_KIND = r"(?:(?:the|a|an|one|your|its|single|final|right|correct|exact|chemical|numerical|full) )*"
_FORMS = (
    re.compile(
        rf"(?:please )?(?:answer|reply|respond)(?: me)? (?:{_LEAST}?(?:with|in|by) )?{_LEAST}?{_KIND}{_THING}(?P<rest>.*)"
    ),
    re.compile(rf"(?:please )?(?:give|state|write|say|return|output)(?: me)? {_LEAST}{_KIND}{_THING}(?P<rest>.*)"),
    re.compile(
        rf"(?:please )?(?:give|state|write|say|return|output)(?: me)? {_KIND}{_THING}(?P<rest> (?:only|alone)\b.*)"
    ),
)
_REST = re.compile(
    r"(?: (?:only|alone|please|and nothing (?:else|more)|of .*|that .*|for .*|as (?:the|your) .*|without .*))?"
)
_CLAUSE = re.compile(r"[.?!:;,\n]|\band\b|\b(?=please\b)")
_MOST_WORDS = {"name": 4, "numbers": 10}
_LONGEST_CLAUSE = 200


@tool(quick=True)
def answer_form(task: Task, candidate: Candidate) -> Finding:
    """Checks whether an answer keeps the form the question asks for, such as a number only, one word or a name only."""
    asked = asked_form(task.question)
    if asked is None:
        return Finding("The question asks for no particular form.")
    form, thing = asked
    answer = cleaned(candidate.text[:LONGEST]).strip()
    words = _words(answer)
    broken = not words or not _HAS[thing](answer, [word.strip("\"'`.,;:!?()[]*") for word in words])
    # Each word too many costs a tenth; an answer without the thing asked for has no form to keep.
    verdict = 0.0 if broken else max(0.0, 1 - max(0, len(words) - _MOST_WORDS.get(thing, 1)) / 10)
    text = f"Asked for: {form}. The answer has {len(words)} words{' and not what was asked for' * broken}."
    return Finding(text, verdict=verdict, weight=0.5, data={"form": f"{form}."})


@lru_cache(maxsize=256)
def asked_form(prompt: str) -> tuple[str, str] | None:
    """The clause of a prompt that asks for a form, and the thing it asks for; None where none does."""
    for clause in _CLAUSE.split(prompt[-LONGEST:]):
        clause = clause.strip()
        if not clause or len(clause) > _LONGEST_CLAUSE:
            continue
        found = next((found for form in _FORMS if (found := form.fullmatch(clause.casefold()))), None)
        if found and _REST.fullmatch(found["rest"]):
            return clause, _SAME.get(found["thing"], found["thing"])
    return None


def _words(answer: str) -> list[str]:
    """Its words; a sentence written with hyphens is no word."""
    tokens = answer.replace("_", "-").split()
    if answer.count("-") + answer.count("_") < 3:
        return tokens
    return [word for token in tokens for word in (token.split("-") if token.count("-") > 2 else [token]) if word]


def _one_number(answer: str, words: list[str]) -> bool:
    if number_in_words(answer.strip(" .")) is not None:
        return True
    if final_number(answer) is None:
        return False
    numbers = [word for word in words if not word.isalpha() and (word[:1].isdigit() or word[1:2].isdigit())]
    return len(numbers) == 1 or "=" in answer


def _some_number(answer: str, words: list[str]) -> bool:
    return final_number(answer) is not None or number_in_words(answer.strip(" .")) is not None


def _symbol(answer: str, words: list[str]) -> bool:
    short = [word for word in words if 0 < len(word) <= 3]
    return len(words) == len(short) == 1 or any(word[0].isupper() or not word.isalpha() for word in short)


def _letter(answer: str, words: list[str]) -> bool:
    return any(len(word) == 1 and word.isalpha() for word in words)


def _yes_or_no(answer: str, words: list[str]) -> bool:
    return len({"yes", "no"} & {word.casefold() for word in words}) == 1


def _letters(answer: str, words: list[str]) -> bool:
    return any(character.isalpha() for character in answer)


_SAME = {"digit": "number", "digits": "number", "numeral": "number", "numerals": "numbers"}
_HAS: dict[str, Callable[[str, list[str]], bool]] = {
    "number": _one_number,
    "numbers": _some_number,
    "name": _letters,
    "word": _letters,
    "symbol": _symbol,
    "letter": _letter,
    "yes or no": _yes_or_no,
}
