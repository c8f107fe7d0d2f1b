"""Step 6 of Algorithm 1: R(y+, y-) rates the pair as preference-training data (§2.3, Appendix D.2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage

from anyprefer.graph.errors import ModelError
from anyprefer.graph.models import model_name
from anyprefer.graph.models.answer import read_answer
from anyprefer.graph.roles import RewardModel
from anyprefer.graph.settings import Settings
from anyprefer.graph.state import GameState, PreferencePair, Reward, Round, as_text, derive_seed
from anyprefer.nodes import prompts
from anyprefer.nodes.answers import read_score, told
from anyprefer.nodes.ask import ask, system, user
from anyprefer.nodes.probabilities import DIGITS, expected_score, option_probabilities, read_from
from anyprefer.nodes.prompts import Fence

EXPECTED = "expected_reward_policy"


def reward(model: RewardModel, settings: Settings) -> Callable[[GameState], Awaitable[GameState]]:
    """The node. Rates the pair, closes the round and says how the game goes on. Refuses a score outside of 1..10."""

    async def run(state: GameState) -> GameState:
        formed = state["pair"]
        rated = await model.rate(state, formed) if formed else None
        if rated is not None and not 1 <= rated.score <= 10:
            raise ModelError(f"reward {model.name} gave the score {rated.score}, which is not from 1 to 10")
        closed = close_round(state, rated, rated.analysis if rated else state["pair_note"])
        return {
            "reward": rated,
            "rounds": [*state["rounds"], closed],
            "outcome": decide(rated, closed.number, settings.threshold, settings.max_rounds),
        }

    return run


def parse_reward(message: AIMessage, fence: Fence | None = None) -> Reward:
    """The score with the whole answer as analysis. Raises `AnswerError` where there is no clear one in 1..10."""
    answer = read_answer(message)
    return Reward(score=read_score(answer, fence), analysis=told(answer, fence))


def close_round(state: GameState, rated: Reward | None, feedback: str) -> Round:
    """The current round as a record; one that an error ended holds what there was until then."""
    return Round(
        number=len(state["rounds"]) + 1,
        prompts=state["prompts"],
        selected=tuple(state["selected"]),
        candidates=tuple(state["candidates"]),
        knowledge=(*state["task_knowledge"], *state["candidate_knowledge"]),
        context=state["context"],
        judgments=tuple(state["judgments"]),
        pair=state["pair"],
        reward=rated,
        feedback=feedback,
    )


def decide(
    rated: Reward | None, round_number: int, threshold: float, max_rounds: int
) -> Literal["accepted", "rejected", "again"]:
    """R ≥ τ accepts; otherwise the game goes on until the rounds are spent. Pure."""
    if rated is not None and rated.score >= threshold:
        return "accepted"
    return "again" if round_number < max_rounds else "rejected"


class AcceptReward:
    """No reward model: every pair that was formed is accepted, as in methods that have none."""

    name = "accept (every pair, no reward model)"

    async def rate(self, state: GameState, pair: PreferencePair) -> Reward:
        """R = 10."""
        return Reward(score=10, analysis="Every pair that is formed is accepted.")


class ChatReward:
    """A LangChain chat model as R; analysis first, then "score/10"."""

    def __init__(self, model: BaseChatModel, settings: Settings) -> None:
        self.model = model
        self.settings = settings
        self.name = model_name(model)

    async def rate(self, state: GameState, pair: PreferencePair) -> Reward:
        """R in 1..10. Raises `AnswerError` when the answer holds no clear score."""
        fence = self._fence(state, pair)
        return await ask(
            self.model,
            self._question(state, pair, "reward_policy", fence),
            "reward",
            parse=lambda answer: parse_reward(answer, fence),
            reasks=self.settings.reasks,
            seed=self._seed(state),
            temperature=0.0,
            max_tokens=self.settings.judge_max_new_tokens,
        )

    def _fence(self, state: GameState, pair: PreferencePair) -> Fence:
        shown = [state["task"].text, state["context"], as_text(pair.chosen), as_text(pair.rejected)]
        return Fence(self._seed(state), shown)

    def _question(self, state: GameState, pair: PreferencePair, policy: str, fence: Fence) -> list[BaseMessage]:
        task, settings = state["task"], self.settings
        body = prompts.fill(
            prompts.text("reward"),
            examples=settings.examples,
            notice=fence.notice,
            context=fence.around("Context:\n", state["context"]),
            query=fence.around("Query: ", task.text),
            positive=fence.around("Positive response:\n", as_text(pair.chosen)),
            negative=fence.around("Negative response:\n", as_text(pair.rejected)),
            form="" if policy == EXPECTED else prompts.fill(prompts.text("reward_form"), mark=fence.verdict),
        )
        return [system(prompts.fill(prompts.text(policy), task_field=settings.task_field)), user(body, task.images)]

    def _seed(self, state: GameState) -> int:
        return derive_seed(self.settings.seed, state["task"].id, len(state["rounds"]), "reward")


class ExpectedReward(ChatReward):
    """R of a model that judges by `judge_form = "expected"`: the expected digit, read from probabilities.

    A small model cannot hold to "score/10". Its digits are seldom sure, so R seldom comes near the ends of 1..10;
    set τ by the rewards of a first run.
    """

    async def rate(self, state: GameState, pair: PreferencePair) -> Reward:
        """R in 1..10."""
        messages = self._question(state, pair, EXPECTED, self._fence(state, pair))
        shares = await option_probabilities(self.model, messages, DIGITS, "reward", self._seed(state))
        return Reward(score=expected_score(shares), analysis=read_from(shares))
