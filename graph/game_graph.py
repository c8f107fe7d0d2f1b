"""The game as a `StateGraph` that can be changed, and how a run plays it.

In a run an error of a node is no exception that cancels what runs beside it: LangGraph's own error handler puts it into
the state, what runs beside it ends as it would have, and then the game does. So a failed task's row depends on what
failed and not on what was faster, and no call that is paid for is thrown away.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from operator import add
from typing import Annotated, Any, cast

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.errors import NodeError
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Checkpointer

from anyprefer.core.game_state import GameInput, GameState
from anyprefer.core.naming import stable_name
from anyprefer.core.records import RECORDS
from anyprefer.core.settings import RunSettings
from anyprefer.core.values import stable_hash
from anyprefer.graph.players import Players
from anyprefer.graph.steps import Step

Graph = CompiledStateGraph[GameState, None, GameState, GameState]


class GameGraph(StateGraph[GameState, None, GameState, GameState]):
    """What `state_graph` returns: a `StateGraph` that knows who plays it."""

    def __init__(self, players: Players, settings: RunSettings) -> None:
        super().__init__(GameState, input_schema=cast("type[GameState]", GameInput))
        self.players = players
        self.settings = settings
        self.node_defaults: dict[str, Any] = {}

    def set_node_defaults(self, **policies: Any) -> GameGraph:
        """As LangGraph's."""
        self.node_defaults.update(policies)
        return super().set_node_defaults(**policies)

    def compile(self, checkpointer: Checkpointer = None, *, name: str | None = None, **more: Any) -> Graph:
        """As LangGraph's, with a checkpointer that can read the game's records back."""
        self.players.take_tape()
        return super().compile(knowing_records(checkpointer), name=name or "anyprefer", **more)

    def rewired(self, fresh: GameGraph) -> GameGraph:
        """This graph with the steps of `fresh`, which others may play with other settings; nodes and edges that are the
        user's own stay."""
        made = copy.copy(self)
        made.players, made.settings = fresh.players, fresh.settings
        made.nodes = {
            name: replace(spec, runnable=fresh.nodes[name].runnable) if isinstance(spec.runnable, Step) else spec
            for name, spec in self.nodes.items()
        }
        return made

    def described(self) -> str:
        """Nodes, those of the user's own with their functions, and a hash of what leads where."""
        nodes = [
            name if isinstance(spec.runnable, Step) else f"{name}={_own(spec)}" for name, spec in self.nodes.items()
        ]
        ways = [
            sorted(self.edges),
            sorted(self.waiting_edges),
            sorted((n, *sorted(b)) for n, b in self.branches.items()),
        ]
        return f"{' '.join(nodes)} ({stable_hash(ways)[:8]})"

    def __getstate__(self) -> dict[str, Any]:
        """For another process, which has players of its own."""
        return {**self.__dict__, "players": None}


def _own(spec: Any) -> str:
    runnable = spec.runnable
    return stable_name(getattr(runnable, "func", None) or getattr(runnable, "afunc", None) or runnable)


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
    for name in ("edges", "waiting_edges", "branches", "channels", "managed", "schemas"):
        getattr(played, name).update(getattr(graph, name))
    played.nodes.update({name: replace(spec) for name, spec in graph.nodes.items()})
    policies: Mapping[str, Any] = {"error_handler": keep_failure, **graph.node_defaults}
    return played.set_node_defaults(**policies).compile(name="game")


def knowing_records(checkpointer: Checkpointer) -> Checkpointer:
    """The same checkpointer, allowed to read this game's records back (LangGraph warns, and will block,
    where a type is not named: langchain-ai/langgraph#6612)."""
    serde = getattr(checkpointer, "serde", None)
    if not isinstance(checkpointer, BaseCheckpointSaver) or type(serde) is not JsonPlusSerializer:
        return checkpointer
    allowed = serde.with_msgpack_allowlist(RECORDS)
    clone = copy.copy(checkpointer)
    clone.serde = allowed if allowed is not serde else JsonPlusSerializer(allowed_msgpack_modules=RECORDS)
    return clone
