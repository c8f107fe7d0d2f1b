"""The judge chooses S ⊆ tools (§2.2): by tool calling where the model has it, by a text protocol where not."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from anyprefer.graph.errors import AnswerError, ModelError
from anyprefer.graph.models import traits_of
from anyprefer.graph.models.openai_chat import refuses, takes
from anyprefer.graph.roles import Judge
from anyprefer.graph.settings import Settings
from anyprefer.graph.state import GameState, Selection, derive_seed
from anyprefer.nodes import prompts
from anyprefer.nodes.answers import find_json
from anyprefer.nodes.ask import ask, system, user
from anyprefer.tools import KnowledgeTool


def select_tools(judge: Judge, tools: Sequence[KnowledgeTool]) -> Callable[[GameState], Awaitable[GameState]]:
    """The node. The judge sees each tool with its current instruction; choosing none is fine."""

    async def run(state: GameState) -> GameState:
        if not tools:
            return {"selected": []}
        shown = [tool.with_instruction(state["prompts"].tools[tool.name]) for tool in tools]
        return {"selected": await judge.select(state, shown)}

    return run


async def choose_tools(
    model: BaseChatModel, state: GameState, tools: Sequence[BaseTool], settings: Settings
) -> list[Selection]:
    """Asks a chat model. A server that refuses tool calling is asked by the text protocol instead."""

    async def attempt(form: str, parse: Callable[[AIMessage], list[Selection]], **extra: Any) -> list[Selection]:
        return await ask(
            model,
            _messages(state, tools, form),
            "select_tools",
            parse=parse,
            reasks=settings.reasks,
            seed=derive_seed(settings.seed, state["task"].id, len(state["rounds"]), "select"),
            temperature=0.0,
            max_tokens=settings.judge_max_new_tokens,
            **extra,
        )

    if traits_of(model).tools and takes(model, "tools"):
        offered = {"tools": [_offer(_Shown(tool)) for tool in tools]}
        try:
            return await attempt("", lambda answer: parse_calls(answer, tools), binding=offered)
        except ModelError as error:
            if not refuses(model, error):
                raise
    form = prompts.text("select_tools_form")
    return await attempt(form, lambda answer: parse_selection(str(answer.text), tools))


class _Shown:
    """A tool that equals another when a model would see the same of both."""

    def __init__(self, tool: BaseTool) -> None:
        self.tool = tool
        self._seen = (tool.name, tool.description, tool.args_schema if isinstance(tool.args_schema, type) else id(tool))

    def __hash__(self) -> int:
        return hash(self._seen)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Shown) and self._seen == other._seen


@lru_cache(maxsize=1024)
def _offer(shown: _Shown) -> dict[str, Any]:
    """OpenAI's description of a tool; made once, since making it costs more than a call."""
    return convert_to_openai_tool(shown.tool)


def parse_calls(answer: AIMessage, tools: Sequence[BaseTool]) -> list[Selection]:
    """The tool calls of a message; without any it chooses none, unless it spells its choice out in text.

    Raises `AnswerError` for a call that is not JSON or names no tool.
    """
    text = str(answer.text)
    if answer.invalid_tool_calls:
        raise AnswerError("a tool call of the judge is not JSON", str(answer.invalid_tool_calls))
    if answer.tool_calls:
        return _known([{"tool": made["name"], "arguments": made["args"]} for made in answer.tool_calls], tools, text)
    try:
        return parse_selection(text, tools)
    except AnswerError:
        return []


def parse_selection(text: str, tools: Sequence[BaseTool]) -> list[Selection]:
    """A JSON list of {"tool", "arguments"} anywhere in the text. Raises `AnswerError` without one."""
    found = find_json(text, list)
    if found is None:
        raise AnswerError("the judge's choice of tools is not a JSON list", text)
    items = [item if isinstance(item, dict) else {"tool": item} for item in found]
    return _known(items, tools, text)


def _known(items: Sequence[dict[str, Any]], tools: Sequence[BaseTool], text: str) -> list[Selection]:
    names = [tool.name for tool in tools]
    chosen: dict[str, Selection] = {}
    for item in items:
        name, arguments = item.get("tool") or item.get("name"), item.get("arguments") or item.get("args") or {}
        if name not in names or not isinstance(arguments, dict):
            raise AnswerError(f"the judge chose {name!r}; the tools are {', '.join(sorted(names))}", text or str(items))
        key = name + json.dumps(arguments, sort_keys=True, default=str)
        chosen.setdefault(key, Selection(tool=name, arguments=arguments))
    return list(chosen.values())


def _messages(state: GameState, tools: Sequence[BaseTool], form: str) -> list[Any]:
    lines = [f"- {tool.name} (about the {getattr(tool, 'looks_at', 'task')}): {tool.description}" for tool in tools]
    if form:
        lines = [
            f"{line} Arguments: {', '.join(tool.args) or 'none'}." for line, tool in zip(lines, tools, strict=True)
        ]
    last = state["rounds"][-1].feedback if state["rounds"] else ""
    task = state["task"]
    body = prompts.fill(
        prompts.text("select_tools"),
        tools="\n".join(lines),
        feedback=f"Feedback on the previous round: {last}" if last else "",
        query=task.text,
        form=form,
    )
    return [system(state["prompts"].judge), user(body, task.images)]
