"""Compares a candidate with the task's gold answer.

For self-rewarding with gold answers and for tests. It is not among the default tools: whoever uses it
to make pairs measures agreement with the references, not the value of knowledge tools.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from anyprefer.core.records import Candidate
from anyprefer.core.task import Task
from anyprefer.core.values import as_text
from anyprefer.tools.arithmetic import final_number, says, value
from anyprefer.tools.base import Finding, tool
from anyprefer.tools.spelling import cleaned, number_in_words, without_accents, written
from anyprefer.tools.stated import LONGEST, stated_number, stated_text

SHORT = 12
"""Words of a gold answer that an answer may state in a sentence of its own."""
_ARTICLES = frozenset(("a", "an", "the"))
_SIGNS = re.compile(r"[^\w\s+#*/=<>%&@^~.:-]|(?<!\d)[.:](?!\w)|(?<=\w)[.:](?!\w)|(?<=[^\W\d])[-.:](?=[^\W\d])|:")
"""What says nothing: punctuation, and dots and hyphens inside words. "C++", ".NET", "10-20" keep their signs."""
_NUMERIC = re.compile(r"([$€£]?)([-+]?[0-9][0-9.,]{0,60}|[-+]?\.[0-9]{1,60})(/[0-9]{1,40})?(?: ?(%)|\.)?")


@tool
def reference(task: Task, candidate: Candidate) -> Finding:
    """Compares an answer with the known right answer of the task, where there is one."""
    if task.reference is None:
        return Finding("The task has no reference.")
    right = verdict(candidate.content, task.reference, task.question)
    said = "states no one answer" if right is None else f"{'agrees' if right else 'does not agree'} with the reference"
    return Finding(f"The answer {said}.", verdict=None if right is None else float(right))


def verdict(answer: Any, gold: Any, question: str = "") -> bool | None:
    """Does the one answer that is stated say the same as the gold answer? None where no one answer is stated.

    Of several gold texts in a list any will do. A gold text of more than `SHORT` words is compared as a whole.
    """
    if answer == gold:
        return True
    if not isinstance(answer, str):
        return False
    if isinstance(gold, list) and gold and all(isinstance(one, str) for one in gold):
        found = [verdict(answer, one, question) for one in gold]
        return True if True in found else None if None in found else False
    return _verdict(as_text(answer), as_text(gold).rpartition("####")[2].strip(), question)


def _verdict(answer: str, gold: str, question: str) -> bool | None:
    exact = _exact(gold)
    if exact is not None:
        if ("%" in answer) != ("%" in gold) and ("%" in answer or says(stated_number(answer), 100 * exact)):
            return None  # of what?
        number = stated_number(_percent(answer), bare=False) if answer.strip() else ""
        return None if number is None else says(number or None, exact)
    if len(gold.split()) > SHORT:
        return agrees(answer, gold)
    stated = stated_text(answer, question) if answer.strip() else ""
    if stated is None:
        return None
    said, right = tokens(stated), tokens(gold)
    if said == right:
        return True
    return None if may_mean(said, right) else False


def may_mean(said: Sequence[str], right: Sequence[str]) -> bool:
    """Could two different texts mean the same: one holds the other, abbreviates it, or has another unit or date form?"""
    if not said or not right:
        return False
    if set(said) <= set(right) or set(right) <= set(said):
        return True
    if min(len(said), len(right)) > 1 or max(len(said), len(right)) < 2:
        return _may_measure(said, right)
    initials = ["".join(word[0] for word in words if word not in ("of", "and")) for words in (said, right)]
    if "".join(said).replace(".", "") == initials[1] or "".join(right).replace(".", "") == initials[0]:
        return True
    return _may_measure(said, right)


def _may_measure(said: Sequence[str], right: Sequence[str]) -> bool:
    numbers = [{word for word in words if word[0].isdigit()} for words in (said, right)]
    units = [set(words) - found for words, found in zip((said, right), numbers, strict=True)]
    return bool(all(numbers) and units[1] and (numbers[0] & numbers[1] or not units[0] <= units[1]))


def agrees(answer: str, gold: str) -> bool:
    """Does an answer say the same as the gold answer?

    Of a gold answer with "####" (GSM8K) only what follows the last one counts. A numeric gold is compared with the
    final number of the answer, or with the number it writes in words; any other must equal the whole answer but for
    case, accents, spacing, articles and punctuation that says nothing ("C++" is not "C").
    """
    gold = gold.rpartition("####")[2]
    exact = _exact(gold)
    if exact is None:
        return tokens(answer) == tokens(gold)
    words = number_in_words(answer[:200].strip(" .!"))
    return exact == words if words is not None else says(final_number(_percent(answer)), exact)


def _exact(gold: str) -> Fraction | None:
    """The value of a gold answer that is a number, exactly as many per cent where it says so."""
    gold = cleaned(gold[:200]).strip()
    found = _NUMERIC.fullmatch(gold)
    if found is None or len(gold) >= 200:
        return None
    number = written(found[2].lstrip("+").rstrip(".,") + (found[3] or "")) or ""
    exact = value(number)
    return exact if exact is None or found[4] != "%" else exact / 100


def _percent(answer: str) -> str:
    """An answer's per cents as decimals, so that "50%" is 0.5."""
    text = cleaned(answer[-LONGEST:])
    return _PERCENT.sub(lambda found: format(Decimal(found[1]) / 100, "f"), text)


_PERCENT = re.compile(r"(?<![\w.,])([0-9]{1,12}(?:\.[0-9]{1,12})?) ?%(?!\w)")


def tokens(text: str) -> Sequence[str]:
    """A text's words and signs, for comparing: no case, accents or articles, unless there is nothing else."""
    plainly = without_accents(cleaned(text)).casefold().replace("'", "")
    words = [word for token in plainly.split() if (word := _SIGNS.sub(" ", token).strip())]
    words = [part for word in words for part in word.split()]
    return [word for word in words if word not in _ARTICLES] or words or plainly.split()
