"""The one answer a text states, or none: what every tool that judges reads before it takes a side.

An answer counts only where it is stated once and plainly. A negation ("not 91"), a question back, several different
ones ("90 or 91", "88, 89, 90, 91"), a range or a value with something more to it ("91%", "91 thousand") is no one
answer, and the tool takes no side. Every text is cut at `LONGEST` characters and every pattern takes linear time.
"""

from __future__ import annotations

import re

from anyprefer.tools.arithmetic import equations, plain, sides_of, value
from anyprefer.tools.spelling import FRACTION, SCALES, cleaned, hedged, negated, number_in_words, words_of, written

LONGEST = 20_000
"""Characters of an answer that are looked at; a longer one states no one answer."""

_LONGEST_SENTENCE = 400
"""Words of a sentence that may state a number: the time is quadratic in them."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_CITED = re.compile(r"(?<=\S)\s*\[(?:[0-9]{1,2}|[A-Za-z][^\[\]\n]{0,40})\]|<<[^<>]*>>")
_MINUS = re.compile(r"\b(?:minus|negative) (?=[0-9])", re.IGNORECASE)
_WHY = re.compile(r"[,;]? \(?(?:because|since|as|for|that is|i\.e\.)\b", re.IGNORECASE)
_MARKED = re.compile(r"\\boxed ?\{([^{}]*)\}|#### *([^\n]*)")
_SEVERAL = re.compile(
    r"\b(?:or|either|between|both|but|if|unless|might|could|may|all of|any of|except)\b", re.IGNORECASE
)
_STARS = re.compile(r"\*\*|__|`")
_BULLET = re.compile(r"[-*•] +(?=\S)")
_INTRODUCTION = re.compile(
    r"(?:(?:so|thus|therefore|hence|sure|yes|okay|ok)[,.!:]? +)?(?:(?:the |my )?(?:final |right |correct )?"
    r"(?:answer|choice|option|name|symbol|result|word)(?: is| would be|:)|(?:it|this|that|they)(?:'s| is| are| was)"
    r"|i (?:think|believe)(?: it is| it's| that)?|i (?:choose|pick|select)|(?:the )?(?:option|choice|letter)(?= \(?[A-Ha-h1-8]\b))[: ]+",
    re.IGNORECASE,
)
_DIGIT = re.compile(r"[0-9]")
_TOKEN = re.compile(r"[^\s]+")
_VERBS = words_of("is are equals equal makes gives get be = : was have has to becomes answer totals")
_BETWEEN = words_of("exactly equal to actually just simply then therefore thus now also indeed the number")
_SUBJECTS = words_of("answer sum result total value difference product quotient solution it that this which")
_RIGHT = words_of("the answer right correct one it choice")
_FILLERS = words_of(
    "the answer result sum total is it it's so thus therefore hence equals equal to that this sure yes ok "
    "okay here you get we i think believe final correct right of and would be gives makes which a an "
    "value solution difference product quotient in all altogether simply just exactly certainly are have "
    "adding add up has together comes out will must a: answer: result: sum: = let's see"
)


def stated_number(text: str, bare: bool = True) -> str | None:
    """The one number a text states, in the form `says` reads; None where there is none or more than one.

    `bare`: nothing but the usual words of a statement may stand beside it ("The sum is 91."); without it a sentence
    may say what is counted ("She sold 72 clips."). Statements in other sentences must agree.
    """
    if len(text) > LONGEST:
        return None
    text = cleaned(text).strip()
    if number := written(text.removesuffix(".")):
        return number
    if negated(text):
        return None
    if marked := [one for pair in _MARKED.findall(text) for one in pair if one]:
        found = {_alone(plain(one), bare) for one in marked}
        return found.pop() if len(found) == 1 else None
    text = plain(_MINUS.sub("-", _CITED.sub(" ", text)))
    sentences = [one for one in _SENTENCE.split(text) if one.strip()]
    numbered = [one for one in sentences if _DIGIT.search(one)] or (sentences if len(sentences) == 1 else [])
    if not numbered:
        return None
    last = _stated_in(numbered[-1], bare)
    earlier = {_plainly(one, bare) for one in numbered[:-1]} - {None}
    return last if last is not None and all(_same(last, one) for one in earlier) else None


def stated_text(text: str, question: str = "") -> str | None:
    """The one short answer a text states, without what introduces it ("The answer is", "B)"); None where it denies,
    asks, lists several or continues. What only repeats the question before "is" introduces it too."""
    if len(text) > LONGEST:
        return None
    text = cleaned(text).strip()
    if negated(text) or _SEVERAL.search(text):
        return None
    if marked := [one for pair in _MARKED.findall(text) for one in pair if one]:
        text = marked[-1] if len(set(marked)) == 1 else ""
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) != 1:
        return None
    return _introduced(_STARS.sub("", lines[0]).strip(" \t\"'`“”"), question)


def _introduced(line: str, question: str) -> str:
    line = _BULLET.sub("", line, count=1)
    if found := _INTRODUCTION.match(line):
        return line[found.end() :].strip(" \t\"'`“”:")
    head, verb, rest = line.partition(" is ")
    if verb and {_bare_word(word) for word in rest.split()} <= _RIGHT:
        return head.strip()
    asked = {_bare_word(word) for word in question.split()} | _FILLERS
    if verb and {_bare_word(word) for word in head.split()} <= asked:
        return rest.strip()
    return line


def _same(first: str, second: str | None) -> bool:
    return second is not None and value(first) == value(second)


def _plainly(sentence: str, bare: bool) -> str | None:
    """What an earlier sentence states as its answer; steps of a calculation are none, but for the first."""
    words = {word.strip(".,;:").casefold() for word in sentence.split()[:40]}
    if "answer" in words or (bare and "=" not in sentence):
        return _stated_in(sentence, bare)
    return None


def _stated_in(sentence: str, bare: bool) -> str | None:
    if hedged(sentence) or len(sentence.split()) > _LONGEST_SENTENCE:
        return None
    if why := _WHY.search(sentence):
        return _explained(sentence[: why.start()], sentence[why.end() :], bare)
    if "=" in sentence:
        return _of_equation(sentence, bare)
    return _of_verb(sentence, bare) or _alone(sentence, bare)


def _explained(statement: str, reason: str, bare: bool) -> str | None:
    """What a sentence states before it says why; None where its reason speaks of something else."""
    number = _stated_in(statement, bare) if _DIGIT.search(statement) else None
    if number is None:
        return None
    equal = "=" not in reason or any(_same(number, one.strip(" .,;:()=")) for one in re.split(r"[-+*/= ]", reason))
    return number if equal and all(holds for _, holds in equations(reason)) else None


def _of_equation(sentence: str, bare: bool) -> str | None:
    """The number that a sentence's equations come to: a side that is a number, the same in all of them."""
    runs = [(sides, rest) for sides, rest in sides_of(sentence) if len(sides) > 1]
    if not runs or not all(_ends(rest, bare) or number + 1 < len(runs) for number, (_, rest) in enumerate(runs)):
        return None
    sides, _ = runs[-1]
    numbers = [side for side in sides if written(side)]
    compound = [side for side in sides if side and not written(side)]
    if not numbers or any(value(side) is None for side in compound) or (len(sides) > 1 and sides[-1] == ""):
        return None
    closing = numbers[-1] if written(sides[-1]) else numbers[0]
    stated = {value(written(number) or "") for number in numbers}
    return written(closing) if len(stated) == 1 else None


