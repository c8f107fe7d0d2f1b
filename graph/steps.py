"""What a node of the game is to LangGraph: parts that are played in turn, and the router after R."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal, cast

from langchain_core.runnables import Runnable, RunnableConfig

from anyprefer.core.background_loop import exit_as_error, run_blocking
from anyprefer.core.game_state import GameState
from anyprefer.models.account import current_account

Part = Callable[[GameState], Awaitable[GameState]]


class Step(Runnable[GameState, GameState]):
    """A node that `invoke` can run too. Each of its parts is given what those before it made."""

    def __init__(self, name: str, *parts: Part) -> None:
        self.name = name
        self.parts = parts

    async def ainvoke(self, input: GameState, config: RunnableConfig | None = None, **kwargs: Any) -> GameState:
        """What the node changes of the state."""
        if account := current_account():
            account.round = len(input.get("rounds", ())) + (self.name != "update_prompts")
        try:
            made: dict[str, Any] = {}
            for part in self.parts:
                made.update(await part(cast("GameState", {**input, **made}) if made else input))
            return cast("GameState", made)
        except (SystemExit, KeyboardInterrupt) as raised:
            exit_as_error(raised, f"step {self.name}")
            raise

    def invoke(self, input: GameState, config: RunnableConfig | None = None, **kwargs: Any) -> GameState:
        """The same for synchronous code."""
        return run_blocking(self.ainvoke(input, config))

    def __reduce__(self) -> tuple[Any, ...]:
        """For another process, which puts parts with its own players in its place (`GameGraph.rewired`)."""
        return (Step, (self.name,))


def accept(state: GameState) -> Literal["update_prompts", "__end__"]:
    """The loop's condition as the edge reads it: another round with rewritten prompts, or the end. Pure.

    Whether R ≥ τ was decided where the round was closed, `decide` in nodes/reward.py.
    """
    return "update_prompts" if state["outcome"] == "again" else "__end__"


class Router(Runnable[GameState, str]):
    """`accept` as LangGraph can await it: a plain function it would run in a thread."""

    name = accept.__name__

    async def ainvoke(self, input: GameState, config: RunnableConfig | None = None, **kwargs: Any) -> str:
        """The next node's name."""
        return accept(input)

    def invoke(self, input: GameState, config: RunnableConfig | None = None, **kwargs: Any) -> str:
        """The same for synchronous code."""
        return accept(input)
