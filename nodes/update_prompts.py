"""Eq. 2: p_t, p_j and the tools' instructions are rewritten from the reward's analysis (§2.4).

Each prompt is a variable of its own with its own step, so one unusable rewrite keeps that prompt's old
text (and is recorded) without touching the others. The paper names no engine; ours is a setting.

Table 9 sets optimising the players jointly against optimising both independently, and does not say how.
Our reading (`feedback_mode`): jointly, one player after another is rewritten in a round, and each step sees
the other's prompt as it now is, so that the two fit together; independently, all are rewritten at once from
the round's feedback alone. Both cost the same calls; jointly up to three wait for each other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from langchain_core.tools import BaseTool

from anyprefer.core.game_state import FRESH, GameState
from anyprefer.core.records import Prompts, Round, Update
from anyprefer.core.roles import Engine, Judge, Played, PromptPolicy
from anyprefer.core.settings import Settings
from anyprefer.core.task import Task
from anyprefer.models.ask import all_done
from anyprefer.nodes import prompt_texts as texts


def update_prompts(policy: PromptPolicy) -> Callable[[GameState], Awaitable[GameState]]:
    """The node. Records on the closed round what became of every prompt that was to be rewritten."""

    async def run(state: GameState) -> GameState:
        last = state["rounds"][-1]
        prompts, updates = await policy.then(state["task"], last)
        closed = last.model_copy(update={"updates": tuple(updates)})
        return {**FRESH, "prompts": prompts, "rounds": [*state["rounds"][:-1], closed]}

    return run


class TaskPrompts:
    """Prompts in the scope of one task: p_t starts as x (§2.2) and a rewrite lives as long as the task."""

    def __init__(self, judge: Judge, engine: Engine, tools: Sequence[BaseTool], settings: Settings) -> None:
        self.engine = engine
        self.settings = settings
        self._opening = opening(judge, tools, settings)

    def first(self, task: Task) -> Prompts:
        """The opening prompts, with x (of a conversation: its last user turn) as p_t."""
        return self._opening.put("target", task.question)

    async def then(self, task: Task, closed: Round) -> tuple[Prompts, list[Update]]:
        """The round's prompts, rewritten from its feedback."""
        return await rewritten(self.engine, closed.prompts, [(task, closed)], self.settings)


def opening(judge: Judge, tools: Sequence[BaseTool], settings: Settings) -> Prompts:
    """p_j starts as Appendix D.1's prompt, or the judge's own, a tool's instruction as its description; p_t is left empty."""
    policy = getattr(judge, "policy", "") or texts.text("judges/policy")
    filled = texts.fill(policy, task_field=settings.task_field)
    return Prompts(target="", judge=filled, tools={tool.name: tool.description for tool in tools})


async def rewritten(
    engine: Engine, prompts: Prompts, played: Played, settings: Settings
) -> tuple[Prompts, list[Update]]:
    """The next round's prompts, and what became of each that was to be rewritten."""
    players = _variables(played, settings)
    steps = players if settings.feedback_mode == "joint" else [[name for names in players for name in names]]
    updates = []
    for names in steps:
        found = await all_done([engine.rewrite(name, prompts, played) for name in names])
        for name, (text, note) in zip(names, found, strict=True):
            prompts = prompts.put(name, text)
            updates.append(Update(prompt=name, changed=not note, note=note))
    return prompts, updates


def _variables(played: Played, settings: Settings) -> list[list[str]]:
    """Each player's prompts that are to be rewritten; of the tools those that were used."""
    used = {choice.tool for _, closed in played for choice in closed.selected}
    known = played[0][1].prompts.tools
    names = {"target": ["target"], "judge": ["judge"], "tools": [f"tools.{name}" for name in known if name in used]}
    return [prompts for player, prompts in names.items() if player in settings.feedback]
