"""English word forms, as far as comparing labels needs them: singulars and small numbers."""

from __future__ import annotations

_IRREGULAR = {
    "people": "person", "persons": "person", "men": "man", "women": "woman", "children": "child", "mice": "mouse",
    "geese": "goose", "teeth": "tooth", "feet": "foot", "oxen": "ox", "halves": "half", "dice": "die",
}  # fmt: skip
_NUMBERS = {
    "a": 1, "an": 1, "one": 1, "single": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
}  # fmt: skip


def singulars(word: str) -> tuple[str, ...]:
    """What a word in lower case may be the plural of, the likeliest first; nothing for one that is no plural."""
    if word in _IRREGULAR:
        return (_IRREGULAR[word],)
    if word.endswith("men") and len(word) > 5:
        return (f"{word[:-3]}man",)
    if len(word) < 4 or not word.endswith("s") or word.endswith("ss"):
        return ()
    if word.endswith("ies"):
        return (f"{word[:-3]}y", word[:-1])
    if word.endswith("ves"):
        return (word[:-1], f"{word[:-3]}f", f"{word[:-3]}fe")
    return (word[:-1], word[:-2]) if word.endswith("es") else (word[:-1],)


def number_of(word: str) -> int | None:
    """The number that a word says: "two", "a", "3"; None where it says none or one of more than two digits."""
    return int(word) if word.isascii() and word.isdigit() and len(word) < 3 else _NUMBERS.get(word)
