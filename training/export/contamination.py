"""Pairs that hold a question of a benchmark: word for word (n-grams), or in other words (embeddings).

| how | a pair is contaminated when |
|---|---|
| n-gram | prompt, chosen or rejected holds half of a question's 8-grams (of 5 to 7 words: the whole question) |
| embedding | the prompt, or a run of its sentences, is close to a question, and the prompt has all numbers of it |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from anyprefer.core.errors import InputError
from anyprefer.training.export.duplicates import Encoder
from anyprefer.training.export.exported import Removed
from anyprefer.training.export.exported_pair import ExportedPair
from anyprefer.training.export.similarity import grams, numbers, windows, words
from anyprefer.training.pair_data.preference_rows import columns_of, preference_file, prompt_of

HELD = 0.5
"""Share of a question's n-grams from which on a text holds it."""
MEANING = 0.8
"""Least cosine of a question's vector and a run of sentences."""
_BLOCK = 2048


@dataclass(frozen=True)
class Question:
    """One of a benchmark's."""

    where: str
    """File and line."""
    text: str


def questions(files: Sequence[Path]) -> list[Question]:
    """The questions of benchmark files: any form of prompt that preference rows may have. Raises `InputError` for a row
    without one."""
    return [question for file in files for question in _in(file)]


def _in(file: Path) -> Iterator[Question]:
    for where, row in preference_file(file):
        try:
            asked = prompt_of(columns_of(where, row))
        except ValueError as error:
            raise InputError(f"{where}: {error}") from error
        text = "\n".join(message["content"] for message in asked if message["role"] == "user")
        if not text.strip():
            raise InputError(f"{where}: there is no question; a benchmark's row needs a column such as question")
        yield Question(_short(where), text)


def _short(where: str) -> str:
    """Where a row stands, without the folders before the file."""
    return where.rpartition("/")[2]


def contaminated(
    pairs: Sequence[ExportedPair], asked: Sequence[Question], encoder: Callable[[], Encoder] | None
) -> list[Removed]:
    """Those to be removed; without an encoder by n-grams alone."""
    found = _by_grams(pairs, asked)
    if encoder is None:
        return found
    gone = {one.pair.id for one in found}
    return found + _by_meaning([one for one in pairs if one.id not in gone], asked, encoder())


def _by_grams(pairs: Sequence[ExportedPair], asked: Sequence[Question]) -> list[Removed]:
    of_gram: dict[str, list[int]] = {}
    sizes = []
    for at, question in enumerate(asked):
        told = set(grams(question.text))
        sizes.append(len(told))
        for gram in told:
            of_gram.setdefault(gram, []).append(at)
    short = {len(gram.split()) for gram in of_gram}
    found = []
    for pair in pairs:
        share, at = max((_held(text, of_gram, sizes, short) for text in _texts(pair)), default=(0.0, -1))
        if share >= HELD:
            found.append(Removed(pair, "n-gram", asked[at].where, round(share, 4)))
    return found


def _texts(pair: ExportedPair) -> list[str]:
    return [pair.asked, pair.chosen, pair.rejected]


def _held(text: str, of_gram: dict[str, list[int]], sizes: Sequence[int], lengths: set[int]) -> tuple[float, int]:
    """The question whose n-grams the text holds the greatest share of."""
    spoken, hits = words(text), Counter[int]()
    for length in lengths:
        for gram in {" ".join(spoken[at : at + length]) for at in range(len(spoken) - length + 1)}:
            hits.update(of_gram.get(gram, ()))
    return max(((count / sizes[at], at) for at, count in hits.items()), default=(0.0, -1))


def _by_meaning(pairs: Sequence[ExportedPair], asked: Sequence[Question], encode: Encoder) -> list[Removed]:
    import numpy as np

    if not pairs or not asked:
        return []
    known = np.asarray(encode([one.text for one in asked]), dtype=np.float32)
    needed = [numbers(one.text) for one in asked]
    runs = [(at, run) for at, pair in enumerate(pairs) for run in windows(_users(pair))]
    best: dict[int, tuple[float, int]] = {}
    for start in range(0, len(runs), _BLOCK):
        some = runs[start : start + _BLOCK]
        alike = np.asarray(encode([run for _, run in some]), dtype=np.float32) @ known.T
        for row, question in zip(*np.nonzero(alike >= MEANING), strict=True):
            at, score = some[row][0], float(alike[row, question])
            if needed[question].within(numbers(pairs[at].asked)) and score > best.get(at, (0.0, -1))[0]:
                best[at] = (score, int(question))
    return [
        Removed(pairs[at], "benchmark embedding", asked[question].where, round(score, 4))
        for at, (score, question) in best.items()
    ]


def _users(pair: ExportedPair) -> str:
    return "\n".join(message["content"] for message in pair.prompt if message["role"] == "user")
