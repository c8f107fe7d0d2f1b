import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from langchain_core.tools import tool as langchain_tool
from pydantic import ValidationError

import anyprefer.tools as here
from anyprefer.core.errors import ToolError
from anyprefer.core.records import Candidate
from anyprefer.core.settings import Settings
from anyprefer.core.task import Task
from anyprefer.tools import TOOLS, as_knowledge_tool, load_tools

SOURCE = (
    'from anyprefer.tools.base import tool\n\n@tool\ndef {}(query: str) -> str:\n    """Does."""\n    return query\n'
)


@langchain_tool
def shout(candidate: str, task: str, mark: str = "!") -> str:
    """Shouts."""
    return f"{task} {candidate}{mark}"


def test_shipped_tools_are_found_and_the_defaults_exist() -> None:
    found = TOOLS.names()
    assert {"answer_form", "calculator", "fact_check", "knowledge_search"} <= set(found)
    assert {"reference", "reward_model", "web_search"} <= set(found)
    assert [one.name for one in load_tools(Settings().tools)] == list(Settings().tools)


def test_a_dropped_file_is_all_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here, "__path__", [*here.__path__, str(tmp_path)])
    (tmp_path / "dropped_one.py").write_text(SOURCE.format("dropped_one"))
    assert "dropped_one" in TOOLS.names()
    (tmp_path / "dropped_two.py").write_text(SOURCE.format("calculator"))
    with pytest.raises(ToolError, match=r"two tools are named 'calculator'; rename the one in .*dropped_two\.py"):
        TOOLS.names()
    (tmp_path / "dropped_two.py").unlink()
    (tmp_path / "dropped_three.py").write_text("import nowhere_to_be_found\n" + SOURCE.format("dropped_three"))
    with pytest.raises(ToolError, match=r"dropped_three\.py cannot be loaded"):
        TOOLS.get("dropped_three")


def test_entry_points_are_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    good = EntryPoint("shout", "langchain_core.tools:nothing", "anyprefer.tools")
    monkeypatch.setattr("anyprefer.core.registry.entry_points", lambda group: [good])
    assert "shout" in TOOLS.names()
    with pytest.raises(ToolError, match=r"tool 'shout' of a package .langchain_core.tools:nothing. cannot be loaded"):
        TOOLS.get("shout")
    monkeypatch.setattr(EntryPoint, "load", lambda self: shout)
    assert TOOLS.get("shout").looks_at == "candidate"
    monkeypatch.setattr(EntryPoint, "load", lambda self: 5)
    with pytest.raises(ToolError, match=r"langchain_core.tools:nothing.*5 is no tool"):
        TOOLS.get("shout")


def test_only_the_named_entry_point_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []

    def load(self: EntryPoint) -> object:
        loaded.append(self.name)
        if self.name == "bad":
            raise SystemExit("bye")
        return shout

    points = [EntryPoint(name, "x:y", "anyprefer.tools") for name in ("bad", "shout")]
    monkeypatch.setattr("anyprefer.core.registry.entry_points", lambda group: points)
    monkeypatch.setattr(EntryPoint, "load", load)
    assert load_tools(["calculator", "shout"])[1].name == "shout"
    with pytest.raises(ToolError, match="did you mean 'calculator'"):
        load_tools(["calculatr"])
    assert loaded == ["shout"]
    with pytest.raises(ToolError, match=r"tool 'bad' .* cannot be loaded: SystemExit: bye"):
        load_tools(["bad"])


@pytest.mark.parametrize("content", ["hey", ""])
async def test_a_langchain_tool_is_passed_texts(content: str) -> None:
    one = as_knowledge_tool(shout)
    given = {"task": Task(id="1", prompt="Say"), "candidate": Candidate(index=0, content=content, seed=0)}
    assert await one.ainvoke(given) == f"Say {content}!"
    assert await one.ainvoke({**given, "mark": "?"}) == f"Say {content}?"
    with pytest.raises(ValidationError):
        await one.ainvoke({**given, "unknown": 1})


async def test_a_langchain_tool_may_compare_texts() -> None:
    @langchain_tool
    def longest(candidate: str, candidates: list[str]) -> bool:
        """Whether it is the longest."""
        return candidate == max(candidates, key=len)

    two = tuple(Candidate(index=n, content=text, seed=n) for n, text in enumerate(("a", "ab")))
    one = as_knowledge_tool(longest)
    assert (one.wants, one.looks_at, set(one.args)) == (("candidate", "candidates"), "candidate", set())
    assert [await one.ainvoke({"candidate": c, "candidates": two}) for c in two] == [False, True]


def test_candidates_alone_are_the_judges_argument() -> None:
    @langchain_tool
    def elect(candidates: list[str]) -> str:
        """Looks up who stands for election."""
        return ", ".join(candidates)

    one = as_knowledge_tool(elect)
    assert (one.wants, one.looks_at, set(one.args)) == ((), "task", {"candidates"})


def test_a_named_tool_is_imported_alone() -> None:
    program = "import sys; from anyprefer.tools import load_tools; load_tools(['answer_form']); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "anyprefer.tools.answer_form" in loaded
    assert "anyprefer.tools.knowledge_search" not in loaded


def test_a_tool_is_found_in_a_file_of_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here, "__path__", [*here.__path__, str(tmp_path)])
    (tmp_path / "dropped_four.py").write_text(SOURCE.format("of_another_name"))
    assert [one.name for one in load_tools(["of_another_name", "answer_form"])] == ["of_another_name", "answer_form"]


def test_loading_refuses_what_it_cannot_mean() -> None:
    with pytest.raises(ToolError, match="did you mean 'calculator'"):
        load_tools(["calculater"])
    with pytest.raises(ToolError, match="given twice"):
        load_tools(["calculator", "calculator"])
    with pytest.raises(ToolError, match="not among the tools"):
        load_tools(["calculator"], {"fact_check": {"k": 2}})
    with pytest.raises(ToolError, match="no option 'kk'"):
        load_tools(["fact_check"], {"fact_check": {"kk": 2}})


def test_options_are_set_in_order() -> None:
    first, second = load_tools([shout, "fact_check"], {"fact_check": {"k": 2}})
    assert (first.name, second.set_options) == ("shout", {"k": 2})
    assert load_tools([]) == []
