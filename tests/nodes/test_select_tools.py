import pytest
from langchain_core.messages import AIMessage

from anyprefer.graph.errors import AnswerError
from anyprefer.nodes.select_tools import parse_calls, parse_selection
from anyprefer.tools import tool
from tests.scripted import Scripted, ScriptedWithTools, calling, play


@tool
def look_up(query: str) -> str:
    """Looks a thing up."""
    return f"found {query}"


@tool
def count(of: str, often: int = 1) -> str:
    """Counts."""
    return of * often


TOOLS = [look_up, count]
CHOICE = '[{"tool": "look_up", "arguments": {"query": "2+2"}}, {"tool": "count", "arguments": {"of": "x"}}]'


async def test_text_protocol_is_used_with_a_model_without_tool_calling():
    model = Scripted(select_tools=f"I choose these. {CHOICE}")
    row = await play(model, tools=TOOLS)
    [asked] = model.asked("select_tools")
    assert "JSON list" in asked.user
    assert "tools" not in asked.settings
    assert "- look_up (about the task): Looks a thing up. Arguments: query." in asked.user
    assert [(s.tool, s.arguments) for s in row.rounds[0].selected] == [
        ("look_up", {"query": "2+2"}),
        ("count", {"of": "x"}),
    ]
    assert [k.text for k in row.rounds[0].knowledge] == ["found 2+2", "x"]


async def test_tool_calling_is_used_with_a_model_that_has_it():
    model = ScriptedWithTools(select_tools=calling(("count", {"of": "y", "often": 2})))
    row = await play(model, tools=TOOLS)
    [asked] = model.asked("select_tools")
    assert "JSON list" not in asked.user
    assert [t["function"]["name"] for t in asked.settings["tools"]] == ["look_up", "count"]
    assert [k.text for k in row.rounds[0].knowledge] == ["yy"]


@pytest.mark.parametrize("model", [Scripted(select_tools="[]"), ScriptedWithTools(select_tools="None is needed.")])
async def test_no_tool_chosen_gives_an_empty_context_and_no_aggregation(model):
    row = await play(model, tools=TOOLS)
    assert row.outcome == "accepted"
    assert row.rounds[0].selected == ()
    assert row.rounds[0].context == ""
    assert model.asked("aggregate") == []
    assert "Context:" not in model.asked("judge")[0].user


async def test_without_tools_the_judge_is_not_asked_to_choose():
    model = Scripted()
    await play(model, tools=[])
    assert model.asked("select_tools") == []


@pytest.mark.parametrize(
    ("cls", "wrong", "right"),
    [
        (Scripted, '["nonsense"]', '["look_up"]'),
        (Scripted, "let me think", '["look_up"]'),
        (ScriptedWithTools, calling(("nonsense", {})), calling(("look_up", {}))),
    ],
)
async def test_an_unknown_tool_is_asked_again_with_another_seed(cls, wrong, right):
    model = cls(select_tools=[wrong, right])
    row = await play(model, tools=TOOLS)
    first, second = model.asked("select_tools")
    assert first.seed != second.seed
    assert row.outcome == "accepted"
    assert [s.tool for s in row.rounds[0].selected] == ["look_up"]


@pytest.mark.parametrize(
    "model", [Scripted(select_tools='["web"]'), ScriptedWithTools(select_tools=calling(("web", {})))]
)
async def test_an_unknown_tool_chosen_again_fails_the_task_by_name(model):
    row = await play(model, tools=TOOLS)
    assert len(model.asked("select_tools")) == 2
    assert row.outcome == "failed"
    assert "'web'" in row.reason
    assert "count, look_up" in row.reason
    assert row.pair is None


async def test_a_tool_call_that_is_not_json_is_no_choice():
    broken = AIMessage("", invalid_tool_calls=[{"name": "look_up", "args": "{", "id": "1", "error": "bad"}])
    row = await play(ScriptedWithTools(select_tools=broken), tools=TOOLS)
    assert row.outcome == "failed"
    assert "not JSON" in row.reason


@pytest.mark.parametrize(
    "text",
    ["no list", '[{"tool": "look_up", "arguments": [1]}]', '[{"tool": ["look_up"]}]', "[1]", "[null]", "[{}]"],
)
def test_a_choice_that_cannot_be_read_raises(text):
    with pytest.raises(AnswerError):
        parse_selection(text, TOOLS)


def test_the_same_choice_twice_counts_once():
    chosen = parse_selection(
        '["look_up", {"tool": "look_up", "arguments": {}}, {"name": "count", "args": {"of": "a"}}]', TOOLS
    )
    assert [c.tool for c in chosen] == ["look_up", "count"]


def test_a_message_that_spells_its_calls_out_is_understood():
    assert [c.tool for c in parse_calls(AIMessage('["count"]'), TOOLS)] == ["count"]


async def test_any_error_of_a_model_that_does_not_negotiate_is_asked_again_in_text_once():
    model = ScriptedWithTools(select_tools=RuntimeError("Error code: 500 - contact support"))
    row = await play(model, tools=TOOLS)
    assert len(model.asked("select_tools")) == 2
    assert "contact support" in row.reason


async def test_a_server_that_refuses_tools_is_asked_by_the_text_protocol():
    model = ScriptedWithTools(select_tools=[ValueError("400: tools are not supported"), '["look_up"]'])
    row = await play(model, tools=TOOLS)
    assert [s.tool for s in row.rounds[0].selected] == ["look_up"]
    assert "JSON list" in model.asked("select_tools")[1].user
