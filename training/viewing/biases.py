"""What else than quality may have decided: an answer's length and its place among the candidates."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from anyprefer.core.records import PreferencePair, Round
from anyprefer.core.results import wilson

MOST_POINTS = 2_000
"""Pairs of the scatter plot: the first ones."""


@dataclass
class Biases:
    """Of rounds with a pair."""

    lengths: list[tuple[int, int]] = field(default_factory=list)
    """Characters of chosen and rejected, of pairs of texts."""
    chosen_at: Counter[tuple[int, int]] = field(default_factory=Counter)
    """(how many candidates were judged, the place of the best one from 1), where the judge had a single best."""

    def add(self, played: Round, pair: PreferencePair) -> None:
        """Counts a round."""
        if isinstance(pair.chosen, str) and isinstance(pair.rejected, str):
            self.lengths.append((len(pair.chosen), len(pair.rejected)))
        scores = {one.candidate: one.score for one in played.judgments}
        best = [place for place, score in scores.items() if score == max(scores.values())]
        if len(scores) > 1 and len(best) == 1:
            self.chosen_at[len(scores), best[0] + 1] += 1

    def longer(self) -> tuple[int, int]:
        """(pairs whose chosen answer is the longer one, pairs of answers that are not equally long)."""
        differ = [(chosen, rejected) for chosen, rejected in self.lengths if chosen != rejected]
        return sum(chosen > rejected for chosen, rejected in differ), len(differ)

    def places(self) -> list[tuple[int, int, float, float, float]]:
        """Of the most frequent number of candidates: (place, times it was best, share, low, high), Wilson's 95% interval."""
        if not self.chosen_at:
            return []
        sizes: Counter[int] = Counter()
        for (size, _), times in self.chosen_at.items():
            sizes[size] += times
        [(most, n)] = sizes.most_common(1)
        chosen = [self.chosen_at[most, place] for place in range(1, most + 1)]
        return [(place, k, k / n, *wilson(k, n)) for place, k in enumerate(chosen, 1)]
