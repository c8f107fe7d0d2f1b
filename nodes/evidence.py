"""A judge and a reward without any model: documented, deterministic rules over tool verdicts.

They make the game playable with no key and no network. They are not LLM judges and every row says so.

- Score of a candidate: 1 + 9·v, where v in 0..1 is the weighted mean Σ w·verdict / Σ w over the
  tools that took a side on it.
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

    async def aggregate(self, state: GameState) -> str:
        """The findings as they are; no model consolidates them."""
        return all_knowledge(state)

    async def score(self, state: GameState) -> list[Judgment]:
        """1..10 per candidate. Raises `ModelError` when no tool took a side on one: unscored is not zero."""
        judgments = []
        for candidate in state["candidates"]:
            about = [k for k in state["candidate_knowledge"] if k.candidate == candidate.index]
            judgments.append(_judge(candidate.index, about))
        return judgments


def _judge(index: int, about: Sequence[Knowledge]) -> Judgment:
    sided = [(item, item.verdict) for item in about if item.verdict is not None]
    if not sided:
        errors = "; ".join(f"{item.tool}: {item.error}" for item in about if item.error)
        raise ModelError(
            f"no tool took a side on candidate {index + 1}, so the evidence judge cannot score it"
            f"{f' ({errors})' if errors else ''}; choose tools that look at candidates and fit the task"
        )
    value = sum(item.weight * verdict for item, verdict in sided) / sum(item.weight for item, _ in sided)
    reasons = ", ".join(f"{item.tool} {verdict:.2f}" for item, verdict in sided)
    return Judgment(candidate=index, score=round(1 + 9 * value, 6), analysis=f"Verdicts: {reasons}.")


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
