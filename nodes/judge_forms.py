"""A chat model's ways to judge one candidate at a time; the listwise one is in `judge.py`.

| `judge_form` | one question is about | the score is |
|---|---|---|
| `listwise` | all candidates, analyses first | written, 1..10 |
| `pointwise` | one candidate, its analysis first | written, 1..10 |
| `expected` | one candidate | the mean of the digits 1..9 under the next token's probabilities |
| `meta` | one candidate, several times | as `expected`, after a written analysis; the judge picks the better one (`meta_judge.py`) |

The paper judges listwise (Appendix D.1). A pointwise judge has no order to be biased by; an expected one
writes nothing, so a small model that cannot hold to a form can still judge, and its scores seldom tie.
"""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool

from anyprefer.graph.errors import SettingsError
from anyprefer.graph.models.answer import read_answer
from anyprefer.graph.roles import Judge
from anyprefer.graph.settings import Settings
from anyprefer.graph.state import Candidate, GameState, Judgment, Selection
from anyprefer.nodes import prompts
from anyprefer.nodes.answers import read_score, told
from anyprefer.nodes.ask import all_done, ask, system, user
from anyprefer.nodes.judge import ModelJudge, averaged
from anyprefer.nodes.probabilities import DIGITS, expected_score, option_probabilities, read_from
from anyprefer.nodes.prompts import Fence
from anyprefer.nodes.use_tools import all_knowledge, knowledge_lines


class PointwiseJudge(ModelJudge):
    """One text scores one candidate; passes differ by their seed and are sampled when there are several."""

    prompt = "pointwise"

    async def score(self, state: GameState) -> list[Judgment]:
        """The mean over `judge_passes` texts, 1..10 per candidate, with its spread."""
        return await all_done(self._one(state, candidate) for candidate in state["candidates"])

    async def _one(self, state: GameState, candidate: Candidate) -> Judgment:
        passes = range(self.settings.judge_passes)
        return averaged(candidate.index, await all_done(self._pass(state, candidate, number) for number in passes))

    def _question(self, state: GameState, candidate: Candidate) -> str:
        """What the judge is asked about the candidate."""
        fence = self.fence(state)
        return prompts.fill(
            prompts.text(self.prompt),
            examples=self.settings.examples,
            notice=fence.notice,
            context=fence.around("Context:\n", state["context"]),
            query=fence.around("Query: ", state["task"].text),
            answer=fence.around(f"Answer {candidate.index + 1}:\n", candidate.text),
            mark=fence.verdict,
        )

    async def _pass(self, state: GameState, candidate: Candidate, number: int) -> tuple[float, str]:
        return await ask(
            self.model,
            [system(state["prompts"].judge), user(self._question(state, candidate), state["task"].images)],
            "judge",
            parse=lambda answer: parse_score(answer, self.fence(state)),
            reasks=self.settings.reasks,
            seed=self.seed(state, candidate.index, number),
            temperature=self.settings.temperature if self.settings.judge_passes > 1 else 0.0,
            max_tokens=self.settings.judge_max_new_tokens,
        )


def parse_score(message: AIMessage, fence: Fence | None = None) -> tuple[float, str]:
    """The score, and the whole answer as analysis. Raises `AnswerError` where there is no clear one in 1..10."""
    answer = read_answer(message)
    return read_score(answer, fence), told(answer, fence)


class ExpectedJudge(ModelJudge):
    """Writes nothing: all tools are used, findings are joined as they are, scores are read from probabilities."""

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
        return await all_done(self._one(state, candidate) for candidate in state["candidates"])

    async def _one(self, state: GameState, candidate: Candidate) -> Judgment:
        task = state["task"]
        found = [k for k in state["candidate_knowledge"] if k.candidate == candidate.index]
        about = [*state["task_knowledge"], *(k.model_copy(update={"candidate": None}) for k in found)]
        fence = self.fence(state)
        body = prompts.fill(
            prompts.text("expected"),
            examples=self.settings.examples,
            notice=fence.notice,
            context=fence.around("Context:\n", knowledge_lines(about)),
            query=fence.around("Query: ", task.text),
            answer=fence.around("Answer:\n", candidate.text),
        )
        messages = [system(state["prompts"].judge), user(body, task.images)]
        shares = await option_probabilities(self.model, messages, DIGITS, "judge", self.seed(state, candidate.index))
        return Judgment(candidate=candidate.index, score=expected_score(shares), analysis=read_from(shares))
