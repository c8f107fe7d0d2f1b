"""Eq. 2: p_t, p_j and the tools' instructions are rewritten from the reward's analysis (§2.4).

Each prompt is a variable of its own with its own step, so one unusable rewrite keeps that prompt's old
text (and is recorded) without touching the others. The paper names no engine; ours is a setting.

Table 9 sets optimising the players jointly against optimising both independently, and does not say how.
Our reading (`feedback_mode`): jointly, one player after another is rewritten in a round, and each step sees
the other's prompt as it now is, so that the two fit together; independently, all are rewritten at once from
the round's feedback alone. Both cost the same calls; jointly up to three wait for each other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from anyprefer.graph.roles import Engine, Played
from anyprefer.graph.settings import Settings
from anyprefer.graph.state import FRESH, GameState, Prompts, Update
from anyprefer.nodes.ask import all_done


def update_prompts(engine: Engine, settings: Settings) -> Callable[[GameState], Awaitable[GameState]]:
    """The node. Records on the closed round what became of every prompt it tried to rewrite."""

    async def run(state: GameState) -> GameState:
        last = state["rounds"][-1]
        prompts, updates = await rewritten(engine, state["prompts"], [(state["task"], last)], settings)
        closed = last.model_copy(update={"updates": tuple(updates)})
        return {**FRESH, "prompts": prompts, "rounds": [*state["rounds"][:-1], closed]}

    return run


async def rewritten(
    engine: Engine, prompts: Prompts, played: Played, settings: Settings
) -> tuple[Prompts, list[Update]]:
    """The prompts to go on with, and what became of each that was to be rewritten."""
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
