"""The judge consolidates the knowledge with the previous round's score (§2.2, Appendix D.1)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from langchain_core.language_models import BaseChatModel

from anyprefer.core.game_state import GameState
from anyprefer.core.records import texts_of
from anyprefer.core.roles import Judge
from anyprefer.core.settings import Settings
from anyprefer.core.values import derive_seed
from anyprefer.models.answer import read_answer
from anyprefer.models.ask import call
from anyprefer.models.messages import asked
from anyprefer.nodes import prompt_texts
from anyprefer.nodes.use_tools import all_knowledge


def aggregate(judge: Judge) -> Callable[[GameState], Awaitable[GameState]]:
    """The node. Without any finding there is nothing to consolidate and the context is empty."""

    async def run(state: GameState) -> GameState:
        found = [*state["task_knowledge"], *state["candidate_knowledge"]]
        return {"context": await judge.aggregate(state) if found else ""}

    return run


async def consolidate(model: BaseChatModel, state: GameState, settings: Settings) -> str:
    """Asks a chat model; its answer is the context the candidates are judged with."""
    task, query = state["task"], state["task"].text
    known, previous = all_knowledge(state), _previous(state)
    seed = derive_seed(settings.seed, task.id, len(state["rounds"]), "aggregate")
    answers = texts_of(state["candidates"])
    fence = prompt_texts.Fence(seed, [query, known, previous, *answers])
    body = fence.fill(
        prompt_texts.text("aggregate"),
        {
            "knowledge": ("Knowledge base:\n", known),
            "previous": ("", previous),
            "query": ("Query: ", query),
            "answers": answers,
        },
    )
    answer = await call(
        model,
        asked(state["prompts"].judge, body, task.images),
        "aggregate",
        seed=seed,
        temperature=0.0,
        max_tokens=settings.judge_max_new_tokens,
    )
    return read_answer(answer).text


def _previous(state: GameState) -> str:
    if not state["rounds"]:
        return ""
    last = state["rounds"][-1]
    score = f"{last.reward.score:g}/10" if last.reward else "no pair could be formed"
    return f"Score of the previous round: {score}. {last.feedback}"
