"""A judge and a reward without any model: documented, deterministic rules over tool verdicts.

They make the game playable with no key and no network. They are not LLM judges and every row says so.

- Score of a candidate: 1 + 9·v, where v in 0..1 is the weighted mean Σ w·verdict / Σ w over the
  tools that took a side on it. A candidate on which a tool took none that took one on another
  candidate of the round is not compared: "not 91" has a good form, but nobody knows what it says.
- Reward of a pair: R = 1 + 9 · v⁺ · min(1, (v⁺ - v⁻) / 0.5). The chosen answer must be right
  (criterion 1 of Appendix D.2), the rejected one clearly worse (criterion 2); half the scale apart
  is enough, since the paper asks for a negative that is worse *in some way* only.
"""

from __future__ import annotations

from collections.abc import Sequence

from anyprefer.graph.errors import ModelError
from anyprefer.graph.roles import Judge
from anyprefer.graph.state import GameState, Judgment, Knowledge, PreferencePair, Reward
from anyprefer.nodes.use_tools import all_knowledge

CLEAR_GAP = 0.5
"""Difference of verdicts (of 0..1) from which on a rejected answer counts as clearly worse."""


class EvidenceJudge(Judge):
    """Scores by tool verdicts; uses every tool it is given."""

    name = "evidence (rules over tool verdicts, no model)"
    abstains = True

    async def aggregate(self, state: GameState) -> str:
        """The findings as they are; no model consolidates them."""
        return all_knowledge(state)

    async def score(self, state: GameState) -> list[Judgment]:
        """1..10 per candidate that can be compared: one on which every tool took a side that took any on a candidate
        of the round. The others are left out. Raises `ModelError` when no tool took a side: unscored is not zero."""
        sided = [item for item in state["candidate_knowledge"] if item.verdict is not None]
        if not sided:
            raise ModelError(_unscored(state["candidate_knowledge"]))
        needed = {item.tool for item in sided}
        judgments = []
        for candidate in state["candidates"]:
            about = [item for item in sided if item.candidate == candidate.index]
            if {item.tool for item in about} == needed:
                judgments.append(_judge(candidate.index, about))
        return judgments


def _judge(index: int, about: Sequence[Knowledge]) -> Judgment:
    sided = [(item, item.verdict) for item in about if item.verdict is not None]
    value = sum(item.weight * verdict for item, verdict in sided) / sum(item.weight for item, _ in sided)
    reasons = ", ".join(f"{item.tool} {verdict:.2f}" for item, verdict in sided)
    return Judgment(candidate=index, score=round(1 + 9 * value, 6), analysis=f"Verdicts: {reasons}.")


def _unscored(found: Sequence[Knowledge]) -> str:
    errors = "; ".join(dict.fromkeys(f"{item.tool}: {item.error}" for item in found if item.error))
    return (
        f"no tool took a side on any candidate, so the evidence judge cannot score them{f' ({errors})' if errors else ''}; "
        "it judges sums, facts, choices and answer forms that its tools can check: choose tools that fit the task, or a "
        "model as judge (judge='openai:NAME')"
    )


class EvidenceReward:
    """Rates a pair by its evidence scores; a reference as chosen counts as fully right."""

    name = "evidence (rules over tool verdicts, no model)"

    async def rate(self, state: GameState, pair: PreferencePair) -> Reward:
        """R in 1..10 by the module's formula."""
        chosen = 1.0 if pair.chosen_score is None else (pair.chosen_score - 1) / 9
        rejected = 0.0 if pair.rejected_score is None else (pair.rejected_score - 1) / 9
        gap = min(1.0, max(0.0, chosen - rejected) / CLEAR_GAP)
        score = round(1 + 9 * chosen * gap, 6)
        return Reward(
            score=score,
            analysis=f"Evidence for the positive response {chosen:.2f}, for the negative {rejected:.2f} (of 0..1): "
            f"{'the positive response is not right enough' if chosen < 0.75 else 'the positive response holds'}, "
            f"{'the negative one is not clearly worse' if gap < 1 else 'the negative one is clearly worse'}.",
        )
