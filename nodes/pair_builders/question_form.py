"""The form of an answer: what a question asks for, as its gold answer shows.

A rejected answer has the form of the chosen one. Where it has not, preference training learns the form, which tells the
two apart at once, and nothing of what is right.
"""

from __future__ import annotations

import re

from anyprefer.tools.reference import tokens
from anyprefer.tools.spelling import number_in_words

_YES_NO = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)
_NUMBER = re.compile(r"(?:^|\s)[-+$€£]?\.?\d")
_BEGINNING = 200
"""Characters that are looked at."""
_FEW = 3
"""Words of an answer that is a number, with its unit behind it."""


def same_form(answer: str, gold: str) -> bool:
    """Both begin with yes or no, or neither does; both have a number where the gold answer is one, and the answer is no
    bare number where the gold answer is none."""
    said, right = answer[:_BEGINNING].strip(), gold.rpartition("####")[2][:_BEGINNING].strip()
    plain = [bool(_YES_NO.match(text)) for text in (said, right)]
    if any(plain):
        return all(plain)
    return _has_number(said) if _is_number(right) else not _is_number(said)


def _is_number(text: str) -> bool:
    words = tokens(text)
    return len(words) <= _FEW and _has_number(words[0] if words else "")


def _has_number(text: str) -> bool:
    return bool(_NUMBER.search(text)) or any(number_in_words(word) is not None for word in tokens(text))
