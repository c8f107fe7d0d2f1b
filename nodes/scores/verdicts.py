"""The judge's own verdict in its answer: one score, or one for each of several answers; from JSON or from words.

When it is not clear what the judge meant, nothing is read: `Unclear` says what was found, and the judge is asked again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from anyprefer.nodes.scores.blocks import (
    Block,
    has_score,
    last_listed,
    last_written,
    score_in,
    score_value,
    sections_of,
)
from anyprefer.nodes.scores.found_json import Found, Unclear, all_json
from anyprefer.nodes.scores.words import FINAL, SCORE, Mention, mentions, plain

_DIGIT = re.compile(r"\d")


def one_score(text: str, cut: bool = False, marked: bool = False) -> float:
    """The one score of the text, 1..10. Of an answer that was `cut` off only what is marked as final counts, unless
    the whole text stands under the verdict's mark (`marked`). Raises `Unclear`."""
    objects = list(all_json(text))
    words = plain(without(text, [(found.start, found.end) for found in objects]))
    told = [Mention(score_value(value), FINAL, str(value), False, True) for value in _values(objects)]
    found = [*told, *(one for one in mentions(words) if marked or one.rank == FINAL or not one.bare)]
    if cut:
        end = words.rstrip()
        sure = [one for one in found if marked or one.rank == FINAL]
        found = [one for one in sure if not (one.bare and end.endswith(one.said))]
    best = max((one.rank for one in found), default=0)
    last = max((place for place, one in enumerate(found) if one.rank == best), default=0)
    return _agreed([one for place, one in enumerate(found) if one.rank == best or (place > last and one.rank == SCORE)])


def _agreed(found: list[Mention]) -> float:
    if not found:
        raise Unclear('no score in the form "score/10"')
    values = {one.value for one in found}
    if len(values) > 1:
        raise Unclear(f"several scores and none of them marked as final: {', '.join(one.said for one in found[:6])}")
    value = values.pop()
    if value is None:
        raise Unclear(f"a score must be a number from 1 to 10, not {found[0].said!r}")
    return value


def _values(objects: list[Found]) -> Iterator[Any]:
    """What each JSON object gives as its score, itself or one level down."""
    for found in objects:
        value = found.value[0] if isinstance(found.value, list) and len(found.value) == 1 else found.value
        if isinstance(value, dict) and not has_score(value) and len(value) == 1:
            value = next(iter(value.values()))
        if isinstance(value, dict) and has_score(value):
            value = score_in(value)
            yield score_in(value) if isinstance(value, dict) and has_score(value) else value


def all_scores(text: str, count: int, cut: bool = False) -> list[tuple[float, str]]:
    """(score, analysis) of answers 1..count: the last block of scores, which must have every answer once. Of an
    answer that was `cut` off only JSON that is whole counts. Raises `Unclear`."""
    objects = list(all_json(text))
    words = without(text, [(found.start, found.end) for found in objects])
    told = last_listed(objects)
    block = last_written(words[told.at if told else 0 :], count) if not told or _DIGIT.search(words) else None
    if told and not (block and len(block.scores) == count):
        other = block or (last_written(words, count) if _DIGIT.search(words) else None)
        if other and other.scores.items() - told.scores.items():
            raise Unclear("the scores in JSON are not the scores in the text")
        block = told
    if block is None:
        raise Unclear(f"no scores of answers 1 to {count}")
    _check(block, count)
    if cut and block is not told:
        raise Unclear("the answer was cut off, so its scores may not be the last")
    analyses = block.told if block is told else sections_of(words)
    return [(block.scores[number] or 0.0, analyses.get(number, "")) for number in range(1, count + 1)]


def _check(block: Block, count: int) -> None:
    if sorted(block.scores) != list(range(1, count + 1)):
        raise Unclear(f"the judge scored answers {sorted(map(str, block.scores))} of 1 to {count}")
    for number, value in block.scores.items():
        if value is None:
            raise Unclear(f"the score of answer {number} must be a number from 1 to 10, not {block.said[number]!r}")


def without(text: str, spans: list[tuple[int, int]]) -> str:
    """The text with these parts of it blanked out; lengths stay."""
    parts, at = [], 0
    for start, end in spans:
        parts += [text[at:start], " " * (end - start)]
        at = end
    return "".join([*parts, text[at:]])
