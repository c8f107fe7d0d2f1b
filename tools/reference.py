"""Compares a candidate with the task's gold answer.

For self-rewarding with gold answers and for tests. It is not among the default tools: whoever uses it
to make pairs measures agreement with the references, not the value of knowledge tools.
"""

from __future__ import annotations

import re
import string

from anyprefer.graph.state import Candidate, Task, as_text
from anyprefer.tools.arithmetic import final_number, says, value
from anyprefer.tools.base import Finding, tool

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation + "“”‘’…", " "))
_NUMERIC = re.compile(r"\s*[$€£]?\s*(-?[0-9.,]+(?:/[0-9]+)?)\s*[.%]?\s*")


@tool
def reference(task: Task, candidate: Candidate) -> Finding:
    """Compares an answer with the known right answer of the task, where there is one."""
    if task.reference is None:
        return Finding("The task has no reference.")
    right = agrees(candidate.text, as_text(task.reference))
    return Finding(f"The answer {'agrees' if right else 'does not agree'} with the reference.", verdict=float(right))


def agrees(answer: str, gold: str) -> bool:
    """Does an answer say the same as the gold answer?

    Of a gold answer with "####" (GSM8K) only what follows the last one counts. A numeric gold is compared
    with the final number of the answer; any other must equal the whole answer but for case, punctuation,
    articles and spacing.
    """
    gold = gold.rpartition("####")[2]
    numeric = _NUMERIC.fullmatch(gold)
    exact = value(numeric[1].rstrip(".,")) if numeric else None
    if exact is not None:
        return says(final_number(answer), exact)
    return _normalised(answer) == _normalised(gold)


def _normalised(text: str) -> str:
    return " ".join(_ARTICLES.sub(" ", text.casefold().translate(_PUNCTUATION)).split())
