"""R(y+, y-) by a chat model (§2.3, Appendix D.2)."""

from __future__ import annotations

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage

from anyprefer.core.game_state import GameState
from anyprefer.core.records import PreferencePair, Reward
from anyprefer.core.settings import Settings
from anyprefer.core.trajectories import readable
from anyprefer.core.values import derive_seed
from anyprefer.models import model_name
from anyprefer.models.answer import read_answer
from anyprefer.models.ask import ask
from anyprefer.models.messages import asked
from anyprefer.nodes import prompt_texts
from anyprefer.nodes.prompt_texts import Fence
from anyprefer.nodes.scores.parsing import read_score, told


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
        seed = self._seed(state)
        messages, fence = self._question(state, pair, seed)
        return await ask(
            self.model,
            messages,
            "reward",
            parse=lambda answer: parse_reward(answer, fence),
            seed=seed,
            temperature=0.0,
            max_tokens=self.settings.judge_max_new_tokens,
        )

    def _question(self, state: GameState, pair: PreferencePair, seed: int) -> tuple[list[BaseMessage], Fence]:
        """The messages, and the fence in which they show what others wrote."""
        query, context, chosen, rejected = (
            state["task"].text,
            state["context"],
            readable(pair.chosen),
            readable(pair.rejected),
        )
        fence = Fence(seed, [query, context, chosen, rejected])
        shown = {
            "context": ("Context:\n", context),
            "query": ("Query: ", query),
            "positive": ("Positive response:\n", chosen),
            "negative": ("Negative response:\n", rejected),
        }
        form = prompt_texts.fill(prompt_texts.text(self.form), mark=fence.verdict) if self.form else ""
        slots = {"examples": self.settings.examples, "form": form, "numbers": _numbers(state, pair)}
        body = fence.fill(prompt_texts.text("rewards/model"), shown, **slots)
        policy = prompt_texts.fill(prompt_texts.text(self.policy), task_field=self.settings.task_field)
        return asked(policy, body, state["task"].images), fence

    def _seed(self, state: GameState) -> int:
        return derive_seed(self.settings.seed, state["task"].id, len(state["rounds"]), "reward")


def _numbers(state: GameState, pair: PreferencePair) -> str:
    """Which answers of the findings the responses are; empty where no finding is about one."""
    if not state["candidate_knowledge"]:
        return ""
    places = (("positive", pair.chosen_index), ("negative", pair.rejected_index))
    same = [f"the {name} response is answer {index + 1}" for name, index in places if index is not None]
    return f"In what was found, {' and '.join(same)}." if same else ""


offers = ChatReward
