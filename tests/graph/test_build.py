import asyncio
import logging
import sqlite3

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from anyprefer.core.background_loop import run_blocking
from anyprefer.core.errors import ModelSetupError, SettingsError, ToolError
from anyprefer.graph import Settings, Task, build_graph, load_settings, synth
from anyprefer.graph.game_graph import knowing_records
from anyprefer.graph.players import assemble
from anyprefer.graph.steps import accept
from anyprefer.nodes.engines.none import NoEngine
from anyprefer.tools import tool
from tests.scripted import Scripted, a_task

STEPS = [
    "start",
    "sample",
    "select_tools",
    "use_tools",
    "judge",
    "reward",
    "update_prompts",
]


@tool
def look(query: str) -> str:
    """Looks."""
    return f"seen {query}"


def a_graph(checkpointer=None, **script):
    """A game of two rounds."""
    model = Scripted(**{"reward": ["Alike. 4/10", "Good. 9/10"], "select_tools": '["look"]', **script})
    return build_graph(target=model, judge=model, tools=[look], candidates=3, checkpointer=checkpointer)


def check_two_rounds(state):
    assert state["outcome"] == "accepted"
    assert [closed.number for closed in state["rounds"]] == [1, 2]
    assert [closed.reward.score for closed in state["rounds"]] == [4, 9]
    assert state["rounds"][0].prompts.target == "What is 2 + 2?"
    assert state["rounds"][1].prompts == state["prompts"]
    assert state["pair"] == state["rounds"][1].pair


@pytest.mark.parametrize(
    ("outcome", "way"), [("again", "update_prompts"), ("accepted", "__end__"), ("rejected", "__end__")]
)
def test_the_router_is_pure(outcome, way):
    state = {"outcome": outcome}
    assert accept(state) == way
    assert state == {"outcome": outcome}


def test_invoke():
    check_two_rounds(a_graph().invoke({"task": a_task()}))


async def test_ainvoke():
    check_two_rounds(await a_graph().ainvoke({"task": a_task()}))


async def test_invoke_inside_a_running_loop():
    check_two_rounds(a_graph().invoke({"task": a_task()}))


def test_a_task_may_be_a_mapping():
    state = a_graph().invoke({"task": {"id": "1", "prompt": "What is 2 + 2?"}})
    assert state["task"] == Task(id="1", prompt="What is 2 + 2?")
    check_two_rounds(state)


def test_stream_gives_every_step_in_the_order_of_algorithm_1():
    steps = [step for update in a_graph().stream({"task": a_task()}, stream_mode="updates") for step in update]
    first = steps[: steps.index("update_prompts")]
    assert first[0] == "start"
    assert set(first[1:3]) == {"sample", "select_tools"}
    assert first[3:] == STEPS[3:6]
    assert steps.count("update_prompts") == 1
    assert steps.count("reward") == 2
    assert "start" not in steps[len(first) :]


async def test_a_graph_can_be_used_again_without_a_trace_of_the_first_task():
    graph = a_graph(reward="9/10", sample=lambda call: f"{call.user} {call.seed}")
    await graph.ainvoke({"task": a_task("one")})
    state = await graph.ainvoke({"task": a_task("two")})
    assert len(state["rounds"]) == 1
    assert all(candidate.content.startswith("two") for candidate in state["candidates"])


def test_the_drawing_names_every_step():
    drawing = a_graph().get_graph().draw_mermaid()
    assert all(f"{step}(" in drawing for step in STEPS)
    assert "reward -. &nbsp;again" in drawing or "reward -.-> update_prompts" in drawing


SAVERS = [
    InMemorySaver(),
    SqliteSaver(sqlite3.connect(":memory:", check_same_thread=False)),
    InMemorySaver(serde=JsonPlusSerializer(allowed_msgpack_modules=[("some.package", "Kind")])),
]


@pytest.mark.parametrize("saver", SAVERS, ids=["memory", "sqlite", "own list"])
def test_a_checkpointer_gives_back_the_same_state_without_warnings(saver, caplog):
    graph, thread = a_graph(saver), {"configurable": {"thread_id": "1"}}
    with caplog.at_level(logging.WARNING):
        state = graph.invoke({"task": a_task(meta={"k": [1]}, start={"x": 0.5})}, thread)
        saved = graph.get_state(thread).values
    assert saved == state
    check_two_rounds(saved)
    assert isinstance(saved["rounds"][0].candidates, tuple)
    assert caplog.text == ""


async def test_an_async_checkpointer_too(tmp_path, caplog):
    thread = {"configurable": {"thread_id": "1"}}
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "state.db")) as saver:
        graph = a_graph(saver)
        with caplog.at_level(logging.WARNING):
            state = await graph.ainvoke({"task": a_task()}, thread)
            saved = (await graph.aget_state(thread)).values
    assert saved == state
    assert caplog.text == ""


