"""The model's own mean log-probability of each candidate, for a model that cannot judge in words.

With `judge = "target"` the target ranks its answers by how sure it was of them. That is no judgment of what they say: what
a model hallucinates with confidence ranks high.
"""

from __future__ import annotations

from langchain_core.language_models import BaseChatModel

from anyprefer.core.errors import SettingsError
from anyprefer.core.game_state import GameState
from anyprefer.core.records import Candidate, Judgment
from anyprefer.core.roles import Judge
from anyprefer.models import model_name, traits_of
from anyprefer.models.ask import all_done, call
from anyprefer.models.messages import task_messages


class LikelihoodJudge(Judge):
    """Ranks by log-probability a token, so that length alone decides nothing; reads no tool's finding. Every pair is
    accepted, where no reward is named."""

    rated_by = "accept"

    def __init__(self, model: BaseChatModel) -> None:
        """Raises `SettingsError` for a model behind a URL, which returns no probability of a given answer."""
        if not traits_of(model).weighs:
            raise SettingsError(
                f"judge_form likelihood needs a model that runs in this process, and {model_name(model)} does not; "
                "name one (judge = 'hf:…'), or another form, such as expected"
            )
        self.model = model
        self.name = f"{model_name(model)} (likelihood)"

    async def score(self, state: GameState) -> list[Judgment]:
        """ln p a token of every candidate, at most 0, as the answer to what the target was asked."""
        return await all_done([self._one(state, candidate) for candidate in state["candidates"]])

    async def _one(self, state: GameState, candidate: Candidate) -> Judgment:
        task = state["task"]
        asked = task_messages(task, state["prompts"].asked(task))
        answer = await call(self.model, asked, "judge", binding={"given": candidate.text})
        mean = float(answer.response_metadata["mean_logprob"])
        return Judgment(candidate=candidate.index, score=mean, analysis=f"ln p is {mean:.4f} a token.")


offers = LikelihoodJudge
