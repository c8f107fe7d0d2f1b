"""Scores of several answers given together, as JSON or as lines such as `Answer 2: 7/10`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from anyprefer.nodes.scores.found_json import Found, Unclear
from anyprefer.nodes.scores.words import FINAL, MOST, SCORE, Mention, label_of, mentions, number_of, plain, words_of

_SCORES = (
    "final_score",
    "overall_score",
    "total_score",
    "overall",
    "final",
    "total",
    "score",
    "rating",
    "grade",
    "reward",
)
_NAMES = ("answer", "answer_number", "answer_id", "number", "id", "response", "candidate", "index")
_TOLD = ("analysis", "reasoning", "explanation", "reason", "comment")
_LISTS = (
    "answers",
    "scores",
    "ratings",
    "judgments",
    "judgements",
    "evaluations",
    "results",
    "responses",
    "candidates",
)
_NAMED = re.compile(r"(?:answer|response|candidate)?[\s_#]{0,2}([0-9]{1,3})", re.IGNORECASE)
_OUT_OF_TEN = re.compile(r"([0-9]{1,2}(?:[.,][0-9]{1,6})?)\s?/\s?10")

_ANSWER = (
    r"(?:answer|response|candidate|option|antwort|réponse|reponse|respuesta|risposta|resposta|ответ|antwoord|svar|"
    r"odpowiedź|cevap|回答|答案|回复|応答|답변)\s{0,2}(?:no\.?|nr\.?|number)?\s{0,2}[#№]?\s{0,2}([0-9]{1,3})"
)
_HEAD = re.compile(rf"{_ANSWER}(?![\d/]|[.,]\d|[a-z])")
_BEFORE = (
    r"(?:(?:actually|correction|wait|no|sorry|rather|hmm|revised|update|on (?:second thoughts?|reflection))[\s,:;.!\-]{1,4}){0,2}"
    r"(?:(?:final |overall )?(?:score|rating|grade|mark) (?:for|of) )?(?:the )?"
)
_HEADED = re.compile(
    rf"[\s#>|\-•·.()\[\]0-9*_\"]{{0,12}}{_BEFORE}{_ANSWER}(?![\d/]|[.,]\d|[a-z])\W{{0,8}}", re.IGNORECASE
)
_DIGIT = re.compile(r"[0-9]")
_JUST = re.compile(r"\s{0,2}[:=(|]?\s{0,2}([0-9]{1,4}(?:[.,][0-9]{1,6})?)\s?/\s?10\s{0,2}[.)|]?\s{0,2}")
_NEXT = re.compile(r"(?:[,;|/.)]|\band)\s{0,2}$|\s{2}$")
_NUMBERED = re.compile(r"\s{0,4}[(#\[]{0,2}([0-9]{1,2})[.):\]]{1,2}\s")


@dataclass
class Block:
    """Scores given together, by answer number; None where one cannot be used."""

    scores: dict[int, float | None] = field(default_factory=dict)
    told: dict[int, str] = field(default_factory=dict)
    said: dict[int, str] = field(default_factory=dict)
    at: int = 0
    """Where JSON ends in its text."""


def has_score(item: Mapping[str, Any]) -> bool:
    """Whether a JSON object gives a score of its own."""
    return not item.keys().isdisjoint(_SCORES)


def score_in(item: Mapping[str, Any]) -> Any:
    """The score of an object that has one; a final or overall one before others."""
    return next(item[name] for name in _SCORES if name in item)


def score_value(value: Any) -> float | None:
    """1..10 from a JSON number, or from a text in the form "7/10"."""
    if isinstance(value, str) and (written := _OUT_OF_TEN.fullmatch(value.strip())):
        return number_of(written[1])
    if isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value <= 10:
        return float(value)
    return None


def last_listed(objects: list[Found]) -> Block | None:
    """The last JSON value that gives scores; objects of one answer each, in a row, are one value. Raises `Unclear`."""
    last: list[dict[str, Any]] = []
    end, joins = 0, False
    for found in objects:
        if isinstance(found.value, dict) and has_score(found.value) and _named(found.value) is not None:
            last, joins = [*(last if joins else ()), found.value], True
        elif items := _items(found.value):
            last, joins = items, False
        else:
            continue
        end = found.end
    return _block(last, end) if last else None


def _block(items: list[dict[str, Any]], end: int) -> Block:
    block = Block(at=end)
    for item in items:
        number = _named(item)
        if number is None:
            raise Unclear(f"a score in JSON does not say which answer it is of: {str(item)[:80]}")
        if number in block.scores:
            raise Unclear(f"answer {number} is scored twice")
        value = score_in(item) if has_score(item) else None
        block.scores[number], block.said[number] = score_value(value), str(value)
        block.told[number] = next((str(item[name]) for name in _TOLD if name in item), "")
    return block


def _named(item: Mapping[str, Any]) -> int | None:
    """Which answer an item is about."""
    name = next((item[key] for key in _NAMES if key in item), None)
    if isinstance(name, str) and (found := _NAMED.fullmatch(name.strip())):
        return int(found[1])
    return name if isinstance(name, int) and not isinstance(name, bool) else None


def _items(value: Any, depth: int = 0) -> list[dict[str, Any]]:
    """The items of a JSON value, each with its answer's number; none where it gives no scores of answers."""
    if isinstance(value, list):
        return value if value and all(isinstance(item, dict) for item in value) and any(map(has_score, value)) else []
    if not isinstance(value, dict) or not value or depth > 3:
        return []
    if all(_NAMED.fullmatch(name.strip()) for name in value):
        return [{**(one if isinstance(one, dict) else {"score": one}), "answer": name} for name, one in value.items()]
    for name in _LISTS:
        inner = value.get(name)
        if (
            name in ("scores", "ratings")
            and isinstance(inner, list)
            and not any(isinstance(one, dict) for one in inner)
        ):
            return [{"answer": number, "score": one} for number, one in enumerate(inner, 1)]
        if inner and isinstance(inner, list | dict):
            return _items(inner, depth + 1) or ([{}] if name == "answers" else [])
    return _items(next(iter(value.values())), depth + 1) if len(value) == 1 else []


