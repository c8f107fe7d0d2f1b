"""R(y+, y-) by a chat model (§2.3, Appendix D.2)."""

from __future__ import annotations

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage

from anyprefer.core.game_state import GameState
from anyprefer.core.records import PreferencePair, Reward
from anyprefer.core.settings import Settings
from anyprefer.core.values import as_text, derive_seed
from anyprefer.models import model_name
from anyprefer.models.answer import read_answer
from anyprefer.models.ask import ask
from anyprefer.models.messages import system, user
from anyprefer.nodes import prompt_texts
from anyprefer.nodes.parsing import read_score, told
from anyprefer.nodes.prompt_texts import Fence


def parse_reward(message: AIMessage, fence: Fence | None = None) -> Reward:
    """The score with the whole answer as analysis. Raises `AnswerError` where there is no clear one in 1..10."""
    answer = read_answer(message)
    return Reward(score=read_score(answer, fence), analysis=told(answer, fence))


class ChatReward:
    """A LangChain chat model as R; analysis first, then "score/10". Its prompts are `policy` (system) and `form` (how to answer)."""

    policy = "rewards/model_policy"
    form = "rewards/model_form"

    def __init__(self, model: BaseChatModel, settings: Settings) -> None:
        self.model = model
        self.settings = settings
        self.name = model_name(model)

    async def rate(self, state: GameState, pair: PreferencePair) -> Reward:
        """R in 1..10. Raises `AnswerError` when the answer holds no clear score."""
        fence = self._fence(state, pair)
        return await ask(
            self.model,
            self._question(state, pair, fence),
            "reward",
            parse=lambda answer: parse_reward(answer, fence),
            seed=self._seed(state),
            temperature=0.0,
            max_tokens=self.settings.judge_max_new_tokens,
        )

    def _fence(self, state: GameState, pair: PreferencePair) -> Fence:
        shown = [state["task"].text, state["context"], as_text(pair.chosen), as_text(pair.rejected)]
        return Fence(self._seed(state), shown)

    def _question(self, state: GameState, pair: PreferencePair, fence: Fence) -> list[BaseMessage]:
        task, settings = state["task"], self.settings
        body = prompt_texts.fill(
            prompt_texts.text("rewards/model"),
            examples=settings.examples,
            notice=fence.notice,
            context=fence.around("Context:\n", state["context"]),
            query=fence.around("Query: ", task.text),
            positive=fence.around("Positive response:\n", as_text(pair.chosen)),
            negative=fence.around("Negative response:\n", as_text(pair.rejected)),
            form=prompt_texts.fill(prompt_texts.text(self.form), mark=fence.verdict) if self.form else "",
        )
        return [
            system(prompt_texts.fill(prompt_texts.text(self.policy), task_field=settings.task_field)),
            user(body, task.images),
        ]

    def _seed(self, state: GameState) -> int:
        return derive_seed(self.settings.seed, state["task"].id, len(state["rounds"]), "reward")


offers = ChatReward
