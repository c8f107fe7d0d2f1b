"""The game as a `StateGraph` that knows who plays it, and how a run compiles it.

In a run an error of a node is no exception that cancels what runs beside it: LangGraph's own error handler puts it into
the state, what runs beside it ends as it would have, and then the game does. So a failed task's row depends on what
failed and not on what was faster, and no call that is paid for is thrown away.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from operator import add
from typing import Annotated, Any, cast

from langgraph.errors import NodeError
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph

from anyprefer.core.game_state import GameState
from anyprefer.core.settings import RunSettings
from anyprefer.graph.players import Players


class GameGraph(StateGraph[GameState, None, GameState, GameState]):
    """What `state_graph` returns."""

    def __init__(self, players: Players, settings: RunSettings) -> None:
        super().__init__(GameState)
        self.players = players
        self.settings = settings
        self.node_defaults: dict[str, Any] = {}

    def set_node_defaults(self, **policies: Any) -> GameGraph:
        """As LangGraph's; remembered for the run."""
        self.node_defaults.update(policies)
        return cast("GameGraph", super().set_node_defaults(**policies))


class PlayedState(GameState, total=False):
    """The state in a run."""

    failures: Annotated[list[NodeError], add]
    """Errors of the nodes of one step, in the order of the nodes' names."""


async def keep_failure(state: PlayedState, error: NodeError) -> PlayedState:
    """Ends the game where a node failed."""
    return {"failures": [error]}


def compiled_for_run(graph: GameGraph) -> CompiledStateGraph[PlayedState, None, PlayedState, PlayedState]:
    """The graph as a run plays it. The given one is not changed, and can be compiled otherwise."""
    played = StateGraph(PlayedState)
    for name, value in _parts(graph).items():
        getattr(played, name).update(value)
    played.nodes.update({name: replace(spec) for name, spec in graph.nodes.items()})
    return played.set_node_defaults(**{"error_handler": keep_failure, **graph.node_defaults}).compile(name="game")


def _parts(graph: GameGraph) -> dict[str, Any]:
    names: Sequence[str] = ("edges", "waiting_edges", "branches", "channels", "managed", "schemas")
    return {name: copy.copy(getattr(graph, name)) for name in names}
