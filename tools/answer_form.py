"""Does a candidate keep the form the task asks for? Rules, no model."""

from __future__ import annotations

import re

from anyprefer.graph.state import Candidate, Task
from anyprefer.tools.base import Finding, tool

_ONLY = re.compile(
    r"\b(?:with|just|only|give)\b[^.?!]*?\b(number|name|word|symbol|letter|yes or no)\b", re.IGNORECASE
)


@tool
def answer_form(task: Task, candidate: Candidate) -> Finding:
    """Checks whether an answer keeps the form the question asks for, such as a number only, one word or a name only."""
    asked = _ONLY.search(task.prompt)
    if not asked:
        return Finding("The question asks for no particular form.")
    words = candidate.text.split()
    extra = max(0, len(words) - (4 if asked[1].lower() == "name" else 1))
    verdict = max(0.0, 1 - extra / 10)
    return Finding(f"Asked for: {asked[0]}. The answer has {len(words)} words.", verdict=verdict, weight=0.5)