async def test_a_stopped_game_goes_on_from_its_checkpoint():
    model = Scripted(judge=[RuntimeError("out"), "Answer 1: 3/10\nAnswer 2: 2/10\nAnswer 3: 1/10"])
    graph = build_graph(target=model, judge=model, tools=[], candidates=3, checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "1"}}
    with pytest.raises(Exception, match="did not answer: RuntimeError: out"):
        await graph.ainvoke({"task": a_task()}, thread)
    state = await graph.ainvoke(None, thread)
    assert state["outcome"] == "accepted"
    assert len(model.asked("sample")) == 3


def test_a_checkpointer_of_another_make_is_left_as_it_is():
    assert knowing_records(None) is None
    assert knowing_records(True) is True


def test_settings_given_as_an_object_are_overridden_by_values():
    model = Scripted()
    graph = build_graph(Settings(candidates=4, threshold=10), target=model, judge=model, tools=[], threshold=2)
    state = graph.invoke({"task": a_task()})
    assert len(state["candidates"]) == 4
    assert state["outcome"] == "accepted"


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"target": "gpt-4o"}, ModelSetupError, "unknown target 'gpt-4o'; there are: .*openai:NAME@http"),
        ({"target": "evidence"}, ModelSetupError, "only as judge and reward and engine"),
        ({"tools": ["calculater"]}, ToolError, "did you mean 'calculator'"),
        ({"candidates": 1}, SettingsError, "greater than or equal to 2"),
        ({"candidate": 3}, SettingsError, "did you mean 'candidates'"),
        (
            {"pair": "best"},
            SettingsError,
            r"there are: FILE\.py:NAME, best_worst, corrected, edited, ranks, reference_chosen",
        ),
        ({"target": print}, SettingsError, "target"),
        ({"judge": print}, SettingsError, "judge"),
        ({"reward": print}, SettingsError, "reward"),
        ({"engine": print}, SettingsError, "engine"),
    ],
)
def test_what_cannot_play_is_refused_before_anything_runs(values, error, words):
    given = {"target": Scripted(), "judge": Scripted(), "tools": [], **values}
    with pytest.raises(error, match=words):
        build_graph(**given)


async def test_the_target_can_judge_itself():
    model = Scripted()
    players = assemble(load_settings(judge="target", tools=())[0], target=model)
    assert players.judge.model is players.reward.model is players.engine.model is players.target.model is model


def test_a_judge_that_is_the_target_follows_the_targets_string():
    players = assemble(load_settings(target="openai:m@http://127.0.0.1:9/v1", judge="target", tools=())[0])
    assert players.judge.model is players.target.model


def test_an_expected_judge_brings_no_engine_but_takes_one():
    model, settings = Scripted(), {"judge": "target", "judge_form": "expected", "tools": ()}
    assert isinstance(assemble(load_settings(**settings)[0], target=model).engine, NoEngine)
    assert assemble(load_settings(**settings, engine="target")[0], target=model).engine.model is model


def test_a_target_that_is_no_model_cannot_judge():
    class Policy:
        name = "policy"

        async def sample(self, task, prompt, seeds):
            return []

    with pytest.raises(SettingsError, match="is no model, so it cannot play another role"):
        assemble(load_settings(judge="target", tools=())[0], target=Policy())


@pytest.mark.parametrize(
    ("role", "given", "words"),
    [
        ("judge", "evidnce", "did you mean 'evidence'"),
        ("reward", "acept", "did you mean 'accept'"),
        ("judge", "targt", "did you mean 'target'"),
        ("judge", "accept", "only as reward"),
        ("target", "evidence", "only as judge and reward and engine"),
    ],
)
def test_an_unknown_role_names_the_near_one(role, given, words):
    with pytest.raises(ModelSetupError, match=words):
        assemble(load_settings(**{role: given}, tools=())[0])


def test_the_graph_tells_its_schema_and_becomes_a_tool():
    graph = a_graph()
    assert graph.get_input_jsonschema()["properties"].keys() == {"task"}
    assert graph.get_input_jsonschema()["$defs"]["NewTask"]["required"] == ["prompt"]
    assert {"task", "prompts", "rounds"} <= graph.get_output_jsonschema()["properties"].keys()
    assert "prompt" in str(graph.input_schema.model_json_schema())
    assert graph.as_tool(name="play", description="Plays a task.").name == "play"


@pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt])
def test_a_player_that_leaves_python_fails_its_task_and_ends_no_run(raised):
    class Leaves:
        name = "leaves"

        async def sample(self, task, prompt, seeds):
            if task.id == "bad":
                raise raised
            return [f"{task.id} {seed}" for seed in seeds]

    tasks = [{"id": "bad", "prompt": "x"}, {"id": "good", "prompt": "y"}]
    rows = {row.id: row for row in synth(tasks, target=Leaves(), judge=Scripted(), tools=[], candidates=3)}
    assert rows["bad"].reason == f"RuntimeError: step sample raised {raised.__name__}"
    assert rows["good"].outcome == "accepted", rows["good"].reason


def test_the_background_loop_outlives_a_task_that_leaves_python():
    async def leaves():
        async def inner():
            raise SystemExit

        await asyncio.gather(inner())

    async def answer():
        return 42

    with pytest.raises(SystemExit):
        run_blocking(leaves())
    assert run_blocking(answer()) == 42