def last_written(text: str, count: int) -> Block | None:
    """The last block of lines that score answers. Raises `Unclear` where scores behind a whole block differ from it."""
    blocks: list[Block] = []
    for number, score in _lines(plain(text)):
        if not blocks or number in blocks[-1].scores:
            blocks.append(Block())
        blocks[-1].scores[number], blocks[-1].said[number] = score.value, score.said
    whole = [place for place, block in enumerate(blocks) if len(block.scores) >= count]
    if not whole:
        return blocks[-1] if blocks else None
    last = blocks[whole[-1]]
    for later in blocks[whole[-1] + 1 :]:
        if changed := later.scores.items() - last.scores.items():
            raise Unclear(f"answer {min(changed)[0]} has two different scores")
    return last


def _lines(text: str) -> Iterator[tuple[int, Mention]]:
    """(answer, score) of each line that gives one: by its heading, by its section's, by its row in a table, or, where
    no line has a heading, by its number in a list."""
    section, scored, headed = 0, 0, False
    columns: list[int] = []
    listed: list[tuple[int, Mention]] = []
    for line in text.split("\n"):
        if line.lstrip().startswith("|"):
            columns = _score_columns(line) or columns
            given = [*_in_row(line, columns)]
        elif head := _HEADED.match(line):
            section = int(head[1])
            given = [*_in_line(line)]
        else:
            score = _labelled(line)
            given = [(section, score)] if score and section else []
            numbered = _NUMBERED.match(line)
            if numbered and (score := score or _labelled(line[numbered.end() :])):
                listed.append((int(numbered[1]), score))
            scored += bool(score)
        headed, scored = headed or bool(given), scored + len(given)
        if scored > MOST:
            raise Unclear(f"more than {MOST} scores")
        yield from given
    if not headed:
        yield from listed


def _in_line(line: str) -> Iterator[tuple[int, Mention]]:
    """`Answer 1: 7/10`, or several of these in one line."""
    heads = list(_HEAD.finditer(line))
    ends = [head.start() for head in heads[1:]] + [len(line)]
    for place, (head, end) in enumerate(zip(heads, ends, strict=True)):
        if place and not _NEXT.search(line[max(0, head.start() - 8) : head.start()]):
            continue
        if score := _labelled(line[head.end() : end]):
            yield int(head[1]), score


def _labelled(line: str) -> Mention | None:
    """The score that a line begins with, or that it marks as final. One that another contradicts has no value."""
    if just := _JUST.fullmatch(line):
        return Mention(number_of(just[1]), SCORE, line.strip(), False, True)
    if not _DIGIT.search(line):
        return None
    found = mentions(line)
    final = [one for one in found if one.rank == FINAL]
    first = final[-1] if final else found[0] if found else None
    if first is None or not (final or first.leads) or (first.bare and first.rank < SCORE):
        return None
    others = [one for one in found if one.rank == first.rank and one.value != first.value]
    return first._replace(value=None) if others else first


def _score_columns(line: str) -> list[int]:
    """Which cells of a table's rows hold the answer's number and its score, by the table's head; none for another row."""
    cells = [words_of(cell) for cell in _cells(line)]
    ranks = [label_of(cell) if cell else 0 for cell in cells]
    best = max(ranks, default=0)
    if not best or ranks.count(best) > 1 or any(any(letter.isdigit() for letter in cell) for cell in _cells(line)):
        return []
    return [ranks.index(best)]


def _in_row(line: str, columns: list[int]) -> Iterator[tuple[int, Mention]]:
    cells = _cells(line)
    name = _NAMED.fullmatch(cells[0].replace("№", "#").strip(" #.")) if cells else None
    if not name:
        return
    if columns and columns[0] < len(cells):
        found = mentions(f"score: {cells[columns[0]].strip()}")
    else:
        found = [one for cell in cells[1:] for one in mentions(cell)]
    if found:
        yield int(name[1]), found[0] if len({one.value for one in found}) == 1 else found[0]._replace(value=None)


def _cells(line: str) -> list[str]:
    return line.strip().strip("|").split("|")


def sections_of(text: str) -> dict[int, str]:
    """The text under each first heading `Answer N`: the analyses of a judgment in words."""
    sections: dict[int, list[str]] = {}
    current: list[str] = []
    for line in text.split("\n"):
        if head := _HEADED.match(line):
            current = []
            sections.setdefault(int(head[1]), current)
            line = line[head.end() :]
        current.append(line)
    return {number: "\n".join(lines).strip() for number, lines in sections.items()}
