"""The wiring of the game, in the order of Algorithm 1 (arXiv 2504.19276). Read this file first.

    start ─┬→ sample ───────┬→ use_tools → judge → reward ─┬→ end
        ↑  └→ select_tools ─┘                              │
        └──────────────── update_prompts ←───── R < τ ─────┘

A node is a step of the paper: `select_tools` chooses S and runs the tools that look at the task while candidates are
sampled, `use_tools` runs those that look at a candidate and consolidates what was found, `reward` forms the pair and
rates it.

`build_graph` returns a compiled LangGraph: `ainvoke`, `invoke`, `stream`, a checkpointer and
`get_graph().draw_mermaid()` work as on any other. `state_graph` returns the same uncompiled, to be changed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.tools import BaseTool
from langgraph.graph import END, START
from langgraph.types import Checkpointer

from anyprefer.core.errors import SettingsError
from anyprefer.core.game_state import FRESH, GameState
from anyprefer.core.roles import Builder, Engine, Judge, PromptPolicy, RewardModel, Target
from anyprefer.core.settings import RunSettings, Settings, shows_settings
from anyprefer.core.task import NewTask
from anyprefer.graph.game_graph import GameGraph, Graph
from anyprefer.graph.players import Players, settle
from anyprefer.graph.steps import Part, Router, Step
from anyprefer.nodes.aggregate import aggregate
from anyprefer.nodes.judge import judge as judge_node
from anyprefer.nodes.reward import reward as reward_node
from anyprefer.nodes.sample import sample
from anyprefer.nodes.select_tools import select_tools
from anyprefer.nodes.update_prompts import TaskPrompts, update_prompts
from anyprefer.nodes.use_tools import use_candidate_tools, use_task_tools


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

    Roles are model strings (see `models/load.py`), LangChain chat models, or objects of
    `core/roles.py`; tools are names or objects. `values` are further settings.
    Raises `SettingsError`, `ModelSetupError` or `ToolError` before anything runs.
    """
    graph = state_graph(
        settings, target=target, judge=judge, reward=reward, engine=engine, tools=tools, build_pair=build_pair, **values
    )
    if graph.settings.prompt_scope == "dataset":
        raise SettingsError("prompt_scope 'dataset' shares prompts among the tasks of a run; play it with synth()")
    return graph.compile(checkpointer)


@shows_settings
def state_graph(
    settings: Settings | None = None,
    *,
    target: Target | BaseChatModel | str | None = None,
    judge: Judge | BaseChatModel | str | None = None,
    reward: RewardModel | BaseChatModel | str | None = None,
    engine: Engine | BaseChatModel | str | None = None,
    tools: Sequence[str | BaseTool] | None = None,
    build_pair: Builder | None = None,
    **values: Any,
) -> GameGraph:
    """The game as a LangGraph `StateGraph` that is not compiled yet; arguments as for `build_graph`.

    Its nodes and edges may be changed before it is compiled, or played by `synth(tasks, graph=…)`:

        graph = state_graph(target="smollm2", judge="evidence")
        graph.edges.remove(("use_tools", "judge"))          # a node of one's own between two steps
        graph.add_node("look_again", look_again)
        graph.add_edge("use_tools", "look_again")
        graph.add_edge("look_again", "judge")

        del graph.nodes["judge"]                            # a step replaced
        graph.add_node("judge", my_judge)
    """
    roles = {"target": target, "judge": judge, "reward": reward, "engine": engine}
    settings, players = settle(settings, roles, values, tools, build_pair)
    return wire(players, settings)


def names(players: Players, settings: RunSettings, graph: GameGraph | None) -> dict[str, str]:
    """Who plays, by role, as rows and run folders say it; and what graph, where it is not the game's own."""
    changed = graph and graph.described()
    return players.names() | ({"graph": changed} if changed and changed != wire(players, settings).described() else {})


def wire(
    players: Players, settings: RunSettings, policy: PromptPolicy | None = None, graph: GameGraph | None = None
) -> GameGraph:
    """One node a step, one conditional edge: the loop until R ≥ τ. `policy` hands out the prompts, by default
    those of each task alone. The same for a `graph` that was changed: its steps are made again, the rest stays."""
    policy = policy or TaskPrompts(players.judge, players.engine, players.tools, settings)
    game = GameGraph(players, settings)

    def add(name: str, *parts: Part) -> None:
        game.add_node(name, Step(name, *parts))

    add("start", start(policy, settings))
    add("sample", sample(players.target, settings))
    add("select_tools", select_tools(players.judge, players.tools), use_task_tools(players.tools))
    add("use_tools", use_candidate_tools(players.tools), aggregate(players.judge))
    add("judge", judge_node(players.judge))
    add("reward", reward_node(players.build_pair, players.reward, settings))
    add("update_prompts", update_prompts(policy))

    game.add_edge(START, "start")
    for begin in ("start", "update_prompts"):  # neither needs the other: candidates are sampled as tools are chosen
        game.add_edge(begin, "sample")
        game.add_edge(begin, "select_tools")
    game.add_edge(["sample", "select_tools"], "use_tools")
    game.add_edge("use_tools", "judge")
    game.add_edge("judge", "reward")
    game.add_conditional_edges("reward", Router(), ["update_prompts", END])
    return graph.rewired(game) if graph else game


def start(policy: PromptPolicy, settings: Settings) -> Callable[[GameState], Awaitable[GameState]]:
    """The node that begins a task with the prompts of its first round."""

    async def run(state: GameState) -> GameState:
        task = NewTask.taken(state["task"])
        if task.system is None and settings.system:
            task = task.model_copy(update={"system": settings.system})
        return {**FRESH, "task": task, "prompts": policy.first(task), "rounds": []}

    return run
