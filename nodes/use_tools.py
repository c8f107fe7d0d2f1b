"""Runs the chosen tools: q_i = M_i(x), and for tools that look at a candidate q_i = M_i(x, y_c).

A tool that raises or hangs becomes `Knowledge.error`; the round continues without it. In a run folder a finding is kept as
a model's answer is, so a resumed run does not use the tool for it again; a failure is not kept, nor what a quick tool
found, which computes it in less time than keeping takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from anyprefer.core.game_state import GameState
from anyprefer.core.records import Finding, Knowledge, Selection
from anyprefer.core.task import Task
from anyprefer.core.values import stable_hash
from anyprefer.models import redact
from anyprefer.models.account import Account, current_account
from anyprefer.models.packing import json_form
from anyprefer.nodes.drawings import drawing_of
from anyprefer.tools import KnowledgeTool, failure_text
from anyprefer.tools.recording import asked_of

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
    found = {place: await _use(*use, None) for place, use in enumerate(uses) if use[0].at_once(use[2])}
    rest = [place for place in range(len(uses)) if place not in found]
    if rest:
        account = current_account()
        used = await asyncio.gather(*[_use(*uses[place], account) for place in rest])
        found.update(zip(rest, used, strict=True))
    return [found[place] for place in range(len(uses))]


async def _use(tool: KnowledgeTool, choice: Selection, given: Mapping[str, Any], account: Account | None) -> Knowledge:
    """One tool, once; `given` is what the game can pass it, `account` keeps the finding."""
    candidate = given.get("candidate")
    fixed: dict[str, Any] = {
        "tool": tool.name,
        "arguments": choice.arguments,
        "candidate": None if candidate is None else candidate.index,
    }
    arguments = dict(choice.arguments)
    if "query" in tool.arguments and not arguments.get("query"):
        arguments["query"] = given["task"].text
    inputs = {**arguments, **{name: given[name] for name in tool.wants}}
    try:
        finding = await (_found_once(account, tool, inputs) if account else tool.found(inputs))
        return Knowledge(**fixed, **{name: getattr(finding, name) for name in _TOLD})
    except Exception as error:
        return Knowledge(**fixed, error=redact(failure_text(error)))


FINDINGS = json_form(asdict, lambda told: Finding(**told))
_TOLD = ("text", "verdict", "weight", "data", "images", "seconds")


async def _found_once(account: Account, tool: KnowledgeTool, inputs: Mapping[str, Any]) -> Finding:
    """The finding this use had before the run was resumed, else a new one."""
    key = stable_hash(asked_of(tool, {**inputs, **tool.set_options}))[:40]
    return await account.once("tool", key, partial(tool.found, inputs), FINDINGS)


def all_knowledge(state: GameState) -> str:
    """The round's whole knowledge base; see `knowledge_lines`."""
    return knowledge_lines([*state["task_knowledge"], *state["candidate_knowledge"]])


def knowledge_lines(found: Sequence[Knowledge]) -> str:
    """The knowledge base as the judge reads it; failed tools are named as such."""
    return "\n".join(f"{_source(item)} " + (f"failed: {item.error}" if item.error else item.text) for item in found)


def found_images(task: Task, found: Sequence[Knowledge]) -> list[tuple[str, str]]:
    """The images among the knowledge, and the task's picture with the regions of those findings that bring none, each
    with whose it is, as in `knowledge_lines`. Blocks where it draws."""
    return [(_source(item), image) for item in found for image in item.images or drawing_of(item, task)]


def _source(item: Knowledge) -> str:
    about = "" if item.candidate is None else f" about answer {item.candidate + 1}"
    return f"[{item.tool}{about}]"
