"""Checks the arithmetic of a candidate without running code; see `arithmetic` for what is understood.

It takes a side where the task is a sum and the answer states one number, or where an answer to any task is one equation.
An answer with a wrong equation in it is wrong. Right equations on the way to an answer in words are none: whether they
were the ones to make, it cannot know.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from anyprefer.core.records import Candidate
from anyprefer.core.task import Task
from anyprefer.tools.arithmetic import equations, is_equation, plain, says, value
from anyprefer.tools.base import Finding, tool
from anyprefer.tools.spelling import cleaned, negated, words_of
from anyprefer.tools.stated import LONGEST, stated_number

_EXPRESSION = r"[-(.0-9][-+*/(). 0-9]*"
_ASKED = re.compile(
    rf"(?P<verb>(?:\b(?:what is|what's|whats|what does|compute|calculate|evaluate|simplify|solve|how much is|work out"
    rf"|find|answer is|question|q) ?:? ?)?)"
    rf"(?P<sum>{_EXPRESSION})(?P<equals>=|equals?\b)? ?[.?!_ ]*",
    re.IGNORECASE,
)
_FORM = re.compile(
    r"(?:please )?(?:answer|reply|respond|give|state|write|say|return|output|provide)\b[^0-9]*"
    r"\b(?:number|numbers|numeral|digits?|integer|result|value|answer)\b[^0-9]*",
    re.IGNORECASE,
)
_AROUND = words_of(
    "please question answer q a hi hello solve this the following sum problem math maths compute calculate "
    "expression arithmetic simple quick think step by show your work can could you tell me let's"
)
_CLAUSE = re.compile(r"(?<=[?!:])\s+|(?<=\.)\s+|\n+")
_TIGHT = re.compile(r"[0-9]++(?:[-/xX][0-9]++)+")
_UNCLEAR = re.compile(r"(?<![0-9.])[1-9][0-9]{0,2}(?:\.[0-9]{3})+(?![0-9])")
_LISTED = 5
_LONGEST_PROMPT = 2_000


@lru_cache(maxsize=1024)
def asked_value(prompt: str) -> tuple[str, Fraction] | None:
    """The one arithmetic expression a prompt asks for, and its exact value.

    Understood: "What is 34 + 57?", "Compute 12*7.", "3 × 4 = ?", and the words plus, minus, times, divided by. The
    prompt may say nothing else but how to write the answer. None when anything else is asked, when it cannot be
    computed, and for what may be a date, a score or a name ("What is 9/11?") unless a number is asked for.
    """
    if len(prompt) > _LONGEST_PROMPT:
        return None
    prompt = cleaned(prompt)
    if _UNCLEAR.search(prompt):
        return None  # 1.000 is a thousand to half the world
    clauses = [one.strip() for one in _CLAUSE.split(plain(_decimal_points(prompt))) if one.strip()]
    asked = [found for one in clauses if (found := _asked_in(one))]
    others = [one for one in clauses if not _asked_in(one) and not _FORM.fullmatch(one) and not _around(one)]
    if len(asked) != 1 or others or (_is_name(prompt, asked[0]) and not any(map(_asks_number, clauses))):
        return None
    expression = asked[0]["sum"].strip(" .,")
    exact = value(expression)
    return None if exact is None else (expression, exact)


def _decimal_points(prompt: str) -> str:
    """1,5 as 1.5; thousands stay."""
    return re.sub(r"(?<![0-9,.])([0-9]{1,9}),([0-9]{1,2}|[0-9]{4,9})(?![0-9,.])", r"\1.\2", prompt)


def _asked_in(clause: str) -> re.Match[str] | None:
    found = _ASKED.fullmatch(clause)
    return found if found and re.search(r"[0-9)] ?[-+*/]", found["sum"]) else None


def _around(clause: str) -> bool:
    return {word.strip(".,:!'\"").casefold() for word in clause.split()} <= _AROUND


def _is_name(prompt: str, asked: re.Match[str]) -> bool:
    """What is written without spaces, asked by nothing that speaks of computing (9/11, 24/7, 4x4)."""
    tight = any(asked["sum"].strip(" .") == plain(one[0]) for one in _TIGHT.finditer(prompt))
    return tight and not asked["equals"] and not re.match(r"compute|calc|eval|simpl|solve|work", asked["verb"], re.I)


def _asks_number(clause: str) -> bool:
    return _FORM.fullmatch(clause) is not None and re.search(r"number|digit|integer|numeral", clause, re.I) is not None


@tool(quick=True)
def calculator(task: Task, candidate: Candidate) -> Finding:
    """Checks arithmetic: the number an answer to a sum states, and every equation an answer states."""
    answer = candidate.text
    stated = equations(cleaned(answer[:LONGEST]))
    wrong = [equation for equation, holds in stated if not holds]
    notes = _notes(stated, wrong)
    if asked := asked_value(task.question):
        number = stated_number(answer) if answer.strip() else ""
        verdict = None if number is None or number == asked[0] else float(says(number or None, asked[1]))
        known = f"{asked[0]} = {asked[1]}."
        text = f"{known} The answer {_said(number, verdict)}. {notes}"
        return Finding(text, verdict=verdict, data={"text": known})
    return Finding(notes, verdict=_side(answer, bool(wrong), bool(stated)))


def _said(number: str | None, verdict: float | None) -> str:
    if verdict is None:
        return "does not state one number plainly"
    return f"states {number[:40]}, which is {'right' if verdict else 'wrong'}" if number else "is empty"


def _side(answer: str, wrong: bool, stated: bool) -> float | None:
    if not stated or len(answer) > LONGEST or negated(cleaned(answer)):
        return None
    if wrong:
        return 0.0
    return 1.0 if is_equation(cleaned(answer)) else None


def _notes(stated: list[tuple[str, bool]], wrong: list[str]) -> str:
    if not stated:
        return "The answer states no equation that can be checked."
    more = f" and {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else ""
    listed = f": {'; '.join(wrong[:_LISTED])}{more}" if wrong else ""
    return f"Equations checked: {len(stated)}; wrong: {len(wrong)}{listed}."
