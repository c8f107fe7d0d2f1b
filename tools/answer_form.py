"""Does a candidate keep the form the task asks for? Rules, no model."""

from __future__ import annotations

import re

from anyprefer.graph.state import Candidate, Task
from anyprefer.tools.arithmetic import final_number
from anyprefer.tools.base import Finding, tool

_THING = r"\b(?P<{}>numbers?|name|word|symbol|letter|yes or no)\b"
_START = r"(?:^|(?<=[.?!:;,\n])|\bplease\b|\band\b)\s*"
_ASKED = re.compile(
    rf"{_START}(?:answer|reply|respond)\b[^.?!\n]*?{_THING.format('a')}"
    rf"|{_START}(?:give|state|write|say)\b[^.?!\n]*?\b(?:only|just)\b[^.?!\n]*?{_THING.format('b')}"
    rf"|{_START}(?:give|state|write|say)\b[^.?!\n]*?{_THING.format('c')} only\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^.?!\n]*[.?!]?")
_MOST_WORDS = {"name": 4, "numbers": 10}
_LONGEST_PROMPT = 20_000


@tool(quick=True)
def answer_form(task: Task, candidate: Candidate) -> Finding:
    """Checks whether an answer keeps the form the question asks for, such as a number only, one word or a name only."""
    prompt = task.question[-_LONGEST_PROMPT:]
    asked = _ASKED.search(prompt)
    if not asked or not asked.lastgroup:
        return Finding("The question asks for no particular form.")
    thing = asked[asked.lastgroup].lower()
    words = len(candidate.text.split())
    empty = not words or (thing.startswith("number") and final_number(candidate.text) is None)
    # Each word too many costs a tenth; an answer without the thing asked for has no form to keep.
    verdict = 0.0 if empty else max(0.0, 1 - max(0, words - _MOST_WORDS.get(thing, 1)) / 10)
    text = f"Asked for: {asked[0].strip()}. The answer has {words} words."
    form = _SENTENCE.match(prompt, asked.start())
    return Finding(text, verdict=verdict, weight=0.5, data={"form": form[0].strip() if form else ""})
