"""Which of COCO's 80 objects a caption names, as CHAIR counts them (Rohrbach et al. 2018, LisaAnne/Hallucination).

The lists of synonyms and double words are CHAIR's own. Words are made singular by rules instead of pattern or NLTK with
its downloads, so a plural that they do not know differs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from anyprefer.core.word_forms import singulars

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_ANIMALS = ["bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "animal", "cub"]
_DOUBLE = (
    "motor bike", "motor cycle", "air plane", "traffic light", "street light", "traffic signal", "stop light",
    "fire hydrant", "stop sign", "parking meter", "suit case", "sports ball", "baseball bat", "baseball glove",
    "tennis racket", "wine glass", "hot dog", "cell phone", "mobile phone", "teddy bear", "hair drier", "potted plant",
    "laptop computer", "home plate", "train track",
)  # fmt: skip
JOINED = {
    **{both: both for both in _DOUBLE},
    # "baby bird" names no person
    **{f"{age} {animal}": animal for age in ("baby", "adult") for animal in _ANIMALS},
    "passenger jet": "jet",
    "passenger train": "train",
    "bow tie": "tie",
    "toilet seat": "toilet",
}
"""Two words that are read as one, and as which. "home plate" and "train track" so name nothing."""


def named(caption: str) -> list[str]:
    """The objects a caption names, in order, as often as it names them."""
    words = _joined([_singular(word) for word in _WORD.findall(caption.lower())])
    if "toilet" in words:
        words = [word for word in words if word != "seat"]  # "the seat of the toilet" is no chair
    return [objects()[word] for word in words if word in objects()]


def gold(objects_there: Iterable[str], captions: Iterable[str] = ()) -> set[str]:
    """What may be named of an image: its segmented objects and what its people's captions name."""
    known = {objects().get(name.lower().strip(), name.lower().strip()) for name in objects_there}
    return known | {name for caption in captions for name in named(caption)}


@cache
def objects() -> dict[str, str]:
    """The object that each word or pair of words means."""
    lines = Path(__file__).with_name("coco_objects.txt").read_text(encoding="utf-8").split("\n")
    rows = [[word.strip().lower() for word in line.split(",")] for line in lines if line.strip()]
    return {word: row[0] for row in rows for word in row}


def _singular(word: str) -> str:
    forms = [form for form in (*singulars(word), word.removesuffix("s")) if _known(form)]
    return word if _known(word) or not forms else forms[0]


@cache
def _known(word: str) -> bool:
    return word in objects() or any(word in both.split() for both in JOINED)


def _joined(words: list[str]) -> list[str]:
    found, at = list[str](), 0
    while at < len(words):
        both = JOINED.get(" ".join(words[at : at + 2]))
        found.append(both or words[at])
        at += 2 if both else 1
    return found
