"""What people's marks say of the judge and of the reward.

The judge: how often the answer that people called the better one, without knowing which was chosen, is the chosen one;
and Cohen's kappa of the sides, which are drawn by chance, so that always saying "left" comes to 0. The reward: whether R
is higher for pairs that people are satisfied with (AUC, rank correlation), and whether accepting agrees with being
satisfied (kappa). Two people: kappa of their satisfaction on the same pairs, linear weights. What cannot be computed, such
as a kappa of one class, is left out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from anyprefer.core.errors import InputError
from anyprefer.core.marks import Mark
from anyprefer.core.records import Row
from anyprefer.core.results import wilson
from anyprefer.core.values import stable_hash
from anyprefer.training.analysis.quality import SATISFACTIONS
from anyprefer.training.evaluation.statistics import correlate


@dataclass(frozen=True)
class Reviewed:
    """A pair with what one person says of it."""

    by: str
    row: str
    mark: Mark
    reward: float | None
    """R, 1..10."""
    accepted: bool

    @classmethod
    def of(cls, row: Row, by: str, mark: Mark) -> Reviewed:
        """A mark of a row's pair: that of its last round with one."""
        last = row.pair_round
        return cls(by, row.id, mark, last.reward.score if last and last.reward else None, row.outcome == "accepted")


@dataclass(frozen=True)
class Found:
    """One measure, ready to be shown."""

    what: str
    value: float
    n: int
    low: float | None = None
    high: float | None = None
    """95% interval, of shares."""

    @property
    def words(self) -> str:
        """`71.4% [35.9%, 91.8%], n = 7`."""
        if self.low is None or self.high is None:
            return f"{self.value:.2f}, n = {self.n}"
        return f"{self.value:.1%} [{self.low:.1%}, {self.high:.1%}], n = {self.n}"


def left_is_chosen(row: str) -> bool:
    """Which answer a reviewer sees on the left, by chance, the same for everybody."""
    return int(stable_hash(["side", row])[:8], 16) % 2 == 0


def measured(pairs: Sequence[Reviewed]) -> list[Found]:
    """All that the marks give."""
    return [*_judge(pairs), *_satisfaction(pairs), *_reward(pairs), *_people(pairs)]


def _judge(pairs: Sequence[Reviewed]) -> Iterator[Found]:
    told = [one for one in pairs if one.mark.better in ("chosen", "rejected")]
    if not told:
        return
    agreed = sum(one.mark.better == "chosen" for one in told)
    yield Found("judge: people prefer the chosen answer", agreed / len(told), len(told), *wilson(agreed, len(told)))
    judge = [left_is_chosen(one.row) for one in told]
    people = [side if one.mark.better == "chosen" else not side for one, side in zip(told, judge, strict=True)]
    yield from _kappa("judge: kappa with people", [str(one) for one in judge], [str(one) for one in people])
    undecided = sum(one.mark.better == "neither" for one in pairs)
    every = undecided + len(told)
    yield Found("neither answer is better", undecided / every, every, *wilson(undecided, every))


def _satisfaction(pairs: Sequence[Reviewed]) -> Iterator[Found]:
    counts = Counter(one.mark.satisfaction for one in pairs if one.mark.satisfaction)
    for level in SATISFACTIONS:
        if n := counts.total():
            yield Found(level, counts[level] / n, n, *wilson(counts[level], n))


def _reward(pairs: Sequence[Reviewed]) -> Iterator[Found]:
    told = [(one, one.reward) for one in pairs if one.mark.satisfaction and one.reward is not None]
    good = [one.mark.satisfaction == "satisfied" for one, _ in told]
    scores = [reward for _, reward in told]
    if len(set(good)) == 2:
        from sklearn.metrics import roc_auc_score

        yield Found("R: AUC for satisfied", float(roc_auc_score(good, scores)), len(told))
    yield from _rank(scores, [-SATISFACTIONS.index(one.mark.satisfaction) for one, _ in told if one.mark.satisfaction])
    yield from _kappa(
        "R: kappa of accepted with satisfied", [str(one.accepted) for one, _ in told], list(map(str, good))
    )


def _rank(scores: Sequence[float], levels: Sequence[float]) -> Iterator[Found]:
    try:
        found = correlate(list(scores), list(map(float, levels)))
    except InputError:  # too few
        return
    if found.spearman is not None:
        yield Found("R: Spearman with satisfaction", found.spearman, len(scores))


def _people(pairs: Sequence[Reviewed]) -> Iterator[Found]:
    said: dict[str, dict[str, str]] = {}
    for one in pairs:
        if one.mark.satisfaction:
            said.setdefault(one.by, {})[one.row] = one.mark.satisfaction
    for first, other in combinations(sorted(said), 2):
        both = sorted(said[first].keys() & said[other].keys())
        yield from _kappa(
            f"{first} and {other}: kappa of satisfaction", *_ranks(said, first, other, both), weights="linear"
        )


def _ranks(
    said: Mapping[str, Mapping[str, str]], first: str, other: str, rows: Sequence[str]
) -> tuple[list[str], list[str]]:
    order: dict[str, str] = {level: str(place) for place, level in enumerate(SATISFACTIONS)}
    return [order[said[first][row]] for row in rows], [order[said[other][row]] for row in rows]


def _kappa(what: str, one: list[str], other: list[str], weights: str | None = None) -> Iterator[Found]:
    if len(set(one) | set(other)) < 2:
        return
    from sklearn.metrics import cohen_kappa_score

    value = float(cohen_kappa_score(one, other, weights=weights))
    if not math.isnan(value):
        yield Found(what, value, len(one))
