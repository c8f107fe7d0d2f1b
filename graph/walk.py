"""Plays a wired graph where nobody listens: the same nodes, edges and router, without LangGraph's loop around them.

LangGraph keeps checkpoints, emits events and starts callbacks at every step, which is half of what the engine costs
a task. Where there is no checkpointer, callback or tracer, none of it reaches anybody. `build_graph` and all that is
traced play on LangGraph; rows are the same either way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, cast

from langchain_core.callbacks import AsyncCallbackManager
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langgraph.graph import END, START
from langgraph.graph.state import CompiledStateGraph

from anyprefer.graph.state import GameState


def silent() -> AsyncCallbackManager | None:
    """What to call nodes with where nothing listens: no handler of LangChain's, LangSmith's or MLflow's; else None."""
    around = (var_child_runnable_config.get() or {}).get("callbacks")
    manager = AsyncCallbackManager.configure(inheritable_callbacks=around)
    return None if manager.handlers else manager


class Walk:
    """A compiled graph's nodes by name, and where each leads."""

    def __init__(self, graph: CompiledStateGraph[GameState, None, GameState, GameState]) -> None:
        wired = graph.builder
        self._nodes = {name: cast("Runnable[Any, Any]", node.runnable) for name, node in wired.nodes.items()}
        self._edges: dict[str, list[str]] = {name: [] for name in (START, *self._nodes)}
        for begin, end in sorted(wired.edges):
            self._edges[begin].append(end)
        self._joins = sorted(wired.waiting_edges)
        self._branches = {name: tuple(branches.values()) for name, branches in wired.branches.items()}

    async def play(self, begin: GameState, config: RunnableConfig) -> GameState:
        """The final state; `config` has what `silent` gave as its callbacks. Nodes that become due together run side
        by side on the same state. An error of a node is raised as it is."""
        token = var_child_runnable_config.set(config)  # models and tools look there for who listens
        try:
            return await self._play(begin, config)
        finally:
            var_child_runnable_config.reset(token)

    async def _play(self, begin: GameState, config: RunnableConfig) -> GameState:
        state, arrived = dict(begin), set[str]()
        here = self._edges[START]
        while here:
            updates = await _together([self._nodes[name].ainvoke(dict(state), config) for name in here])
            for update in updates:
                state.update(update)
            arrived.update(here)
            here = [*dict.fromkeys([name for left in here for name in await self._after(left, state, config)])]
            for starts, end in self._joins:
                if arrived.issuperset(starts):
                    arrived.difference_update(starts)
                    here.append(end)
        return cast("GameState", state)

    async def _after(self, name: str, state: dict[str, Any], config: RunnableConfig) -> list[str]:
        chosen = [str(await branch.path.ainvoke(state, config)) for branch in self._branches.get(name, ())]
        return [end for end in (*self._edges[name], *chosen) if end != END]


async def _together(calls: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """All results, in order; the first error cancels the rest."""
    if len(calls) == 1:
        return [await calls[0]]
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
