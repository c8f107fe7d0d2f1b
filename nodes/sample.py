"""Step 1 of Algorithm 1: the target samples C unique candidates from p_t (§2.2)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from anyprefer.graph.errors import ModelError
from anyprefer.graph.models import model_name
from anyprefer.graph.models.openai_chat import PostedChat
from anyprefer.graph.roles import Target
from anyprefer.graph.settings import Settings
from anyprefer.graph.state import Candidate, GameState, Task, as_text, derive_seed
from anyprefer.nodes.ask import all_done, call, choices, recorded, task_messages


class ChatTarget:
    """A LangChain chat model as π_t: one request for all candidates where the server knows `n`, else one a seed."""

    def __init__(self, model: BaseChatModel, settings: Settings) -> None:
        self.model = model
        self.settings = settings
        self.name = model_name(model)
        self._knows_n = settings.server_n

    async def sample(self, task: Task, prompt: str, seeds: Sequence[int]) -> list[Any]:
        """One answer per seed; an error ends the task once all calls are back, and never becomes a candidate.

        Choices of one request all come from the first seed.
        """
        messages = task_messages(task, prompt)
        alone = recorded(self.model, messages, seed=seeds[0], **self._sampling())  # before the run was resumed
        together = self._knows_n and len(seeds) > 1 and not alone
        answers = await self._together(messages, seeds) if together else []
        rest = seeds[len(answers) :]
        answers += await all_done(call(self.model, messages, "sample", seed=seed, **self._sampling()) for seed in rest)
        return [str(answer.text).strip() for answer in answers]

    async def _together(self, messages: Sequence[Any], seeds: Sequence[int]) -> list[AIMessage]:
        """All answers from one request, or as many as the server gave; none from one that refuses `n`."""
        if not isinstance(self.model, PostedChat):
            return []
        try:
            answers = await choices(self.model, messages, "sample", len(seeds), seed=seeds[0], **self._sampling())
        except ModelError as error:
            if not _refuses_n(error):
                raise
            answers = []
        self._knows_n = self._knows_n and len(answers) == len(seeds)
        return answers[: len(seeds)]

    def _sampling(self) -> dict[str, Any]:
        chosen = self.settings
        return {"temperature": chosen.temperature, "top_p": chosen.top_p, "max_tokens": chosen.max_new_tokens}


def _refuses_n(error: ModelError) -> bool:
    words = str(error.__cause__ or "").lower()
    return ("400" in words or "422" in words) and re.search(r"\bn\b", words) is not None


def _as_json(content: Any, name: str) -> str:
    try:
        return as_text(content)
    except (TypeError, ValueError) as error:
        raise ModelError(f"target {name} returned a content without a JSON form: {error}") from error


def sample(target: Target, settings: Settings) -> Callable[[GameState], Awaitable[GameState]]:
    """The node. Duplicates and empty contents are sampled again `resamples` times, then fewer are kept."""

    async def run(state: GameState) -> GameState:
        task, number = state["task"], len(state["rounds"]) + 1
        kept: dict[str, tuple[int, Any]] = {}
        drawn = 0
        for _ in range(settings.resamples + 1):
            missing = settings.candidates - len(kept)
            if not missing:
                break
            seeds = [derive_seed(settings.seed, task.id, number, drawn + i) for i in range(missing)]
            drawn += missing
            contents = await target.sample(task, state["prompts"].asked(task), seeds)
            if len(contents) != missing:
                raise ModelError(f"target {target.name} returned {len(contents)} samples for {missing} seeds")
            for seed, content in zip(seeds, contents, strict=True):
                if content not in ("", None, []):
                    kept.setdefault(_as_json(content, target.name), (seed, content))
        candidates = [Candidate(index=i, content=content, seed=seed) for i, (seed, content) in enumerate(kept.values())]
        return {"candidates": candidates}

    return run
