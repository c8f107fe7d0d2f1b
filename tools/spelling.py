"""How answers are spelled: one form for every dash, digit and number, and the words that deny or leave open."""

from __future__ import annotations

import re
import unicodedata

from anyprefer.tools.arithmetic import value

_VULGAR = re.compile(r"(?<=[0-9])(?=[\u00bc-\u00be\u2150-\u215e])")
_RAISED = re.compile("[\u00b2\u00b3\u00b9\u2070\u2074-\u2079]+")
_LOWERED = re.compile("[\u2080-\u2089]+")
_SPELLED = {ord(dash): "-" for dash in "‐‑‒–—−﹣－"} | {ord("⁄"): "/", ord("’"): "'", ord("‘"): "'"}
# Unicode's category Cf and its combining marks, as far as they occur in prose.
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\U000e0001-\U000e007f]"
)
_ACCENT = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
_NEGATION = re.compile(
    r"\b(?:not|never|nor|neither|none of|cannot|can't|wrong|incorrect|false|untrue|unsure|uncertain|maybe|perhaps"
    r"|possibly|anything but|other than|rather than|instead of|except|impossible|unknown|no idea|opposite)\b"
    r"|n't\b|[?≠±≈~√]|(?<!<)<(?!<)|(?<!>)>(?!>)|!=",
    re.IGNORECASE,
)
_HEDGE = re.compile(
    r"\b(?:or|either|between|around|about|approximately|approx|roughly|nearly|almost|circa|but|if|unless|might|could"
    r"|may|less|more|fewer|least|most|over|under|above|below|up to|factorial|squared|cubed|half|per"
    r"|percent|dozens?|base|binary|hex|range|page|chapter|footnote|line|room|section|version|anything|everything|no)\b|%|[0-9] ?to -?[0-9]",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"-?(?:[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:[.,][0-9]+)?|\.[0-9]+)")
_THOUSANDS = re.compile(r"-?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
FRACTION = re.compile(r"-?[0-9]+/[0-9]+")
_UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
NUMBER_WORDS = dict(zip(_UNITS, range(20), strict=True)) | {word: 10 * n for n, word in enumerate(_TENS, 2)}


def cleaned(text: str) -> str:
    """Text in one spelling: NFKC, no invisible characters, one kind of dash, ASCII digits, `^2` for a raised 2."""
    if text.isascii():
        return text
    text = _RAISED.sub(lambda found: "^" + found[0], _VULGAR.sub(" ", text))
    text = _LOWERED.sub(lambda found: "_" + found[0], text)
    text = unicodedata.normalize("NFKC", text.translate(_SPELLED)).translate(_SPELLED)
    return _OTHER_DIGIT.sub(lambda found: str(int(found[0])), _INVISIBLE.sub("", text))


def without_accents(text: str) -> str:
    """Text without the marks above and below its letters."""
    return text if text.isascii() else _ACCENT.sub("", unicodedata.normalize("NFKD", text))


def negated(text: str) -> bool:
    """Does a cleaned text deny, doubt or ask, so that no statement in it can be taken as one?"""
    return _NEGATION.search(text) is not None


def hedged(text: str) -> bool:
    """Does a cleaned text leave open which of several it means, or how much?"""
    return negated(text) or _HEDGE.search(text) is not None


def number_in_words(text: str) -> int | None:
    """The value of a number below a million million written in English words ("ninety-one"); None for other text."""
    words = text.casefold().replace("-", " ").split()
    if not 0 < len(words) <= 12 or not (set(words) <= NUMBER_WORDS.keys() | SCALES.keys() | {"and"}):
        return None
    if set(words) == {"and"}:
        return None
    total = part = 0
    for word in words:
        if word == "hundred":
            part = max(part, 1) * 100
        elif word in SCALES:
            total, part = total + max(part, 1) * SCALES[word], 0
        elif word != "and":
            if part % 10 or (part % 100 >= 10 and NUMBER_WORDS[word] >= 10) or (part % 100 and part % 100 < 20):
                return None
            part += NUMBER_WORDS[word]
    return total + part


def written(token: str) -> str | None:
    """A written number in the form `says` reads, thousands and decimals by the comma's place; None for anything else."""
    if len(token) > 60:
        return None
    if FRACTION.fullmatch(token):
        exact = value(token)
        return None if exact is None else str(exact)
    if not _NUMBER.fullmatch(token):
        return None
    return token.replace(",", "") if _THOUSANDS.fullmatch(token) else token.replace(",", ".")


def words_of(text: str) -> frozenset[str]:
    """The words of a line."""
    return frozenset(text.split())
