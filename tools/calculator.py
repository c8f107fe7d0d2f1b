"""Checks the arithmetic of a candidate without running code; see `arithmetic` for what is understood."""

from __future__ import annotations

import re
from fractions import Fraction

from anyprefer.graph.state import Candidate, Task
from anyprefer.tools.arithmetic import equations, final_number, plain, says, value
from anyprefer.tools.base import Finding, tool

_EXPRESSION = r"[-(.0-9][-+*/(). ,0-9]*"
_ASKED = re.compile(
    rf"(?:\b(?:what is|what's|what does|compute|calculate|evaluate|simplify|solve|how much is|work out)\b:? *|^ *)"
    rf"({_EXPRESSION})(?:= *\?*|equals?\b)? *(?:[?!\n]|[.,](?:\s|$)|$)",
    re.IGNORECASE | re.MULTILINE,
)
_LISTED = 5


def asked_value(prompt: str) -> tuple[str, Fraction] | None:
    """The one arithmetic expression a prompt asks for, and its exact value.

    Understood: "What is 34 + 57?", "Compute 12*7.", "3 × 4 = ?" on a line of its own, and the words plus,
    minus, times, divided by. None when nothing or more than one thing is asked, or it cannot be computed.
    """
    asked = {found[1].strip(" .,") for found in _ASKED.finditer(plain(prompt))}
    asked = {expression for expression in asked if re.search(r"[0-9)] *[-+*/]", expression)}
    exact = value(expression := asked.pop()) if len(asked) == 1 else None
    return None if exact is None else (expression, exact)


@tool(quick=True)
def calculator(task: Task, candidate: Candidate) -> Finding:
    """Checks arithmetic: the final number of an answer to a sum, and every equation an answer states."""
    stated = equations(candidate.text)
    wrong = [equation for equation, holds in stated if not holds]
    notes = _notes(stated, wrong)
    if asked := asked_value(task.question):
        final = final_number(candidate.text)
        right = says(final, asked[1])
        number = "no number" if final is None else f"{final[:40]}, which is {'right' if right else 'wrong'}"
        known = f"{asked[0]} = {asked[1]}."
        text = f"{known} The answer's final number: {number}. {notes}"
        return Finding(text, verdict=float(right), data={"text": known})
    return Finding(notes, verdict=1 - len(wrong) / len(stated) if stated else None)


def _notes(stated: list[tuple[str, bool]], wrong: list[str]) -> str:
    if not stated:
        return "The answer states no equation that can be checked."
    more = f" and {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else ""
    listed = f": {'; '.join(wrong[:_LISTED])}{more}" if wrong else ""
    return f"Equations checked: {len(stated)}; wrong: {len(wrong)}{listed}."
