"""Listwise: all candidates are scored in one text (Appendix D.1), analyses before scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anyprefer.core.errors import ModelError
from anyprefer.core.game_state import GameState
from anyprefer.core.records import Judgment, texts_of
from anyprefer.models import traits_of
from anyprefer.models.ask import ask
from anyprefer.models.messages import asked
from anyprefer.models.servers.openai_chat import refuses
from anyprefer.nodes import prompt_texts
from anyprefer.nodes.judges.model import ModelJudge, averaged
from anyprefer.nodes.prompt_texts import Fence
from anyprefer.nodes.scores.parsing import read_scores


class ListwiseJudge(ModelJudge):
    """One text scores all candidates."""

    compares = True

    async def score(self, state: GameState) -> list[Judgment]:
        """The mean over `judge_passes` listwise passes, 1..10 per candidate, with its spread."""
        count, passes = len(state["candidates"]), self.settings.judge_passes
        rounds = [await self._pass(state, number, shift=number * count // passes) for number in range(passes)]
        return [averaged(index, [one[index] for one in rounds]) for index in range(count)]

    async def _pass(self, state: GameState, number: int, shift: int) -> dict[int, tuple[float, str]]:
        """One listwise pass; place p shows candidate (p + shift) mod count. Keyed by candidate index."""
        task, texts = state["task"], texts_of(state["candidates"])
        count = len(texts)
        order = [(place + shift) % count for place in range(count)]
        fence = self.fence(state)
        body = fence.fill(
            prompt_texts.text("judges/listwise"),
            {
                "context": ("Context:\n", state["context"]),
                "query": ("Query: ", task.text),
                "answers": [texts[index] for index in order],
            },
            examples=self.settings.examples,
            count=str(count),
            numbers=_numbers(order) if state["candidate_knowledge"] else "",
        )
        messages = asked(state["prompts"].judge, body, task.images, await self.found(state))
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


def _numbers(order: Sequence[int]) -> str:
    """What tells answers as findings number them from answers as a pass shows them; empty where both are the same."""
    if list(order) == sorted(order):
        return ""
    same = ", ".join(f"its answer {index + 1} is Answer {place} here" for place, index in enumerate(order, 1))
    return f"What was found numbers the answers otherwise: {same}."


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


offers = ListwiseJudge
