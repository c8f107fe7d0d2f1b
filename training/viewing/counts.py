"""What a report counts in a run's rows, in one pass and without keeping them."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from anyprefer.core.records import PreferencePair, Round, Row
from anyprefer.core.task import Task
from anyprefer.graph.runs.reasons import Reasons
from anyprefer.training.viewing.biases import Biases
from anyprefer.training.viewing.tool_counts import ToolCounts

STAGES = ("tasks", "answered", "judged", "pair formed", "accepted")
"""How far a task came, in any of its rounds."""
_NAMED = ("source", "dataset", "data_source")
_NUMBERS = re.compile(r"(?:[-_:./#]?\d+)+$")
_LONGEST = 60


@dataclass
class Counts:
    """Filled with `add`."""

    stages: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[tuple[int, str]] = field(default_factory=Counter)
    """Rows by iteration and outcome."""
    reasons: Reasons = field(default_factory=Reasons)
    """Why rows were not accepted, by outcome."""
    round_reasons: Reasons = field(default_factory=Reasons)
    """Why a round was not the last, or came to nothing, by round."""
    rounds: Counter[tuple[int, str]] = field(default_factory=Counter)
    """(round, `played` or `accepted`)."""
    sources: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(source, `tasks` or `accepted`)."""
    rewards: list[tuple[float, bool]] = field(default_factory=list)
    """R of every pair that was rated, in any round, and whether it was accepted."""
    scores: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Judge scores of `chosen`, `rejected` and `other` candidates, in rounds with a pair."""
    tokens: list[tuple[int, bool]] = field(default_factory=list)
    """Tokens of a task, in and out, and whether it was accepted."""
    updates: Counter[tuple[str, bool]] = field(default_factory=Counter)
    """Rewrites of a prompt that TextGrad was asked for, by name and whether they changed it."""
    gains: list[float] = field(default_factory=list)
    """R after a rewrite minus R before it, where both rounds have a pair."""
    tools: ToolCounts = field(default_factory=ToolCounts)
    biases: Biases = field(default_factory=Biases)

    def add(self, row: Row, part: int) -> None:
        """Counts a row of an iteration."""
        accepted = row.outcome == "accepted"
        self.outcomes[part, row.outcome] += 1
        self._stages(row)
        if not accepted:
            self.reasons.add(row.outcome, row.reason)
        source = source_of(row.task)
        self.sources.update({(source, "tasks"): 1, (source, "accepted"): int(accepted)})
        used = sum(one.input_tokens + one.output_tokens for one in row.usage.values())
        if used:
            self.tokens.append((used, accepted))
        for played in row.rounds:
            self._round(played, accepted and played is row.rounds[-1])
        self._rewrites(row)

    def _stages(self, row: Row) -> None:
        came = {
            "tasks": True,
            "answered": any(played.candidates for played in row.rounds),
            "judged": any(played.judgments for played in row.rounds),
            "pair formed": any(played.pair for played in row.rounds),
            "accepted": row.outcome == "accepted",
        }
        self.stages.update(stage for stage, reached in came.items() if reached)

    def _round(self, played: Round, accepted: bool) -> None:
        self.rounds.update({(played.number, "played"): 1, (played.number, "accepted"): int(accepted)})
        self.tools.add(played)
        if played.reward:
            self.rewards.append((played.reward.score, accepted))
        if not accepted:
            self.round_reasons.add(f"round {played.number}", why_not(played))
        if played.pair:
            self._scores(played, played.pair)
            self.biases.add(played, played.pair)

    def _scores(self, played: Round, pair: PreferencePair) -> None:
        places = {pair.chosen_index: "chosen", pair.rejected_index: "rejected"}
        for judgment in played.judgments:
            self.scores[places.get(judgment.candidate, "other")].append(judgment.score)

    def _rewrites(self, row: Row) -> None:
        for played, after in zip(row.rounds, row.rounds[1:], strict=False):
            self.updates.update((one.prompt, one.changed) for one in played.updates)
            changed = any(one.changed for one in played.updates)
            if changed and played.reward and after.reward:
                self.gains.append(after.reward.score - played.reward.score)


def why_not(played: Round) -> str:
    """Why a round came to no accepted pair, in a few words that are the same for rounds of the same kind."""
    if played.reward:
        return f"R {played.reward.score:g} below the threshold"
    if played.judgments or played.feedback:
        return played.feedback or "no pair was formed"
    return "the round ended before the judge"


def source_of(task: Task | None) -> str:
    """Where a task comes from: its column `source`, `dataset` or `data_source`, else its id without the numbers at its
    end, so that `sums-0007` is of `sums`."""
    if task is None:
        return ""
    told = next((task.meta[name] for name in _NAMED if isinstance(task.meta.get(name), str)), None)
    return (_NUMBERS.sub("", task.id) if told is None else told)[:_LONGEST]
