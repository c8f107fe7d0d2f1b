"""The one chat model of the tests: scripted by role, with every call kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field

from anyprefer.graph import Task, asynth
from tests.server import role_of


class Call:
    """One call: who was asked what, with which settings. `number` counts the role's calls from 0."""

    def __init__(self, messages: Sequence[BaseMessage], settings: dict[str, Any], number: int = 0) -> None:
        self.messages = list(messages)
        self.settings = settings
        self.number = number
        self.system = next((str(m.text) for m in messages if m.type == "system"), "")
        self.user = str(messages[-1].text)
        self.role = role_of(self.system, self.user)

    @property
    def seed(self) -> int:
        return int(self.settings["seed"])

    @property
    def shown(self) -> int:
        """How many answers the judge is shown."""
        return int(self.user.partition("Analyse each of the ")[2].split()[0])


Answer = str | AIMessage | BaseException
Script = Answer | Sequence[Answer] | Callable[[Call], Any]


def scores(*values: float) -> str:
    return "\n".join(f"Answer {n}: {value:g}/10" for n, value in enumerate(values, 1))


DEFAULTS: dict[str, Script] = {
    "sample": lambda call: f"answer {call.seed % 1000} of {call.number}",
    "select_tools": "[]",
    "aggregate": "the consolidated knowledge",
    "judge": lambda call: scores(*range(call.shown, 0, -1)),
    "reward": "A clear pair. 9/10",
    "textgrad": lambda call: f"<IMPROVED_VARIABLE>rewritten {call.number}</IMPROVED_VARIABLE>",
}


class Scripted(BaseChatModel):
    """Each role's script is an answer, a list of them (the last one repeats), or a function of the call.

    An exception among the answers is raised.
    """

    seed: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    script: dict[str, Any] = Field(default_factory=dict)
    calls: list[Any] = Field(default_factory=list)

    def __init__(self, **script: Any) -> None:
        super().__init__(script={**DEFAULTS, **script})

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def asked(self, role: str) -> list[Call]:
        return [call for call in self.calls if call.role == role]

    def _result(self, given: Any) -> ChatResult:
        if isinstance(given, BaseException):
            raise given
        usage = {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12}
        message = given if isinstance(given, AIMessage) else AIMessage(given, usage_metadata=usage)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _scripted(self, messages: list[BaseMessage], settings: dict[str, Any]) -> Any:
        call = Call(messages, settings)
        call.number = len(self.asked(call.role))
        self.calls.append(call)
        script = self.script[call.role]
        if isinstance(script, list):
            return script[min(call.number, len(script) - 1)]
        return script(call) if callable(script) else script

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **settings: Any) -> Any:
        return self._result(self._scripted(messages, settings))

    async def _agenerate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **settings: Any
    ) -> Any:
        given = self._scripted(messages, settings)
        return self._result(await given if asyncio.iscoroutine(given) else given)


class ScriptedWithTools(Scripted):
    """The same with tool calling; `select_tools` is then an AIMessage with tool calls, or text."""

    def bind_tools(self, tools: Any, **settings: Any) -> Any:
        raise AssertionError("the game passes tools with the call")


def calling(*calls: tuple[str, dict[str, Any]]) -> AIMessage:
    """A message that calls tools."""
    return AIMessage("", tool_calls=[{"name": n, "args": args, "id": str(i)} for i, (n, args) in enumerate(calls)])


def a_task(prompt: str = "What is 2 + 2?", **values: Any) -> Task:
    return Task(id=values.pop("id", "t"), prompt=prompt, **values)


async def play(model: Any, *tasks: Any, **values: Any) -> Any:
    """The row of one task (or the rows of several) with one model in every role and no tools."""
    given = {"target": model, "judge": model, "tools": [], "candidates": 3, "concurrency": 1, **values}
    rows = [row async for row in asynth(list(tasks) or [a_task()], **given)]
    return rows[0] if len(tasks) < 2 else rows
