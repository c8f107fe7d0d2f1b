"""Multiple choice as LLaVA asks it, and which choice an answer names (llava/eval/eval_science_qa.py)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_uppercase

LETTERS = ascii_uppercase
ONE_LETTER = "\nAnswer with the option's letter from the given choices directly."
"""What LLaVA puts behind the choices."""
_BEGINS = re.compile(r"\(?([A-Z])(?:[.):]|$)")
_SAYS = re.compile(r"\b[Aa]nswer is:? \(?([A-Z])\b")


def listed(question: str, choices: Sequence[str], hint: str = "") -> str:
    """The question with lettered choices under it, and what is known above."""
    lines = [hint, question, *(f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=False))]
    return "\n".join(line for line in lines if line) + ONE_LETTER


def chosen(answer: str, choices: Sequence[str]) -> str:
    """The letter that an answer begins with or says its answer is, or of the choice it repeats; else empty."""
    letters, said = LETTERS[: len(choices)], answer.strip()
    begins = _BEGINS.match(said)
    found = {begins[1]} if begins else set(_SAYS.findall(said))
    if len(found) == 1 and found <= set(letters):
        return found.pop()
    plain = [choice.strip().rstrip(".").casefold() for choice in choices]
    return letters[plain.index(text)] if (text := said.rstrip(".").casefold()) in plain else ""
