"""What MLflow is told of a game: task → round 2 → judge → call. LangGraph knows steps, not rounds."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any
from uuid import UUID, uuid4

from mlflow.langchain.langchain_tracer import MlflowLangchainTracer

GAME = "game"
"""The name a run gives to LangGraph's own run; the task's span stands for it."""
HANDLER = "__default_error_handler__"
"""LangGraph's name for the node that ends a game where another one failed."""


class RoundTracer(MlflowLangchainTracer):
    """MLflow's tracer with a span a round, around the nodes that played it."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = Lock()  # LangChain tells every event in a thread of its own
        self._hidden: set[UUID] = set()
        self._open: dict[UUID, UUID] = {}
        """By game: the span of the round it is in."""
        self._nodes: dict[UUID, tuple[str, UUID]] = {}
        """Of the nodes at work: name and game."""
        self._told: dict[UUID, dict[str, Any]] = {}
        """By game: how the round ended."""

    def on_chain_start(
        self,
        serialized: Any,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        name: str | None = None,
        **more: Any,
    ) -> None:
        """Begins a span, and before it that of a round where it is a round's first; LangGraph's own are left out."""
        if name == HANDLER or (name == GAME and parent_run_id is None):
            self._hidden.add(run_id)
            return
        if parent_run_id and name and any(tag.startswith("graph:step:") for tag in tags or ()):
            self._nodes[run_id] = (name, parent_run_id)
            parent_run_id = self._round(parent_run_id, name, inputs)
        super().on_chain_start(
            serialized, inputs, run_id=run_id, parent_run_id=parent_run_id, tags=tags, name=name, **more
        )

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **more: Any) -> None:
        """Ends a span, and after the last one of a round that of the round."""
        self._close(run_id)
        if run_id not in self._hidden:
            super().on_chain_end(outputs, run_id=run_id, **more)
        self._ended(run_id, outputs)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """The same for one that failed."""
        self._close(run_id)
        if run_id not in self._hidden:
            super().on_chain_error(error, run_id=run_id, **more)
        self._ended(run_id, None)

    def _round(self, game: UUID, node: str, state: Any) -> UUID | None:
        """What a node's span hangs under."""
        above = None if game in self._hidden else game
        if node == "start":
            return above
        with self._lock:
            if game not in self._open:
                number, begun = len(state.get("rounds", ())) + 1, uuid4()
                super().on_chain_start(
                    {}, {"round": number}, run_id=begun, parent_run_id=above, name=f"round {number}"
                )  # fmt: skip
                self._open[game] = begun
        return self._open[game]

    def _ended(self, run_id: UUID, outputs: Any) -> None:
        self._hidden.discard(run_id)
        node, game = self._nodes.pop(run_id, ("", run_id))
        if isinstance(outputs, Mapping) and node and "outcome" in outputs:
            rated = outputs["rounds"][-1].reward
            self._told[game] = {"outcome": outputs["outcome"], "reward": rated and rated.score}
        if node == "update_prompts":
            self._close(game)

    def _close(self, game: UUID) -> None:
        if ended := self._open.pop(game, None):
            told: Any = self._told.pop(game, None)
            super().on_chain_end(told, run_id=ended)
