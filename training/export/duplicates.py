"""Pairs that are there twice: exactly, nearly (MinHash, Broder 1997), or in other words (embeddings).

Two pairs are duplicates where prompt, chosen and rejected are each alike, and images and numbers are the same; a prompt
that was played again with other answers is none. Of several the pair of the highest reward stays, then the first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from anyprefer.core.values import stable_hash
from anyprefer.training.export.exported import Dedup, Removed
from anyprefer.training.export.exported_pair import ExportedPair
from anyprefer.training.export.similarity import Numbers, jaccard, numbers, same, shingles

NEAR = 0.6
"""Least Jaccard similarity of each part's shingles."""
MEANING, ANSWER_MEANING = 0.8, 0.8
"""Least cosine of the prompts' vectors, and of each answer's."""
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
    import numpy as np

    if len(parts) < 2:
        return []
    encode = encoder()
    asked = np.asarray(encode([one.pair.asked for one in parts]), dtype=np.float32)
    close = list[tuple[int, int]]()
    for start in range(0, len(parts), _BLOCK):
        alike = asked[start : start + _BLOCK] @ asked.T >= MEANING
        close += [(int(b), int(a) + start) for a, b in zip(*np.nonzero(alike), strict=True) if b < a + start]
    close = [(first, later) for first, later in close if parts[first].may_be(parts[later])]
    rows = sorted({at for two in close for at in two})
    if not rows:
        return []
    answers = [np.asarray(encode([parts[at].texts[n] for at in rows]), dtype=np.float32) for n in (1, 2)]
    place = {at: n for n, at in enumerate(rows)}
    gone, found = set[int](), list[Removed]()
    for first, later in sorted(close, key=lambda two: (two[1], two[0])):
        cosines = [float(part[place[first]] @ part[place[later]]) for part in answers]
        if first not in gone and later not in gone and min(cosines) >= ANSWER_MEANING:
            gone.add(later)
            score = round(min(float(asked[first] @ asked[later]), *cosines), 4)
            found.append(Removed(parts[later].pair, "embedding", parts[first].pair.id, score))
    return found
