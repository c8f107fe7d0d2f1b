"""The roles of the game as protocols, so that anything can play them.

A LangChain chat model plays a role through `ChatTarget`, `ListwiseJudge`, `ChatReward` or `TextGrad` in nodes/; a
simulator policy is a `Target` with one method; a judge that ranks by a computed cost or by rules is a
`Judge` that overrides `score`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from langchain_core.tools import BaseTool

from anyprefer.core.game_state import GameState
from anyprefer.core.records import Judgment, PreferencePair, Prompts, Reward, Round, Selection, Update
from anyprefer.core.task import Task

Builder = Callable[[GameState], PreferencePair | str | None]
"""From the round as it was judged (task, candidates, judgments, knowledge) to a pair, or the reason why there is none."""


class Target(Protocol):
    """π_t, the model to be aligned."""

    name: str
    """Written into every row."""

    async def sample(self, task: Task, prompt: str, seeds: Sequence[int]) -> list[Any]:
        """One content (text or any JSON value) per seed, in order. `prompt` is p_t."""
        ...


class Judge:
    """π_j with sensible defaults: all tools, knowledge joined as it is. Subclasses give `score`."""

    name: str = "judge"
    abstains: bool = False
    """Whether `score` may leave out a candidate that it cannot compare; no pair is formed with it."""
    compares: bool = False
    """Whether it sees all candidates at once, so that the order in which they are shown may sway it."""
    policy: str = ""
    """What p_j starts as, with `{task_field}` filled in; empty: Appendix D.1's prompt."""
    rated_by: str = ""
    """The reward of that name rates the pairs where the settings name none; empty: they have to."""
    rewritten_by: str = "none"
    """The engine of that name rewrites prompts where the settings name none."""

    async def select(self, state: GameState, tools: Sequence[BaseTool]) -> list[Selection]:
        """S ⊆ tools with the arguments to pass; may be empty."""
        return [Selection(tool=tool.name) for tool in tools]

    async def aggregate(self, state: GameState) -> str:
        """The consolidated knowledge (Appendix D.1) from `task_knowledge` and `candidate_knowledge`."""
        found = [*state["task_knowledge"], *state["candidate_knowledge"]]
        return "\n".join(f"{item.tool}: {item.text}" for item in found if not item.error)

    async def score(self, state: GameState) -> list[Judgment]:
        """Exactly one judgment per candidate (or none, see `abstains`), in the candidates' order; higher is better."""
        raise NotImplementedError(f"{type(self).__name__} must define score()")


class RewardModel(Protocol):
    """R, the surrogate reward of a pair."""

    name: str

    async def rate(self, state: GameState, pair: PreferencePair) -> Reward:
        """R(y+, y-) in 1..10 with the analysis that becomes the feedback."""
        ...


Played = Sequence[tuple[Task, Round]]
"""Closed rounds with their tasks, at least one: what a rewrite learns from."""


class Engine(Protocol):
    """Rewrites the players' prompts from what their rounds brought (§2.4, Eq. 2). One whose `task_only` is true
    cannot rewrite what all tasks share (`prompt_scope = "dataset"`)."""

    name: str

    async def rewrite(self, name: str, prompts: Prompts, played: Played) -> tuple[str, str]:
        """(the prompt to go on with, why it is the old one or "") for `target`, `judge` or `tools.NAME`.

        `prompts` are all players' as they are now. An engine that fails keeps the old prompt and says
        so; only `RunStopped` leaves it.
        """
        ...


class PromptPolicy(Protocol):
    """Which prompts a round is played with (`Settings.prompt_scope`)."""

    def first(self, task: Task) -> Prompts:
        """The prompts of a task's first round."""
        ...

    async def then(self, task: Task, closed: Round) -> tuple[Prompts, list[Update]]:
        """The prompts of its next round, and what became of each that was to be rewritten after `closed`."""
        ...
