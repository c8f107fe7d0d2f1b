"""Runs the chosen tools: q_i = M_i(x), and for tools that look at a candidate q_i = M_i(x, y_c).

A tool that raises or hangs becomes `Knowledge.error`; the round goes on without it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from anyprefer.core.game_state import GameState
from anyprefer.core.records import Knowledge, Selection
from anyprefer.models import redact
from anyprefer.tools import KnowledgeTool, as_finding, failure_text

Node = Callable[[GameState], Awaitable[GameState]]


def use_task_tools(tools: Sequence[KnowledgeTool]) -> Node:
    """The node beside sampling: tools that look at the task alone."""
    by_name = {tool.name: tool for tool in tools if tool.looks_at == "task"}

    async def run(state: GameState) -> GameState:
        chosen = [choice for choice in state["selected"] if choice.tool in by_name]
        return {"task_knowledge": await _all([(by_name[one.tool], one, {"task": state["task"]}) for one in chosen])}

    return run


def use_candidate_tools(tools: Sequence[KnowledgeTool]) -> Node:
    """The node after sampling: every chosen candidate-level tool on every candidate."""
    by_name = {tool.name: tool for tool in tools if tool.looks_at == "candidate"}

    async def run(state: GameState) -> GameState:
        chosen = [choice for choice in state["selected"] if choice.tool in by_name]
        given = {"task": state["task"], "candidates": tuple(state["candidates"])}
        uses = [
            (by_name[choice.tool], choice, {**given, "candidate": candidate})
            for candidate in state["candidates"]
            for choice in chosen
        ]
        return {"candidate_knowledge": await _all(uses)}

    return run


async def _all(uses: Sequence[tuple[KnowledgeTool, Selection, Mapping[str, Any]]]) -> list[Knowledge]:
    """What came of each use, in order, all at once; quick tools come first, each is done before a task of its own
    would have begun."""
    found = {place: await _use(*use) for place, use in enumerate(uses) if use[0].at_once(use[2])}
    rest = [place for place in range(len(uses)) if place not in found]
    if rest:
        found.update(zip(rest, await asyncio.gather(*(_use(*uses[place]) for place in rest)), strict=True))
    return [found[place] for place in range(len(uses))]


async def _use(tool: KnowledgeTool, choice: Selection, given: Mapping[str, Any]) -> Knowledge:
    """One tool, once; `given` is what the game can pass it."""
    candidate = given.get("candidate")
    fixed: dict[str, Any] = {
        "tool": tool.name,
        "arguments": choice.arguments,
        "candidate": None if candidate is None else candidate.index,
    }
    arguments = dict(choice.arguments)
    if "query" in tool.arguments and not arguments.get("query"):
        arguments["query"] = given["task"].text
    injected = {name: given[name] for name in tool.wants}
    begun = time.perf_counter()
    try:
        finding = as_finding(await tool.ainvoke({**arguments, **injected}))
        seconds = time.perf_counter() - begun if finding.seconds is None else finding.seconds
        return Knowledge(
            **fixed,
            text=finding.text,
            verdict=finding.verdict,
            weight=finding.weight,
            data=finding.data,
            seconds=round(seconds, 6),
        )
    except Exception as error:
        return Knowledge(**fixed, error=redact(failure_text(error)))


def all_knowledge(state: GameState) -> str:
    """The round's whole knowledge base; see `knowledge_lines`."""
    return knowledge_lines([*state["task_knowledge"], *state["candidate_knowledge"]])


def knowledge_lines(found: Sequence[Knowledge]) -> str:
    """The knowledge base as the judge reads it; failed tools are named as such."""
    lines = []
    for item in found:
        about = "" if item.candidate is None else f" about answer {item.candidate + 1}"
        lines.append(f"[{item.tool}{about}] " + (f"failed: {item.error}" if item.error else item.text))
    return "\n".join(lines)
