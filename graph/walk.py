"""Plays a wired graph where nobody listens: the same nodes, edges and router, without LangGraph's loop around them.

LangGraph keeps checkpoints, emits events and starts callbacks at every step, which is half of what the engine costs
a task. Where there is no checkpointer, callback or tracer, none of it reaches anybody. `build_graph` and all that is
traced play on LangGraph; rows are the same either way.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from langchain_core.callbacks import AsyncCallbackManager
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langgraph.graph import END, START
from langgraph.graph.state import CompiledStateGraph

from anyprefer.core.game_state import GameState
from anyprefer.models.calls import current_account


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
        """The final state; `config` has what `silent` gave as its callbacks. A node starts as soon as those before it
        have ended, beside whatever else still runs (LangGraph waits for all of a step: tools then follow the slower of
        selection and sampling). An error of a node is raised as it is, once the calls in flight are back, and
        cancels what runs beside it."""
        token = var_child_runnable_config.set(config)  # models and tools look there for who listens
        running: dict[asyncio.Task[Any], str] = {}
        try:
            return await self._play(begin, config, running)
        except Exception:
            if account := current_account():
                await account.settled()
            raise
        finally:
            var_child_runnable_config.reset(token)
            for call in running:
                call.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _play(self, begin: GameState, config: RunnableConfig, running: dict[asyncio.Task[Any], str]) -> GameState:
        state, arrived = dict(begin), set[str]()
        due = self._edges[START]
        while due or running:
            calls = [(name, self._nodes[name].ainvoke(dict(state), config)) for name in due]
            if len(calls) == 1 and not running:
                ended = [(due[0], await calls[0][1])]
            else:
                running.update({asyncio.ensure_future(call): name for name, call in calls})
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                ended = [(running.pop(call), call.result()) for call in [*running] if call.done()]
            due = []
            for name, update in ended:
                state.update(update)
                arrived.add(name)
                due += await self._after(name, state, config)
            for starts, end in self._joins:
                if arrived.issuperset(starts):
                    arrived.difference_update(starts)
                    due.append(end)
        return cast("GameState", state)

    async def _after(self, name: str, state: dict[str, Any], config: RunnableConfig) -> list[str]:
        chosen = [str(await branch.path.ainvoke(state, config)) for branch in self._branches.get(name, ())]
        return [end for end in (*self._edges[name], *chosen) if end != END]
