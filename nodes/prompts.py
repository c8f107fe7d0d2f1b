"""Prompt texts live in `.txt` files beside their node and are filled in one pass.

One pass, because `str.format` breaks on JSON braces and filling twice would read placeholders out
of a question or a tool's answer: what is filled in is data and survives as it is.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_SLOT = re.compile(r"\{([a-z_]+)\}")


@cache
def text(name: str) -> str:
    """The prompt file `nodes/NAME.txt`."""
    return files("anyprefer.nodes").joinpath(f"{name}.txt").read_text(encoding="utf-8").strip()


def fill(template: str, **slots: str) -> str:
    """The template with every `{slot}` replaced once; a slot nobody fills raises `KeyError`.

    Lines left empty by an empty slot are closed up, so optional parts leave no gaps.
    """
    parts = re.split(r"\n{2,}", template)
    filled = [_SLOT.sub(lambda match: slots[match[1]], part) for part in parts]
    return "\n\n".join(part for part in filled if part.strip())


def numbered(answers: list[str]) -> str:
    """Answers under headings `Answer 1`, `Answer 2`, …"""
    return "\n\n".join(f"Answer {number}:\n{answer}" for number, answer in enumerate(answers, 1))


def policy_of(judge_form: str) -> str:
    """The name of the prompt p_j starts from."""
    return "expected_policy" if judge_form == "expected" else "judge_policy"
