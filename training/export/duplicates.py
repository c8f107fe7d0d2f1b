"""Pairs that are there twice: exactly, nearly (MinHash, Broder 1997), or in other words (embeddings).

Two pairs are duplicates where prompt, chosen and rejected are each alike, and images and numbers are the same; a prompt
that was played again with other answers is none. Of several the pair of the highest reward stays, then the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from anyprefer.core.values import stable_hash
from anyprefer.training.export.exported import Dedup, Removed
from anyprefer.training.export.exported_pair import ExportedPair
from anyprefer.training.export.similarity import Numbers, jaccard, numbers, same, shingles, words

NEAR = 0.6
"""Least Jaccard similarity of each part's shingles."""
MEANING, ANSWER_MEANING = 0.8, 0.8
"""Least cosine of the prompts' vectors, and of each answer's."""
WITH_ANSWERS, SAME_ANSWER = 0.65, 0.85
"""The same where the answers tell something, so that prompts need not be as close. Letters, single words and numbers do not:
they are the answers to many questions."""
_LSH = 0.6
_PERMUTATIONS = 128
_BLOCK = 1024
Encoder = Callable[[Sequence[str]], Any]


@dataclass(frozen=True)
class _Parts:
    """A pair as it is compared."""

    pair: ExportedPair

    @property
    def texts(self) -> tuple[str, str, str]:
        return self.pair.asked, self.pair.chosen, self.pair.rejected

    @cached_property
    def exact(self) -> str:
        return stable_hash([list(self.pair.images), *map(same, self.texts)])

    @cached_property
    def sets(self) -> list[frozenset[str]]:
        return [shingles(text) for text in self.texts]

    @cached_property
    def numbers(self) -> list[Numbers]:
        return [numbers(text) for text in self.texts]

    @cached_property
    def telling(self) -> bool:
        """Whether both answers are of more than one word."""
        return all(len(words(text)) > 1 for text in self.texts[1:])

    def may_be(self, other: _Parts) -> bool:
        """Whether images and numbers are the same."""
        return self.pair.images == other.pair.images and all(map(Numbers.agree, self.numbers, other.numbers))


def duplicates(pairs: Sequence[ExportedPair], kind: Dedup, encoder: Callable[[], Encoder]) -> list[Removed]:
    """Those to be removed, by each kind up to `kind`; `encoder` is called where embeddings are wanted."""
    left = sorted(pairs, key=lambda one: -(one.reward or 0.0))
    found = list[Removed]()
    for name, step in (("exact", _exact), ("minhash", _near), ("embedding", _same_meaning)):
        if kind == "none":
            break
        found += step([_Parts(one) for one in left], encoder)
        gone = {one.pair.id for one in found}
        left = [one for one in left if one.id not in gone]
        if name == kind:
            break
    return found


def _exact(parts: Sequence[_Parts], encoder: Callable[[], Encoder]) -> list[Removed]:
    first: dict[str, _Parts] = {}
    return [
        Removed(one.pair, "exact", first[one.exact].pair.id, 1.0)
        for one in parts
        if first.setdefault(one.exact, one) is not one
    ]


def _near(parts: Sequence[_Parts], encoder: Callable[[], Encoder]) -> list[Removed]:
    from datasketch import MinHash, MinHashLSH

    index, found = MinHashLSH(threshold=_LSH, num_perm=_PERMUTATIONS), list[Removed]()
    for at, one in enumerate(parts):
        sketch = MinHash(num_perm=_PERMUTATIONS)
        sketch.update_batch([f"{n}{text}".encode() for n, texts in enumerate(one.sets) for text in texts])
        like = [(parts[key], _likeness(one, parts[key])) for key in sorted(index.query(sketch))]
        best = max(like, key=lambda two: two[1], default=None)
        if best and best[1] >= NEAR:
            found.append(Removed(one.pair, "minhash", best[0].pair.id, round(best[1], 4)))
        else:
            index.insert(at, sketch)
    return found


def _likeness(one: _Parts, other: _Parts) -> float:
    """The least similarity of a part; 0 where what must be the same is not."""
    return min(map(jaccard, one.sets, other.sets)) if one.may_be(other) else 0.0


def _same_meaning(parts: Sequence[_Parts], encoder: Callable[[], Encoder]) -> list[Removed]:
    """Prompts are compared first; answers only of pairs whose prompts are alike."""
    if len(parts) < 2:
        return []
    encode = encoder()
    asked = _vectors(encode, [one.pair.asked for one in parts])
    close = sorted(_close(parts, asked), key=lambda two: (two[1], two[0]))
    rows = sorted({at for two in close for at in two})
    place = {at: n for n, at in enumerate(rows)}
    answers = [_vectors(encode, [parts[at].texts[n] for at in rows]) for n in (1, 2)] if rows else []
    gone, found = set[int](), list[Removed]()
    for first, later in close:
        cosines = [float(part[place[first]] @ part[place[later]]) for part in answers]
        prompts = float(asked[first] @ asked[later])
        telling = parts[first].telling and parts[later].telling
        if first not in gone and later not in gone and _means_the_same(prompts, min(cosines), telling):
            gone.add(later)
            found.append(
                Removed(parts[later].pair, "embedding", parts[first].pair.id, round(min(prompts, *cosines), 4))
            )
    return found


def _vectors(encode: Encoder, texts: Sequence[str]) -> Any:
    """Of length 1 (n, d)."""
    import numpy as np

    return np.asarray(encode(texts), dtype=np.float32)


def _close(parts: Sequence[_Parts], asked: Any) -> Iterator[tuple[int, int]]:
    """Pairs that may be duplicates by their prompts, as places in `parts`, the first one first."""
    for start in range(0, len(parts), _BLOCK):
        laters, firsts = (asked[start : start + _BLOCK] @ asked.T >= WITH_ANSWERS).nonzero()
        for later, first in zip((laters + start).tolist(), firsts.tolist(), strict=True):
            if first < later and parts[first].may_be(parts[later]):
                yield first, later


def _means_the_same(prompts: float, answers: float, telling: bool) -> bool:
    """By the cosine of the prompts and the lower one of the answers."""
    if prompts >= MEANING and answers >= ANSWER_MEANING:
        return True
    return telling and prompts >= WITH_ANSWERS and answers >= SAME_ANSWER
