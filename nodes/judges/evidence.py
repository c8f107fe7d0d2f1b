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

from anyprefer.core.errors import ModelError
from anyprefer.core.game_state import GameState
from anyprefer.core.records import Judgment, Knowledge
from anyprefer.core.roles import Judge
from anyprefer.nodes.use_tools import all_knowledge


class EvidenceJudge(Judge):
    """Scores by tool verdicts; uses every tool it is given."""

    name = "evidence (rules over tool verdicts, no model)"
    abstains = True
    rated_by = "evidence"

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


offers = EvidenceJudge
