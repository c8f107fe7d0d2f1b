"""What is counted over the rows of the exported runs, for the card."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from anyprefer.core.records import Row, Usage
from anyprefer.graph.runs.reasons import Reasons

LONGEST_PROMPT = 4000
"""Characters of a prompt that the card shows."""


@dataclass
class Tally:
    """Filled row by row with `add`."""

    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Reasons = field(default_factory=Reasons)
    by_round: Counter[int] = field(default_factory=Counter)
    """Accepted tasks by the round their pair was formed in."""
    models: dict[str, Counter[str]] = field(default_factory=dict)
    """Who played, by role."""
    usage: dict[str, Usage] = field(default_factory=dict)
    """Model calls by step."""
    judge_prompts: Counter[str] = field(default_factory=Counter)
    """p_j of the last rounds."""
    target_prompts: int = 0
    """Last rounds whose p_t was no longer the task's own question."""
    first: Counter[int] = field(default_factory=Counter)
    """Rounds in which the first shown candidate scored best, by number of candidates."""
    shown: Counter[int] = field(default_factory=Counter)
    """Rounds with scores that differ, by number of candidates."""
    lengths: list[tuple[int, int]] = field(default_factory=list)
    """Of each such round, characters of the best-scored candidate and the mean of the others."""
    ties: int = 0
    """Rounds in which all scores were equal."""

    def add(self, row: Row) -> None:
        """One more task."""
        self.outcomes[row.outcome] += 1
        if row.outcome == "accepted":
            self.by_round[len(row.rounds)] += 1
        else:
            self.reasons.add(row.outcome, row.reason)
        for role, name in row.models.items():
            self.models.setdefault(role, Counter())[name] += 1
        for step, used in row.usage.items():
            self.usage[step] = self.usage.get(step, Usage()) + used
        if row.rounds:
            self._add_prompts(row)
        for played in row.rounds:
            self._add_scores({one.candidate: one.score for one in played.judgments}, played.candidates)

    def _add_prompts(self, row: Row) -> None:
        prompts = row.rounds[-1].prompts
        self.judge_prompts[prompts.judge[:LONGEST_PROMPT]] += 1
        self.target_prompts += row.task is not None and not prompts.shared and prompts.target != row.task.question

    def _add_scores(self, scores: dict[int, float], candidates: Any) -> None:
        judged = [one for one in candidates if math.isfinite(scores.get(one.index, math.nan))]
        if len(judged) < 2:
            return
        best = max(scores[one.index] for one in judged)
        winners = [one for one in judged if scores[one.index] == best]
        if len(winners) == len(judged):
            self.ties += 1
        elif len(winners) == 1:
            self.shown[len(judged)] += 1
            self.first[len(judged)] += winners[0] is judged[0]
            others = [len(one.text) for one in judged if one is not winners[0]]
            self.lengths.append((len(winners[0].text), round(sum(others) / len(others))))

    @property
    def total(self) -> Usage:
        """All model calls."""
        return sum(self.usage.values(), Usage())
