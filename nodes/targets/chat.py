"""A LangChain chat model as the target."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from anyprefer.core.settings import Settings
from anyprefer.core.task import Task
from anyprefer.core.values import derive_seed
from anyprefer.models import model_name, traits_of
from anyprefer.models.answer import Answer, read_answer
from anyprefer.models.ask import all_done, call, choices, recorded
from anyprefer.models.messages import task_messages
from anyprefer.models.traits import unload


class ChatTarget:
    """A LangChain chat model as π_t: one request for all candidates where the server knows `n`, else one a seed."""

    def __init__(self, model: BaseChatModel, settings: Settings, checkpoint: str = "") -> None:
        """`checkpoint` is the string the model was loaded from; empty for one that is the caller's own."""
        self.model = model
        self.checkpoint = checkpoint
        self.settings = settings
        self.name = model_name(model)
        self._knows_n = True

    async def sample(self, task: Task, prompt: str, seeds: Sequence[int]) -> list[Answer]:
        """One answer per seed; an error ends the task once all calls are back, and never becomes a candidate.

        Choices of one request all come from the first seed.
        """
        messages = task_messages(await self._shown(task), prompt)
        sampling = self._sampling()
        first = {"seed": seeds[0], **sampling}
        alone = recorded(self.model, messages, **first)  # before the run was resumed
        knows_n = self._knows_n or recorded(self.model, messages, n=len(seeds), **first)
        together = knows_n and len(seeds) > 1 and not alone
        answers = await self._together(messages, seeds) if together else []
        rest = seeds[len(answers) :]
        answers += await all_done([call(self.model, messages, "sample", seed=seed, **sampling) for seed in rest])
        return [read_answer(answer) for answer in answers]

    async def _shown(self, task: Task) -> Task:
        """The task as the target sees it while it samples."""
        share = self.settings.image_noise
        if not share or not task.images:
            return task
        from anyprefer.nodes.targets.noise import in_noise  # Pillow is loaded where there are images

        return await asyncio.to_thread(in_noise, task, share, derive_seed(self.settings.seed, task.id, "noise"))

    def close(self) -> None:
        """Frees the weights of a model that was loaded for this target; the next call loads them again."""
        if self.checkpoint:
            unload(self.model)

    async def _together(self, messages: Sequence[Any], seeds: Sequence[int]) -> list[AIMessage]:
        """All answers from one request, or as many as the server gave; none from one that refuses `n`."""
        if not traits_of(self.model).choices:
            return []
        answers = await choices(self.model, messages, "sample", len(seeds), seed=seeds[0], **self._sampling())
        self._knows_n = self._knows_n and len(answers) == len(seeds)
        return answers[: len(seeds)]

    def _sampling(self) -> dict[str, Any]:
        chosen = self.settings
        return {"temperature": chosen.temperature, "top_p": chosen.top_p, "max_tokens": chosen.max_new_tokens}


offers = ChatTarget
