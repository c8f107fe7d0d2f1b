"""When a sentence says that something is not there: "no red circle or blue square", "the dog is absent".

A denial begins at its word, holds over lists ("no dog, cat or bird") and ends with its clause, or where a new one
begins: "no dog, but a cat", "no person on the bench", "no dog and a cat".
"""

from __future__ import annotations

from collections.abc import Sequence


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


REACH = 8
"""Words after a mention within which it may still be denied."""
_BEGINS = _words("no not without never neither nor lacks lack lacking absence cannot")
_ENDS = _words(". ! ? ; : but however except only instead though although while whereas rather just yet") | {"\n"}
_JOINS = _words(", and")
_NEW = _words("a an the there it its this that these some one his her their is are with i we")
_PLACES = _words("on in near beside at under over by behind above below with around between next to")
_DEFINITE = _words("the his her its their my your")
_GONE = _words("absent missing nowhere lacking")
_THERE = _words("there present visible shown seen here found depicted pictured in part appear exist included any")


class Denial:
    """Reads a text's words one by one and knows whether what is named now is denied."""

    def __init__(self) -> None:
        self.holds = False
        self._named = False

    def read(self, word: str, following: str) -> None:
        """A word that names nothing, and the one after it."""
        if denies(word):
            self.holds, self._named = True, False
            return
        joined = word in _JOINS and following in _NEW
        placed = word in _PLACES and (self._named or following in _DEFINITE)  # what it lies on is there
        if word in _ENDS or joined or placed:
            self.holds = False

    def named(self) -> None:
        """Something was named."""
        self._named = True


def denies(word: str) -> bool:
    """Whether a word denies: "no", "isn't", …"""
    return word in _BEGINS or word.endswith("n't")


def denied_after(words: Sequence[str]) -> bool:
    """Whether the words after a mention say that it is not there: "is absent", "is not in the picture"."""
    for place, word in enumerate(words):
        if word in _GONE:
            return True
        if denies(word):
            return any(one in _THERE for one in words[place + 1 : place + 3])
        if word in _ENDS or word in _JOINS or word in _PLACES:
            return False
    return False
