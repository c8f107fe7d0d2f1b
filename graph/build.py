"""The wiring of the game, in the order of Algorithm 1 (arXiv 2504.19276). Read this file first.

    start ─┬→ sample ──────────────────────────┬→ use_candidate_tools → aggregate → judge → pair → reward ─┬→ end
        ↑  └→ select_tools → use_task_tools ───┘                                                           │
        └──────────────────────────────────── update_prompts ←────────────────────── R < τ ────────────────┘

`build_graph` returns a compiled LangGraph: `ainvoke`, `invoke`, `stream`, a checkpointer and
`get_graph().draw_mermaid()` work as on any other.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_core.runnables.config import patch_config
from langchain_core.tools import BaseTool
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Checkpointer

from anyprefer.core.background_loop import exits_as_errors, run_blocking
from anyprefer.core.errors import SettingsError
from anyprefer.core.game_state import FRESH, GameState
from anyprefer.core.listening import unheard
from anyprefer.core.records import RECORDS
from anyprefer.core.roles import Builder, Engine, Judge, PromptPolicy, RewardModel, Target
from anyprefer.core.settings import Settings, shows_settings
from anyprefer.core.task import Task
from anyprefer.graph.players import Players, settle
from anyprefer.models.calls import current_account
from anyprefer.nodes.aggregate import aggregate
from anyprefer.nodes.judge import judge as judge_node
from anyprefer.nodes.pair import pair
from anyprefer.nodes.reward import reward as reward_node
from anyprefer.nodes.sample import sample
from anyprefer.nodes.select_tools import select_tools
from anyprefer.nodes.update_prompts import TaskPrompts, update_prompts
from anyprefer.nodes.use_tools import use_candidate_tools, use_task_tools

Graph = CompiledStateGraph[GameState, None, GameState, GameState]


@shows_settings
def build_graph(
    settings: Settings | None = None,
    *,
    target: Target | BaseChatModel | str | None = None,
    judge: Judge | BaseChatModel | str | None = None,
    reward: RewardModel | BaseChatModel | str | None = None,
    engine: Engine | BaseChatModel | str | None = None,
    tools: Sequence[str | BaseTool] | None = None,
    build_pair: Builder | None = None,
    checkpointer: Checkpointer = None,
    **values: Any,
) -> Graph:
    """The game as a compiled graph. `await graph.ainvoke({"task": Task(id="1", prompt="…")})`.

    Roles are model strings (see `graph.models.load`), LangChain chat models, or objects of
    `graph.roles`; tools are names or objects. `values` are further settings.
    Raises `SettingsError`, `ModelSetupError` or `ToolError` before anything runs.
    """
    roles = {"target": target, "judge": judge, "reward": reward, "engine": engine}
    settings, players = settle(settings, roles, values, tools, build_pair)
    players.take_tape()
    if settings.prompt_scope == "dataset":
        raise SettingsError("prompt_scope 'dataset' shares prompts among the tasks of a run; play it with synth()")
    return wire(players, settings, checkpointer)


def wire(
    players: Players, settings: Settings, checkpointer: Checkpointer = None, policy: PromptPolicy | None = None
) -> Graph:
    """One node a step, one conditional edge: the loop until R ≥ τ. `policy` hands out the prompts, by default
    those of each task alone."""
    policy = policy or TaskPrompts(players.engine, players.tools, settings)
    game = StateGraph(GameState)

    def add(name: str, node: Callable[[GameState], Awaitable[GameState]]) -> None:
        game.add_node(name, _Step(name, node))

    add("start", start(policy, settings))
    add("select_tools", select_tools(players.judge, players.tools))
    add("sample", sample(players.target, settings))
    add("use_task_tools", use_task_tools(players.tools))
    add("use_candidate_tools", use_candidate_tools(players.tools))
    add("aggregate", aggregate(players.judge))
    add("judge", judge_node(players.judge))
    add("pair", pair(players.build_pair, settings.min_margin))
    add("reward", reward_node(players.reward, settings))
    add("update_prompts", update_prompts(policy))

    game.add_edge(START, "start")
    for begin in ("start", "update_prompts"):  # neither needs the other: candidates are sampled as tools are chosen
        game.add_edge(begin, "sample")
        game.add_edge(begin, "select_tools")
    game.add_edge("select_tools", "use_task_tools")
    game.add_edge(["sample", "use_task_tools"], "use_candidate_tools")
    game.add_edge("use_candidate_tools", "aggregate")
    game.add_edge("aggregate", "judge")
    game.add_edge("judge", "pair")
    game.add_edge("pair", "reward")
    game.add_conditional_edges("reward", _Router(), ["update_prompts", END])
    return game.compile(checkpointer=knowing_records(checkpointer), name="anyprefer")


def accept(state: GameState) -> Literal["update_prompts", "__end__"]:
    """The router: another round with rewritten prompts, or the end. Pure."""
    return "update_prompts" if state["outcome"] == "again" else "__end__"


def start(policy: PromptPolicy, settings: Settings) -> Callable[[GameState], Awaitable[GameState]]:
    """The node that begins a task with the prompts of its first round."""

    async def run(state: GameState) -> GameState:
        task = Task.model_validate(state["task"])
        if task.system is None and settings.system:
            task = task.model_copy(update={"system": settings.system})
        return {**FRESH, "task": task, "prompts": policy.first(task), "rounds": []}

    return run


def knowing_records(checkpointer: Checkpointer) -> Checkpointer:
    """The same checkpointer, allowed to read this game's records back (LangGraph warns, and will block,
    where a type is not named)."""
    serde = getattr(checkpointer, "serde", None)
    if not isinstance(checkpointer, BaseCheckpointSaver) or type(serde) is not JsonPlusSerializer:
        return checkpointer
    allowed = serde.with_msgpack_allowlist(RECORDS)
    clone = copy.copy(checkpointer)
    clone.serde = allowed if allowed is not serde else JsonPlusSerializer(allowed_msgpack_modules=RECORDS)
    return clone


class _Router(Runnable[GameState, str]):
    """`accept` as LangGraph can await it: a plain function it would run in a thread."""

    name = accept.__name__

    async def ainvoke(self, input: GameState, config: RunnableConfig | None = None, **kwargs: Any) -> str:
        return accept(input)

    def invoke(self, input: GameState, config: RunnableConfig | None = None, **kwargs: Any) -> str:
        return accept(input)


class _Step(Runnable[GameState, GameState]):
    """An async node that `invoke` can run too, and that shows in traces under its round."""

    def __init__(self, name: str, node: Callable[[GameState], Awaitable[GameState]]) -> None:
        self.name = name
        self.node = node

    async def ainvoke(self, input: GameState, config: RunnableConfig | None = None, **kwargs: Any) -> GameState:
        closed = self.name == "update_prompts"
        number = len(input.get("rounds", ())) + (0 if closed else 1)
        if account := current_account():
            account.round, account.state = number, input
        with exits_as_errors(f"step {self.name}"):
            if unheard(config):
                return await self.node(input)
            return await RunnableLambda(self.node).ainvoke(input, patch_config(config, run_name=f"round {number}"))

    def invoke(self, input: GameState, config: RunnableConfig | None = None, **kwargs: Any) -> GameState:
        return run_blocking(self.ainvoke(input, config))
