"""What every judge that is a chat model shares: it picks tools, consolidates what they found, and is asked fenced questions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool

from anyprefer.core.game_state import GameState
from anyprefer.core.records import Candidate, Judgment, Selection, texts_of
from anyprefer.core.roles import Judge
from anyprefer.core.settings import Settings
from anyprefer.core.values import derive_seed
from anyprefer.models import model_name, traits_of
from anyprefer.nodes.aggregate import consolidate
from anyprefer.nodes.prompt_texts import Fence
from anyprefer.nodes.select_tools import choose_tools
from anyprefer.nodes.use_tools import found_images


class ModelJudge(Judge):
    """A LangChain chat model as π_j; p_j is its system prompt. Subclasses score."""

    rated_by = "model"
    rewritten_by = "textgrad"

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

    async def found(self, state: GameState, candidate: Candidate | None = None) -> list[tuple[str, str]]:
        """The images that tools found on the task and on the candidate (None: on all), and the task's picture with the
        regions that they found; none for a model that does not see."""
        about = [k for k in state["candidate_knowledge"] if candidate is None or k.candidate == candidate.index]
        found = [*state["task_knowledge"], *about]
        pictures = state["task"].images or any(one.images for one in found)
        if not pictures or not traits_of(self.model).sees:
            return []
        return await asyncio.to_thread(found_images, state["task"], found)

    def fence(self, state: GameState) -> Fence:
        """The marks of this round's questions to the judge; all of them have the same, so that they begin alike."""
        shown = [state["task"].text, state["context"], *texts_of(state["candidates"])]
        return Fence(self.seed(state, "fence"), shown)

    def seed(self, state: GameState, *parts: object) -> int:
        """The seed of one question to the judge in this round."""
        return derive_seed(self.settings.seed, state["task"].id, len(state["rounds"]), "judge", *parts)


def averaged(index: int, passes: Sequence[tuple[float, str]]) -> Judgment:
    """The candidate's mean score over its passes (score, analysis), with the spread."""
    scores = [score for score, _ in passes]
    analysis = "\n---\n".join(text for _, text in passes if text)
    mean, spread = sum(scores) / len(scores), max(scores) - min(scores)
    return Judgment(candidate=index, score=round(mean, 6), spread=spread, analysis=analysis)
