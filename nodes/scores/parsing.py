"""What a judge or a reward model said, read as scores. One reader for all: listwise and pointwise, JSON and words.

1. Thoughts are no answer (`read_answer`), and a refused, filtered or empty answer has no score.
2. The verdict under the prompt's own mark counts (`Fence.verdict`), since nobody else can have written it.
3. Without the mark, scores that stand word for word in what the judge was shown are a quotation, and left out.
4. What is left is read by `verdicts.py`: a marked final score first; what contradicts itself, lies outside of 1..10, or
   was cut off before it was final raises `AnswerError` with what could not be read, and is asked again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from langchain_core.messages import BaseMessage

from anyprefer.core.errors import AnswerError
from anyprefer.models.answer import Answer, read_answer, split_thoughts
from anyprefer.nodes.prompt_texts import Fence
from anyprefer.nodes.scores.blocks import sections_of
from anyprefer.nodes.scores.found_json import Unclear, all_json
from anyprefer.nodes.scores.verdicts import all_scores, one_score, without
from anyprefer.nodes.scores.words import MOST, folded

T = TypeVar("T")
_LABELLED = re.compile(
    r"(?:(?:answer|response|candidate)\W{0,3}\d{1,3}\W{1,6}(?:score\W{1,4})?|(?:score|rating|overall|verdict|final|grade)\W{1,6})"
    r"\d{1,3}(?:[.,]\d{1,6})?(?:\s{0,3}(?:/|out of|von|sur)\s{0,3}10)?",
    re.IGNORECASE,
)
_TELLS = (
    *("/10", "/ 10", "of 10", "of ten", "von 10", "sur 10", "de 10", "su 10", "van 10"),
    *("score", "rating", "overall", "verdict", "final", "grade", "total", "reward"),
)
"""What a text must hold to hold a score."""
_BARE = re.compile(r"[\W\d]{3,20}")
_DIGIT = re.compile(r"\d")
_LOOSE = re.compile(r"[\s*_`#>|\"'\-]+")


def read_score(message: BaseMessage | Answer | str, fence: Fence | None = None) -> float:
    """The one score of an answer, 1..10, exactly as given. Raises `AnswerError`, quoting the whole answer."""
    return _read(_answer(message), fence, one_score)


def read_scores(message: BaseMessage | Answer | str, count: int, fence: Fence | None = None) -> list[tuple[float, str]]:
    """(score, analysis) for answers 1..`count`. Raises `AnswerError` unless every one has a score in 1..10."""
    answer = _answer(message)

    def parse(text: str, cut: bool, marked: bool) -> list[tuple[float, str]]:
        return all_scores(text, count, cut and not marked)

    scored = _read(answer, fence, parse)
    if fence is None or fence.verdict not in answer.text:
        return scored
    analyses = sections_of(answer.text.partition(fence.verdict)[0])
    return [(score, analyses.get(number) or said) for number, (score, said) in enumerate(scored, 1)]


def told(answer: Answer, fence: Fence | None = None) -> str:
    """What an answer said, without the mark above its verdict."""
    return answer.text.replace(f"{fence.verdict}\n", "").replace(fence.verdict, "").strip() if fence else answer.text


def _answer(message: BaseMessage | Answer | str) -> Answer:
    if isinstance(message, BaseMessage):
        return read_answer(message)
    return Answer(split_thoughts(message)[0]) if isinstance(message, str) else message


def _read(answer: Answer, fence: Fence | None, parse: Callable[[str, bool, bool], T]) -> T:
    cut = answer.ended == "length"
    if answer.flaw and not (cut and answer.text):
        raise AnswerError(answer.flaw, answer.text)
    try:
        below = answer.text.rpartition(fence.verdict)[2] if fence and fence.verdict in answer.text else ""
        if any(map(str.isdigit, below)):
            return parse(below, cut, True)
        return parse(own_words(answer.text, fence.texts if fence else ()), cut, False)
    except Unclear as why:
        raise AnswerError(f"{why}{f'; {answer.flaw}' if cut else ''}", answer.text) from why


def own_words(text: str, shown: Sequence[str]) -> str:
    """The text without the scores it repeats, word for word or but for spaces and marks, from what was shown.

    Raises `Unclear` for a text of too many scores.
    """
    seen = "\0".join(shown).lower()
    if seen.isascii() and not any(map(seen.__contains__, _TELLS)):
        return text
    text = own_json(text, shown)
    known = _tight("\0".join(shown))
    lines = {_tight(line) for one in shown for line in one.split("\n")}
    return without(text, list(_repeated(text, known, lines)))


def own_json(text: str, shown: Sequence[str]) -> str:
    """The text without the JSON it repeats from what was shown."""
    found = [one for one in all_json(text) if one.end - one.start > len("[{}]")]
    if not found or not any(letter in one for one in shown for letter in "[{"):
        return text
    known = _tight("\0".join(shown))
    return without(text, [(one.start, one.end) for one in found if _tight(text[one.start : one.end]) in known])


def _repeated(text: str, known: str, lines: set[str]) -> Iterator[tuple[int, int]]:
    """Where the text has a whole line of what was shown beside others, or a labelled score of it. Raises `Unclear`."""
    whole, at, scores = text.strip(), 0, 0
    for line in text.split("\n"):
        if _DIGIT.search(line):
            if not (line.strip() == whole and _BARE.fullmatch(whole)) and _tight(line) in lines:
                yield at, at + len(line)
            else:
                labelled = list(_LABELLED.finditer(line))
                scores += len(labelled)
                if scores > MOST:  # each is looked for in all that was shown
                    raise Unclear(f"more than {MOST} scores")
                yield from ((at + one.start(), at + one.end()) for one in labelled if _tight(one[0]) in known)
        at += len(line) + 1


def _tight(text: str) -> str:
    return _LOOSE.sub("", folded(text)).lower()
