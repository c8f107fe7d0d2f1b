"""One candidate a call, scored in words."""

from __future__ import annotations

from langchain_core.messages import AIMessage

from anyprefer.core.game_state import GameState
from anyprefer.core.records import Candidate, Judgment
from anyprefer.models.answer import read_answer
from anyprefer.models.ask import all_done, ask
from anyprefer.models.messages import asked
from anyprefer.nodes import prompt_texts
from anyprefer.nodes.judges.model import ModelJudge, averaged
from anyprefer.nodes.prompt_texts import Fence
from anyprefer.nodes.scores.parsing import read_score, told

TEMPERATURE = 0.7
"""Of judgments that are drawn several times: they differ, and can still be read."""


class PointwiseJudge(ModelJudge):
    """One text scores one candidate; passes differ by their seed and are sampled when there are several."""

    prompt = prompt_texts.text("judges/pointwise")

    async def score(self, state: GameState) -> list[Judgment]:
        """The mean over `judge_passes` texts, 1..10 per candidate, with its spread."""
        return await all_done([self._one(state, candidate) for candidate in state["candidates"]])

    async def _one(self, state: GameState, candidate: Candidate) -> Judgment:
        passes = range(self.settings.judge_passes)
        return averaged(candidate.index, await all_done([self._pass(state, candidate, number) for number in passes]))

    def _question(self, state: GameState, candidate: Candidate) -> str:
        """What the judge is asked about the candidate."""
        fence = self.fence(state)
        return fence.fill(
            self.prompt,
            {
                "context": ("Context:\n", state["context"]),
                "query": ("Query: ", state["task"].text),
                "answer": (f"Answer {candidate.index + 1}:\n", candidate.text),
            },
            examples=self.settings.examples,
        )

    async def _pass(self, state: GameState, candidate: Candidate, number: int) -> tuple[float, str]:
        images, found = state["task"].images, await self.found(state, candidate)
        return await ask(
            self.model,
            asked(state["prompts"].judge, self._question(state, candidate), images, found),
            "judge",
            parse=lambda answer: parse_score(answer, self.fence(state)),
            seed=self.seed(state, candidate.index, number),
            temperature=TEMPERATURE if self.settings.judge_passes > 1 else 0.0,
            max_tokens=self.settings.judge_max_new_tokens,
        )


def parse_score(message: AIMessage, fence: Fence | None = None) -> tuple[float, str]:
    """The score, and the whole answer as analysis. Raises `AnswerError` where there is no clear one in 1..10."""
    answer = read_answer(message)
    return read_score(answer, fence), told(answer, fence)


offers = PointwiseJudge
