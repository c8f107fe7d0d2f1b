from typing import Any

import pytest
from pydantic import ValidationError

from anyprefer.core.errors import ToolError
from anyprefer.core.records import Candidate
from anyprefer.core.task import Task
from anyprefer.tools import Finding, ToolFailure, as_finding, failure_text, tool

TASK = Task(id="t", prompt="Where?")
CANDIDATE = Candidate(index=0, content="Here", seed=1)


@tool
def look(task: Task, candidate: Candidate, place: str, times: int = 1, *, depth: int = 2) -> Finding:
    """Looks somewhere."""
    return Finding(f"{task.prompt} {candidate.text} {place} {times} {depth}")


def test_the_signature_says_everything() -> None:
    assert (look.name, look.description, look.looks_at) == ("look", "Looks somewhere.", "candidate")
    assert (look.wants, look.options, set(look.args)) == (("task", "candidate"), ("depth",), {"place", "times"})


async def test_it_runs_with_options_and_defaults() -> None:
    given = {"task": TASK, "candidate": CANDIDATE, "place": "up"}
    assert (await look.ainvoke(given)).text == "Where? Here up 1 2"
    assert (await look.with_options(depth=5).ainvoke(given)).text == "Where? Here up 1 5"
    assert look.set_options == {}


@pytest.mark.parametrize("arguments", [{"place": "up", "depth": 3}, {"place": "up", "nonsense": 1}, {}, {"place": []}])
async def test_wrong_arguments_of_the_judge_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        await look.ainvoke({"task": TASK, "candidate": CANDIDATE, **arguments})


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(ToolError, match=r"'look' has no option 'deep'; it has: depth"):
        look.with_options(deep=1)


@pytest.mark.parametrize("wrong", ["three", [3], None, 1.5])
def test_an_option_of_another_type_is_refused_before_the_run(wrong: Any) -> None:
    with pytest.raises(ToolError, match=r"tool 'look': option depth is .*integer"):
        look.with_options(depth=wrong)


def test_what_goes_wrong_in_a_preparation_stops_the_run_with_the_tools_name() -> None:
    @tool
    def heavy(query: str, *, path: str = "") -> str:
        """Looks."""
        return query

    @heavy.preparation
    def load(*, path: str = "") -> None:
        raise OSError(f"{path} is gated")

    with pytest.raises(ToolError, match="tool 'heavy' cannot be prepared: OSError: m is gated"):
        heavy.with_options(path="m").prepare()


def test_an_instruction_replaces_the_description_of_a_copy() -> None:
    assert look.with_instruction("Look well.").description == "Look well."
    assert look.description == "Looks somewhere."


async def test_async_functions_and_plain_text_work() -> None:
    @tool
    async def echo(query: str) -> str:
        """Echoes."""
        return query

    assert await echo.ainvoke({"query": "{x}"}) == "{x}"
    assert await echo.ainvoke("text alone") == "text alone"
    assert echo.looks_at == "task"


@pytest.mark.parametrize("error", [ValueError("bad"), StopIteration(), KeyError("x")])
async def test_what_a_tool_raises_arrives(error: Exception) -> None:
    @tool
    def broken() -> str:
        """Breaks."""
        raise error

    with pytest.raises((RuntimeError, type(error))):
        await broken.ainvoke({})


def test_bad_declarations_are_refused() -> None:
    def undocumented(query: str) -> str:
        return query

    def untyped(query) -> str:  # type: ignore[no-untyped-def]
        """Text."""
        return str(query)

    with pytest.raises(ToolError, match="docstring"):
        tool(undocumented)
    with pytest.raises(ToolError, match="type hint"):
        tool(untyped)


def test_results_become_findings() -> None:
    assert as_finding("text") == Finding("text")
    assert as_finding({"a": 1}) == Finding('{"a": 1}', data={"a": 1})
    with pytest.raises(TypeError):
        as_finding(Finding("x", data=object()))


def test_failures_are_said_plainly() -> None:
    assert failure_text(ToolFailure("offline")) == "offline"
    assert failure_text(ValueError("bad")) == "ValueError: bad"
