"""The expected score over the digits a model would answer with, one candidate at a time."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool

from anyprefer.core.errors import SettingsError
from anyprefer.core.game_state import GameState
from anyprefer.core.records import Candidate, Judgment, Selection
from anyprefer.core.roles import Judge
from anyprefer.core.settings import Settings
from anyprefer.models.ask import all_done
from anyprefer.models.messages import asked
from anyprefer.models.option_probabilities import DIGITS, expected_score, option_probabilities, read_from
from anyprefer.nodes import prompt_texts
from anyprefer.nodes.judges.model import ModelJudge
from anyprefer.nodes.use_tools import all_knowledge, knowledge_lines


class ExpectedJudge(ModelJudge):
    """Writes nothing: all tools are used, findings are joined as they are, scores are read from probabilities."""

    policy = prompt_texts.text("judges/expected_policy")
    rated_by = "expected"
    rewritten_by = "none"

    def __init__(self, model: BaseChatModel, settings: Settings) -> None:
        """Raises `SettingsError` for several passes: they would all say the same."""
        super().__init__(model, settings)
        if settings.judge_passes > 1:
            raise SettingsError(
                f"judge_passes is {settings.judge_passes}, but an expected judge scores the same each time; leave it at 1"
            )

    async def select(self, state: GameState, tools: Sequence[BaseTool]) -> list[Selection]:
        """All of them."""
        return await Judge.select(self, state, tools)

    async def aggregate(self, state: GameState) -> str:
        """The findings as they are."""
        return all_knowledge(state)

    async def score(self, state: GameState) -> list[Judgment]:
        """1..10 per candidate: 1 + 9·(E - 1)/8, where E in 1..9 is the expected digit."""
        return await all_done([self._one(state, candidate) for candidate in state["candidates"]])

    async def _one(self, state: GameState, candidate: Candidate) -> Judgment:
        task = state["task"]
        found = [k for k in state["candidate_knowledge"] if k.candidate == candidate.index]
        about = [*state["task_knowledge"], *(k.model_copy(update={"candidate": None}) for k in found)]
        fence = self.fence(state)
        body = fence.fill(
            prompt_texts.text("judges/expected"),
            {
                "context": ("Context:\n", knowledge_lines(about)),
                "query": ("Query: ", task.text),
                "answer": ("Answer:\n", candidate.text),
            },
            examples=self.settings.examples,
        )
        messages = asked(state["prompts"].judge, body, task.images, await self.found(state, candidate))
        shares = await option_probabilities(self.model, messages, DIGITS, "judge", self.seed(state, candidate.index))
        return Judgment(candidate=candidate.index, score=expected_score(shares), analysis=read_from(shares))


offers = ExpectedJudge