def _of_verb(sentence: str, bare: bool) -> str | None:
    """The number right behind the sentence's last verb of being."""
    tokens = _TOKEN.findall(sentence)
    places = [at for at, token in enumerate(tokens) if _bare_word(token) in _VERBS or token.endswith(":")]
    for at in reversed(places):
        begin = at + 1
        while begin < len(tokens) and _bare_word(tokens[begin]) in _BETWEEN:
            begin += 1
        found = _leading(tokens[begin:], bare)
        if found is None:
            continue
        if any(_number_of(tokens[place + 1 : place + 2]) not in (None, found) for place in places):
            return None
        subject = {_bare_word(token) for token in tokens[: at + 1]}
        if not bare or subject & _SUBJECTS or any(_DIGIT.search(token) for token in tokens[:at]):
            return found
        return None
    return None


def _leading(tokens: list[str], bare: bool) -> str | None:
    """The number that some words are, or begin with where what is counted may follow."""
    for length in (3, 2, 1):
        number = _number_of(tokens[:length]) if len(tokens) >= length else None
        if number is not None:
            more = (token for token in tokens[length:] if _bare_word(token) not in ".,;:")
            goes_on = any(bare or _DIGIT.search(token) for token in more)
            return None if goes_on else number
    return None


def _number_of(tokens: list[str]) -> str | None:
    """The number a few words write: "91", "3 1/2", "1 million", "ninety one"."""
    parts = [*tokens[:-1], tokens[-1].rstrip(".,;:")] if tokens else []
    parts = [part.strip("\"'`()[]{}*_ ") for part in parts]
    if len(parts) == 1 and (number := written(parts[0])):
        return number
    if len(parts) == 2 and (first := written(parts[0])) and (exact := value(first)) is not None:
        if parts[1] in SCALES:
            return str(exact * SCALES[parts[1]])
        part = value(parts[1]) if FRACTION.fullmatch(parts[1]) else None
        return str(exact + part) if part is not None and 0 < part < 1 and exact >= 0 else None
    words = number_in_words(" ".join(parts))
    return None if words is None else str(words)


def _alone(sentence: str, bare: bool) -> str | None:
    """The one number of a sentence that says nothing else."""
    tokens = _TOKEN.findall(sentence)
    if (whole := _number_of(tokens)) if len(tokens) <= 12 else None:
        return whole
    numbers = [token for token in tokens if _DIGIT.search(token)]
    if len(numbers) != 1:
        return None
    others = {_bare_word(token) for token in tokens if token not in numbers}
    at = tokens.index(numbers[0])
    if bare and not (others <= _FILLERS and (at + 1 == len(tokens) or _bare_word(tokens[at + 1]) in ("is", "="))):
        return None
    if not bare and at + 1 < len(tokens) and _bare_word(tokens[at + 1]) in SCALES:
        return _number_of(tokens[at : at + 2])
    return _number_of(numbers) if others - {"-", "+", "*", "/"} == others else None


def _bare_word(token: str) -> str:
    return token.strip("?!.,;:\"'`()[]*").casefold() or token


def _ends(rest: str, bare: bool) -> bool:
    """Does a statement end here? Where what is counted may follow, letters may."""
    rest = rest.lstrip(" .,;:\"'`)*")
    return not rest or (not bare and not _DIGIT.search(rest))
