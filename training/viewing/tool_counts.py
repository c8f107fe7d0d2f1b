"""How tools were used, and how often what they found decided which answer is the better one."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from anyprefer.core.records import Round

MOST_SECONDS = 200_000
"""Latencies that are kept of one tool, the first ones."""


@dataclass
class ToolCounts:
    """By tool, over all rounds."""

    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """`uses`, `failures`, `verdicts`; and of rounds with a pair `agreed` and `against` (its verdicts on the two differ, and
    the judge's order is theirs or the other), `equal`, `alone` (no other tool's verdicts differ)."""
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Latencies of uses that did not fail."""

    def add(self, played: Round) -> None:
        """Counts a round."""
        for one in played.knowledge:
            self.counts[one.tool].update(uses=1, failures=one.error is not None, verdicts=one.verdict is not None)
            if one.error is None and len(self.seconds[one.tool]) < MOST_SECONDS:
                self.seconds[one.tool].append(one.seconds)
        sides = preferences(played)
        took_one = [tool for tool, difference in sides.items() if difference]
        for tool, difference in sides.items():
            word = "agreed" if difference > 0 else "against" if difference < 0 else "equal"
            self.counts[tool].update({word: 1, "alone": int(took_one == [tool])})


def preferences(played: Round) -> dict[str, float]:
    """By tool with verdicts on both answers of the pair: that on the chosen one minus that on the rejected one, -1..1;
    the mean where it was used several times."""
    if played.pair is None:
        return {}
    found: dict[str, dict[int | None, list[float]]] = defaultdict(lambda: defaultdict(list))
    for one in played.knowledge:
        if one.verdict is not None and one.candidate is not None:
            found[one.tool][one.candidate].append(one.verdict)
    two = (played.pair.chosen_index, played.pair.rejected_index)
    means = {tool: [sum(by[at]) / len(by[at]) for at in two if by.get(at)] for tool, by in found.items()}
    return {tool: values[0] - values[1] for tool, values in means.items() if len(values) == 2}
