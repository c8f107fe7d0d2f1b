"""`langgraph.json`: the graph it names is served with its input, its context and a review, and refuses what is no page's."""

import importlib
import json
from pathlib import Path

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from langgraph_sdk.runtime import _ExecutionRuntime, _ReadRuntime

from anyprefer.core.errors import AnypreferError, SettingsError
from anyprefer.core.records import RECORDS
from anyprefer.graph import served
from anyprefer.graph.runs.marks import marks_by_row
from tests.command_line import run
from tests.scripted import Scripted

ROOT = Path(__file__).parents[2]
THREAD = {"configurable": {"thread_id": "1"}}
RUNTIME = {"user": None, "store": None}


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    """No graph of another test, and a folder for reviews."""
    served._played.cache_clear()
    monkeypatch.setenv(served.FOLDER, str(tmp_path / "reviewed"))
    monkeypatch.delenv(served.SETTINGS, raising=False)


@pytest.fixture
def scripted(monkeypatch):
    """What every model string stands for."""
    model = Scripted()
    monkeypatch.setattr("anyprefer.graph.players.load_model", lambda spec, role, servers: model)
    return model


def named():
    """What langgraph.json names."""
    graph = json.loads((ROOT / "langgraph.json").read_text())["graphs"]["anyprefer"]
    module, _, name = graph["path"].partition(":")
    return getattr(importlib.import_module(module), name)


async def asked_for(**context):
    runtime = _ExecutionRuntime(access_context="threads.create_run", context=None, **RUNTIME)
    return await named()({"configurable": {"thread_id": "1", "graph_id": "anyprefer", **context}}, runtime)


async def test_schemas_are_read_without_a_model():
    graph = await named()({"configurable": {}}, _ReadRuntime(access_context="assistants.read", **RUNTIME))
    task = graph.get_input_jsonschema()["$defs"]["NewTask"]
    assert (task["required"], task["properties"]["prompt"]["description"][:12]) == (["prompt"], "What the tar")
    offered = graph.get_context_jsonschema()["properties"]
    assert {"target", "judge", "tools", "threshold", "review"} <= offered.keys()
    assert not {"key_env", "headers", "tool_options", "record", "image_roots"} & offered.keys()
    assert "mark" in graph.get_output_jsonschema()["properties"]


async def test_the_named_graph_plays_asks_and_keeps_the_mark(scripted, tmp_path):
    context = {"target": "openai:x@http://127.0.0.1:1/v1", "judge": "target", "tools": [], "candidates": 3}
    graph = (await asked_for(**context, review="accepted", threshold=9)).copy({"checkpointer": InMemorySaver()})
    state = await graph.ainvoke({"task": {"prompt": "What is 2 + 2?"}}, THREAD, context=context)
    assert state["__interrupt__"][0].value["prompt"] == "What is 2 + 2?"
    state = await graph.ainvoke(Command(resume={"satisfaction": "okay", "by": "ana"}), THREAD, context=context)
    assert (state["outcome"], state["mark"].satisfaction, len(scripted.asked("sample"))) == ("accepted", "okay", 3)
    [run] = (tmp_path / "reviewed").iterdir()
    assert [by for [(by, _)] in marks_by_row(run).values()] == ["ana"]


async def test_without_a_review_nothing_is_asked_and_nothing_written(scripted, tmp_path):
    graph = await asked_for(target="smollm2", judge="target", tools=[])
    assert "review" not in graph.nodes
    assert (await graph.ainvoke({"task": {"prompt": "What is 2 + 2?"}}))["outcome"] == "accepted"
    assert not (tmp_path / "reviewed").exists()


async def test_what_a_page_may_not_name_is_refused(scripted, tmp_path, monkeypatch):
    elsewhere = "openai:x@https://models.example.org/v1"
    for context, words in (
        ({"target": elsewhere}, "is at a server that the settings file"),
        ({"judge": elsewhere.replace("example.org", "example.org.evil")}, "does not name"),
        ({"judge": f"pointwise:{elsewhere}"}, "does not name"),
        ({"target": "policy:server:HTTP://models.example.org"}, "does not name"),
        ({"target": "openai:x@http://127.0.0.1@models.example.org/v1"}, "does not name"),
        ({"reward": "mine.py:Reward"}, "is code; name it in the settings file"),
        ({"tools": ["os:system"]}, "tool 'os:system' is code"),
        ({"pair": "mine.py:pairs"}, "pair 'mine.py:pairs' is code"),
        ({"threshold": 11}, "threshold"),
    ):
        with pytest.raises(AnypreferError, match=words):
            await asked_for(**context)
    (tmp_path / "mine.toml").write_text('tools = []\n[servers."https://models.example.org"]\nrpm = 30\n')
    monkeypatch.setenv(served.SETTINGS, str(tmp_path / "mine.toml"))
    assert (await asked_for(target=elsewhere, judge="target")).nodes.keys() >= {"sample", "judge"}
    with pytest.raises(SettingsError, match="does not name"):
        await asked_for(target="openai:x@https://models.example.org.evil/v1")


async def test_a_task_that_is_none_says_what_one_is(scripted):
    graph = await asked_for(target="smollm2", judge="target", tools=[])
    with pytest.raises(AnypreferError, match=r'task.prompt: Field required; a task is \{"prompt": "…"\}'):
        await graph.ainvoke({"task": {"question": "What is 2 + 2?"}})


def test_langgraph_json_asks_nobody_outside():
    given = json.loads((ROOT / "langgraph.json").read_text())
    assert given["env"] == {"LANGGRAPH_NO_VERSION_CHECK": "true"}
    assert given["http"]["cors"]["allow_origins"] == ["https://smith.langchain.com"]


def test_an_installed_package_writes_the_same_file():
    assert run("graph", "--langgraph").output == (ROOT / "langgraph.json").read_text()


def test_langgraph_json_lets_the_server_read_the_game_s_records_back():
    given = json.loads((ROOT / "langgraph.json").read_text())
    allowed = given["checkpointer"]["serde"]["allowed_msgpack_modules"]
    assert allowed == [[one.__module__, one.__name__] for one in RECORDS]
