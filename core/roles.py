"""The roles of the game as protocols, so that anything can play them.

A LangChain chat model plays a role through `ChatTarget`, `ListwiseJudge`, `ChatReward` or `TextGrad` in nodes/; a
simulator policy is a `Target` with one method; a judge that ranks by a computed cost or by rules is a
`Judge` that overrides `score`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from langchain_core.tools import BaseTool
from pydantic import BaseModel, ConfigDict

from anyprefer.core.game_state import GameState
from anyprefer.core.records import Judgment, PreferencePair, Prompts, Reward, Round, Selection, Update
from anyprefer.core.results import EvalResult
from anyprefer.core.settings import RunSettings
from anyprefer.core.task import Task

Builder = Callable[[GameState], PreferencePair | str | None]
"""From the round as it was judged (task, candidates, judgments, knowledge) to a pair, or the reason why there is none."""


class Target(Protocol):
    """π_t, the model to be aligned: a language model, a robot's policy, anything that answers a task by seed.

    It may also have `open()` and `close()`, plain or async: a run calls them before its first task and after its last
    one, where simulators start and weights are freed. And `checkpoint: str`: what it was made from.
    """

    name: str
    """Written into every row."""

    async def sample(self, task: Task, prompt: str, seeds: Sequence[int]) -> list[Any]:
        """One content (text, a `Trajectory`, or any JSON value) per seed, in order. `prompt` is p_t."""
        ...


async def opened(target: object) -> None:
    """Calls the target's `open()`, where it has one."""
    await _called(target, "open")


async def closed(target: object) -> None:
    """Calls the target's `close()`, where it has one."""
    await _called(target, "close")


async def _called(target: object, name: str) -> None:
    found = getattr(target, name)() if hasattr(target, name) else None
    if inspect.isawaitable(found):
        await found


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
        """(the next prompt, why it is the old one or "") for `target`, `judge` or `tools.NAME`.

        `prompts` are all players' as they are now. An engine that fails keeps the old prompt and says
        so; only `RunStopped` leaves it.
        """
        ...


class PromptPolicy(Protocol):
    """Which prompts a round is played with (`RunSettings.prompt_scope`)."""

    def first(self, task: Task) -> Prompts:
        """The prompts of a task's first round."""
        ...

    async def then(self, task: Task, closed: Round) -> tuple[Prompts, list[Update]]:
        """The prompts of its next round, and what became of each that was to be rewritten after `closed`."""
        ...


class NoSettings(BaseModel):
    """Of a trainer with nothing to set."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Trainer:
    """Makes a stronger target of preference pairs. Subclasses give `train`, and `settings_type` where there is something
    to set; a settings class should refuse unknown fields."""

    name: str = "trainer"
    settings_type: ClassVar[type[BaseModel]] = NoSettings
    """Its settings: the fields, their ranges and defaults."""
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Good values by name, which changes win over."""
    folder: str = "checkpoint"
    """What its output is called in an iteration's folder."""

    def __init__(self, settings: Any = None) -> None:
        self.settings = self.settings_type() if settings is None else settings

    def check(self, start: str, played: RunSettings) -> None:
        """Raises `SettingsError` or `TrainingError` for what cannot be trained, before anything is played.

        `start` is what is trained first, `played` the settings of the first iteration's run.
        """

    def ready(self, pairs: Sequence[Path], start: str) -> str:
        """What there is to train on, such as `62 pairs`. Raises `TrainingError` or `ModelError` for what cannot be used,
        before anything is trained."""
        return f"{len(pairs)} files and folders of pairs"

    def train(self, pairs: Sequence[Path], start: str, output: Path, seed: int) -> str:
        """The checkpoint that training `start` on the pairs came to: what a later call may start from.

        `pairs` are run folders and files of pairs. `output` is the folder for all there is to keep; it may hold what a
        killed run of the same training left. Raises `TrainingError`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define train()")

    def target(self, checkpoint: str, played: RunSettings) -> str:
        """The string of the target that plays a checkpoint; asked for again by every command that resumes."""
        return checkpoint

    def told(self, output: Path) -> dict[str, str]:
        """What is worth saying of a finished training in `output`, by name."""
        return {}


class Evaluate(Protocol):
    """Measures a target on held-out tasks."""

    def __call__(self, target: Target, iteration: int, folder: Path, /) -> Mapping[str, EvalResult]:
        """Results by name of the task set, of the target after so many iterations (0: before the first); `folder` is
        for what should be kept of it."""
        ...
