"""All candidates scored in one call (Appendix D.1), and what every judge that is a chat model shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool

from anyprefer.core.errors import ModelError
from anyprefer.core.game_state import GameState
from anyprefer.core.records import Judgment, Selection
from anyprefer.core.roles import Judge
from anyprefer.core.settings import Settings
from anyprefer.core.values import derive_seed
from anyprefer.models import model_name, traits_of
from anyprefer.models.ask import ask
from anyprefer.models.messages import system, user
from anyprefer.models.servers.openai_chat import refuses
from anyprefer.nodes import prompt_texts
from anyprefer.nodes.aggregate import consolidate
from anyprefer.nodes.parsing import read_scores
from anyprefer.nodes.prompt_texts import Fence
from anyprefer.nodes.select_tools import choose_tools


class ModelJudge(Judge):
    """A LangChain chat model as π_j; p_j is its system prompt. Subclasses score."""

    def __init__(self, model: BaseChatModel, settings: Settings) -> None:
        self.model = model
        self.settings = settings
        self.name = model_name(model)

    async def select(self, state: GameState, tools: Sequence[BaseTool]) -> list[Selection]:
        """By tool calling or the text protocol; see `select_tools`."""
        return await choose_tools(self.model, state, tools, self.settings)

    async def aggregate(self, state: GameState) -> str:
        """Appendix D.1's consolidation; see `aggregate`."""
        return await consolidate(self.model, state, self.settings)

    def fence(self, state: GameState) -> Fence:
        """The marks of this round's questions to the judge; all of them have the same, so that they begin alike."""
        shown = [state["task"].text, state["context"], *(candidate.text for candidate in state["candidates"])]
        return Fence(self.seed(state, "fence"), shown)

    def seed(self, state: GameState, *parts: object) -> int:
        """The seed of one question to the judge in this round."""
        return derive_seed(self.settings.seed, state["task"].id, len(state["rounds"]), "judge", *parts)


class ChatJudge(ModelJudge):
    """Listwise: one text scores all candidates."""

    async def score(self, state: GameState) -> list[Judgment]:
        """The mean over `judge_passes` listwise passes, 1..10 per candidate, with its spread."""
        count, passes = len(state["candidates"]), self.settings.judge_passes
        rounds = [await self._pass(state, number, shift=number * count // passes) for number in range(passes)]
        return [averaged(index, [one[index] for one in rounds]) for index in range(count)]

    async def _pass(self, state: GameState, number: int, shift: int) -> dict[int, tuple[float, str]]:
        """One listwise pass; place p shows candidate (p + shift) mod count. Keyed by candidate index."""
        task, candidates = state["task"], state["candidates"]
        count = len(candidates)
        order = [(place + shift) % count for place in range(count)]
        fence = self.fence(state)
        body = prompt_texts.fill(
            prompt_texts.text("judge"),
            examples=self.settings.examples,
            notice=fence.notice,
            context=fence.around("Context:\n", state["context"]),
            query=fence.around("Query: ", task.text),
            answers=fence.numbered(candidates[index].text for index in order),
            count=str(count),
            mark=fence.verdict,
        )
        messages = [system(state["prompts"].judge), user(body, task.images)]
        scored = await self._ask(messages, count, fence, self.seed(state, number))
        return {order[place]: one for place, one in enumerate(scored)}

    async def _ask(self, messages: Sequence[Any], count: int, fence: Fence, seed: int) -> list[tuple[float, str]]:
        sampling: dict[str, Any] = {"temperature": 0.0, "max_tokens": self.settings.judge_max_new_tokens}

        async def attempt(**extra: Any) -> list[tuple[float, str]]:
            return await ask(
                self.model,
                messages,
                "judge",
                parse=lambda answer: read_scores(answer, count, fence),
                reasks=self.settings.reasks,
                seed=seed,
                **sampling,
                **extra,
            )

        if traits_of(self.model).shapes:
            try:
                return await attempt(binding={"response_format": scores_schema(count)})
            except ModelError as error:
                if not refuses(self.model, error):
                    raise
        return await attempt()


def averaged(index: int, passes: Sequence[tuple[float, str]]) -> Judgment:
    """The candidate's mean score over its passes (score, analysis), with the spread."""
    scores = [score for score, _ in passes]
    analysis = "\n---\n".join(text for _, text in passes if text)
    mean, spread = sum(scores) / len(scores), max(scores) - min(scores)
    return Judgment(candidate=index, score=round(mean, 6), spread=spread, analysis=analysis)


def scores_schema(count: int) -> dict[str, Any]:
    """OpenAI's `response_format` for `count` answers, the analysis before the score."""
    one = {
        "type": "object",
        "properties": {
            "answer": {"type": "integer", "minimum": 1, "maximum": count},
            "analysis": {"type": "string"},
            "score": {"type": "integer", "minimum": 1, "maximum": 10},
        },
        "required": ["answer", "analysis", "score"],
        "additionalProperties": False,
    }
    schema = {
        "type": "object",
        "properties": {"answers": {"type": "array", "items": one}},
        "required": ["answers"],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "scores", "strict": True, "schema": schema}}


def parse_scores(text: str, count: int) -> list[tuple[float, str]]:
    """(score, analysis) for answers 1..count; see `read_scores`."""
    return read_scores(text, count)
