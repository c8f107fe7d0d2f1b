"""The judge chooses S ⊆ tools (§2.2): by tool calling where the model has it, by a text protocol where not."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from anyprefer.core.errors import AnswerError, ModelError, near
from anyprefer.core.game_state import GameState
from anyprefer.core.records import Selection
from anyprefer.core.roles import Judge
from anyprefer.core.settings import Settings
from anyprefer.core.values import derive_seed
from anyprefer.models import traits_of
from anyprefer.models.answer import Answer, read_answer
from anyprefer.models.ask import ask
from anyprefer.models.messages import asked
from anyprefer.models.servers.openai_chat import refuses, takes
from anyprefer.nodes import prompt_texts
from anyprefer.nodes.scores.found_json import Unclear
from anyprefer.nodes.scores.parsing import own_json
from anyprefer.nodes.tool_calls import Call, arguments_of, spelled
from anyprefer.tools import KnowledgeTool

log = logging.getLogger("anyprefer")


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
    """Asks a chat model. A server that refuses tool calling is asked by the text protocol instead; after a choice that
    cannot be read, asked again, all tools are used, and each selection's note says so."""
    try:
        return await _asked(model, state, tools, settings)
    except AnswerError as error:
        note = f"all tools are used, since the judge's choice could not be read: {error.reason}"
        log.warning("%s: %s", state["task"].id, note)
        return [Selection(tool=tool.name, note=note) for tool in tools]


async def _asked(
    model: BaseChatModel, state: GameState, tools: Sequence[BaseTool], settings: Settings
) -> list[Selection]:
    shown = [state["task"].text]

    async def attempt(form: str, parse: Callable[[AIMessage], list[Selection]], **extra: Any) -> list[Selection]:
        return await ask(
            model,
            _messages(state, tools, form),
            "select_tools",
            parse=parse,
            seed=derive_seed(settings.seed, state["task"].id, len(state["rounds"]), "select"),
            temperature=0.0,
            max_tokens=settings.judge_max_new_tokens,
            **extra,
        )

    if traits_of(model).tools and takes(model, "tools"):
        offered = {"tools": [_offer(_Shown(tool)) for tool in tools]}
        try:
            return await attempt("", lambda answer: parse_calls(answer, tools, shown), binding=offered)
        except ModelError as error:
            if not refuses(model, error):
                raise
    form = prompt_texts.text("select_tools_form")
    return await attempt(form, lambda answer: parse_selection(answer, tools, shown))


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


def parse_calls(message: AIMessage, tools: Sequence[BaseTool], shown: Sequence[str] = ()) -> list[Selection]:
    """The tool calls of a message; without any it chooses none, unless its text spells calls out or names a tool.

    Raises `AnswerError` for calls that cannot be read or name no tool.
    """
    made: list[Call] = [{"tool": one["name"], "arguments": one["args"]} for one in message.tool_calls]
    made += [{"tool": one["name"], "arguments": one["args"]} for one in message.invalid_tool_calls]
    answer = read_answer(message)
    if made:
        return _known(made, tools, answer.text or str(made))
    calls = _spelled(answer, tools, shown)
    if calls is None and not any(_mentions(answer.text, tool.name) for tool in tools):
        return []
    return _known(_read(calls, answer), tools, answer.text)


def parse_selection(message: AIMessage | str, tools: Sequence[BaseTool], shown: Sequence[str] = ()) -> list[Selection]:
    """The choice that the text spells out, see `tool_calls.py`; what it repeats of `shown` is none. Raises
    `AnswerError` where there is none, or where it names no tool."""
    answer = read_answer(AIMessage(message) if isinstance(message, str) else message)
    calls = _spelled(answer, tools, shown)
    return _known(_read(calls, answer), tools, answer.text)


def _spelled(answer: Answer, tools: Sequence[BaseTool], shown: Sequence[str]) -> list[Call] | None:
    try:
        return spelled(own_json(answer.text, shown), [tool.name for tool in tools])
    except Unclear as why:
        raise AnswerError(str(why), answer.text) from why


def _read(calls: list[Call] | None, answer: Answer) -> list[Call]:
    if calls is None:
        raise AnswerError(answer.flaw or "the choice of tools is not one JSON list", answer.text)
    return calls


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def _known(calls: Sequence[Call], tools: Sequence[BaseTool], text: str) -> list[Selection]:
    """The calls of tools that there are, each once; the first one's note names what was left out."""
    names = [tool.name for tool in tools]
    unknown = {str(call["tool"]): near(str(call["tool"]), names) for call in calls if call["tool"] not in names}
    left_out = "; ".join(f"{name[:80]!r} is no tool, {fix}" for name, fix in unknown.items())
    if calls and len(unknown) == len({str(call["tool"]) for call in calls}):
        raise AnswerError(f"the judge chose no tool that there is: {left_out}", text)
    chosen: dict[str, Selection] = {}
    for call in calls:
        if call["tool"] not in names:
            continue
        arguments = arguments_of(call["arguments"])
        if arguments is None:
            raise AnswerError(f"the arguments of {call['tool']} are not a JSON object", text)
        key = call["tool"] + json.dumps(arguments, sort_keys=True, default=str)
        chosen.setdefault(key, Selection(tool=call["tool"], arguments=arguments, note="" if chosen else left_out))
    if left_out:
        log.warning("tools left out of the judge's choice: %s", left_out)
    return list(chosen.values())


def _messages(state: GameState, tools: Sequence[BaseTool], form: str) -> list[Any]:
    lines = [f"- {tool.name} (about the {getattr(tool, 'looks_at', 'task')}): {tool.description}" for tool in tools]
    if form:
        lines = [
            f"{line} Arguments: {', '.join(tool.args) or 'none'}." for line, tool in zip(lines, tools, strict=True)
        ]
    last = state["rounds"][-1].feedback if state["rounds"] else ""
    task, query = state["task"], state["task"].text
    fence = prompt_texts.Fence(derive_seed(task.id, len(state["rounds"]), "select"), [query, last])
    body = fence.fill(
        prompt_texts.text("select_tools"),
        {"feedback": ("Feedback on the previous round: ", last), "query": ("Query: ", query)},
        tools="\n".join(lines),
        form=form,
    )
    return asked(state["prompts"].judge, body, task.images)
