"""When two texts are alike: normal forms, numbers, shingles, n-grams, windows.

Numbers must agree wherever texts are compared loosely: "What is 12 + 7?" and "What is 12 + 8?" are two questions, however
alike their letters and vectors are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SHINGLE = 5
"""Characters of a shingle."""
GRAM, SHORTEST = 8, 5
"""Words of an n-gram; a question of fewer is one n-gram, of fewer than the second number none."""
_LONGEST = 20_000
"""Characters of a text that are compared."""
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\d+(?:[,.]\d+)*")
_SENTENCE = re.compile(r"(?<=[.?!])\s+|\n+")
_WORDS = {
    word: str(number)
    for number, word in enumerate(
        [
            "zero",
            ".",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ]
    )
    if word != "."  # "one" is a pronoun as often as a number
} | {
    word: f"{tens}0"
    for tens, word in enumerate(["thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 3)
}


def same(text: str) -> str:
    """The text with its white space and letter forms made alike: equal ones are exact duplicates."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def words(text: str) -> list[str]:
    """Words in lower case, without punctuation."""
    return _WORD.findall(unicodedata.normalize("NFKC", text[:_LONGEST]).casefold())


@dataclass(frozen=True)
class Numbers:
    """The numbers of a text, such as `{"1000", "6"}`."""

    digits: frozenset[str]
    """Those written in digits."""
    every: frozenset[str]
    """Those in words too."""

    def within(self, other: Numbers) -> bool:
        """Whether the other text has all that this one writes in digits."""
        return self.digits <= other.every

    def agree(self, other: Numbers) -> bool:
        """Whether neither writes a number in digits that the other has not."""
        return self.within(other) and other.within(self)


def numbers(text: str) -> Numbers:
    """The numbers in a text, in digits or words."""
    plain = unicodedata.normalize("NFKC", text[:_LONGEST]).casefold()
    digits = frozenset(_plain(found) for found in _NUMBER.findall(plain))
    return Numbers(digits, digits | {_WORDS[word] for word in _WORD.findall(plain) if word in _WORDS})


def _plain(number: str) -> str:
    whole, point, part = number.replace(",", "").partition(".")
    part = part.rstrip("0")
    return (whole.lstrip("0") or "0") + (point + part if part else "")


def shingles(text: str) -> frozenset[str]:
    """All runs of `SHINGLE` characters of the words."""
    plain = " ".join(words(text))
    return frozenset(plain[at : at + SHINGLE] for at in range(max(1, len(plain) - SHINGLE + 1)))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Shared / all, 0..1."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def grams(text: str) -> list[str]:
    """The n-grams of a text's words; none of one that is too short to be told by them."""
    spoken = words(text)
    if len(spoken) < SHORTEST:
        return []
    return [" ".join(spoken[at : at + GRAM]) for at in range(max(1, len(spoken) - GRAM + 1))]


def windows(text: str, sizes: Sequence[int] = (1, 2, 4), most: int = 64) -> Iterator[str]:
    """The text, and runs of its sentences: where a question may stand inside a longer one."""
    yield text
    sentences = [one for one in _SENTENCE.split(text[:_LONGEST]) if len(words(one)) >= SHORTEST]
    runs = (
        " ".join(sentences[at : at + size])
        for size in sizes
        for at in range(len(sentences) - size + 1)
        if size < len(sentences)
    )
    for _, run in zip(range(most), runs, strict=False):
        yield run
