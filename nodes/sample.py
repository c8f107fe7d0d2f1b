"""Step 1 of Algorithm 1: the target samples C unique candidates from p_t (§2.2)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel

from anyprefer.graph.errors import ModelError
from anyprefer.graph.models import model_name
from anyprefer.graph.roles import Target
from anyprefer.graph.settings import Settings
from anyprefer.graph.state import Candidate, GameState, Task, as_text, derive_seed
from anyprefer.nodes.ask import all_done, call, task_messages


class ChatTarget:
    """A LangChain chat model as π_t: one call per seed, side by side."""

    def __init__(self, model: BaseChatModel, settings: Settings) -> None:
        self.model = model
        self.settings = settings
        self.name = model_name(model)

    async def sample(self, task: Task, prompt: str, seeds: Sequence[int]) -> list[Any]:
        """One answer per seed; an error ends the task once all calls are back, and never becomes a candidate."""
        messages = task_messages(task, prompt)
        chosen = self.settings
        answers = await all_done(
            call(
                self.model,
                messages,
                "sample",
                seed=seed,
                temperature=chosen.temperature,
                top_p=chosen.top_p,
                max_tokens=chosen.max_new_tokens,
            )
            for seed in seeds
        )
        return [str(answer.text).strip() for answer in answers]


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
            contents = await target.sample(task, state["prompts"].target, seeds)
            if len(contents) != missing:
                raise ModelError(f"target {target.name} returned {len(contents)} samples for {missing} seeds")
            for seed, content in zip(seeds, contents, strict=True):
                if content not in ("", None, []):
                    kept.setdefault(_as_json(content, target.name), (seed, content))
        candidates = [Candidate(index=i, content=content, seed=seed) for i, (seed, content) in enumerate(kept.values())]
        return {"candidates": candidates}

    return run
