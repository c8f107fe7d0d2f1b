import os
import sys

import pytest

from anyprefer.core.errors import SettingsError
from anyprefer.graph import state_graph, synth
from anyprefer.graph.traces import QUIET
from anyprefer.tools import tool
from tests.scripted import Scripted, a_task, play


@tool
def look(query: str) -> str:
    """Looks."""
    return "seen"


@pytest.fixture
def mlflow():
    """MLflow, which records for the whole process until it is told to stop."""
    before = {name: os.environ.get(name) for name in QUIET}
    os.environ.update(QUIET)
    import mlflow

    mlflow.set_tracking_uri(None)  # a traced run before, in another test, leaves its own
    yield mlflow
    mlflow.langchain.autolog(disable=True)
    mlflow.set_tracking_uri(None)
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


def test_a_task_is_one_trace_with_rounds_by_name_and_its_reward_as_feedback(mlflow, tmp_path):
    model = Scripted(reward=["3/10", "9/10"], select_tools='["look"]')
    tasks = [a_task(id="it's"), {"prompt": ""}]
    given = {"target": model, "judge": model, "tools": [look], "candidates": 2}
    rows = list(synth(tasks, trace=True, folder=tmp_path, **given))
    assert (tmp_path / "traces.db").is_file()
    mlflow.flush_trace_async_logging()
    [trace] = mlflow.search_traces(return_type="list")
    names = [span.name for span in trace.data.spans]
    assert names[0] == "task it's"
    assert names.count("textgrad") == 3
    assert names.count("look") == 2
    for name in ("round 1", "round 2", "select_tools", "aggregate", "judge", "reward", "update_prompts"):
        assert name in names
    spans = {span.span_id: span for span in trace.data.spans}
    assert ways(spans) >= {
        "task it's > start",
        "task it's > round 1 > sample > sample",
        "task it's > round 1 > select_tools > choose > select_tools",
        "task it's > round 1 > select_tools > task_tools > look",
        "task it's > round 2 > use_tools > aggregate > aggregate",
        "task it's > round 2 > judge > judge",
        "task it's > round 2 > reward > pair",
        "task it's > round 1 > update_prompts > textgrad",
    }
    assert [span.outputs for span in spans.values() if span.name.startswith("round")] == [
        {"outcome": "again", "reward": 3.0},
        {"outcome": "accepted", "reward": 9.0},
    ]
    assert {a.name: a.value for a in trace.info.assessments} == {"reward": 9.0, "outcome": "accepted"}
    assert trace.data.spans[0].outputs == {"outcome": "accepted", "reason": ""}
    assert sorted(row.outcome for row in rows) == ["accepted", "failed"]


def test_a_node_of_the_users_own_is_in_its_round(mlflow, tmp_path):
    async def look_again(state):
        return {"context": "seen"}

    model = Scripted(reward=["3/10", "9/10"])
    graph = state_graph(target=model, judge=model, tools=[], candidates=2)
    graph.edges.remove(("use_tools", "judge"))
    graph.add_node("look_again", look_again)
    graph.add_edge("use_tools", "look_again")
    graph.add_edge("look_again", "judge")
    list(synth([a_task()], graph=graph, trace=True, folder=tmp_path))
    mlflow.flush_trace_async_logging()
    [trace] = mlflow.search_traces(return_type="list")
    spans = {span.span_id: span for span in trace.data.spans}
    assert {"task t > round 1 > look_again", "task t > round 2 > look_again"} <= ways(spans)


def ways(spans):
    """How each span is reached from the task."""

    def way(span):
        return f"{way(spans[span.parent_id])} > {span.name}" if span.parent_id else span.name

    return {way(span) for span in spans.values()}


def test_one_thread_writes_the_traces(mlflow):
    """SQLite takes one writer: of ten, some find "database is locked" and lose their trace."""
    from mlflow.environment_variables import MLFLOW_ASYNC_TRACE_LOGGING_MAX_WORKERS

    assert MLFLOW_ASYNC_TRACE_LOGGING_MAX_WORKERS.get() == 1


def test_the_trace_of_a_failed_task_is_an_error(mlflow, tmp_path):
    model = Scripted(judge="no scores")
    list(synth([a_task()], trace=True, folder=tmp_path, target=model, judge=model, tools=[], candidates=2))
    mlflow.flush_trace_async_logging()
    [trace] = mlflow.search_traces(return_type="list")
    assert trace.info.state == "ERROR"
    assert "no scores" in trace.data.spans[0].outputs["reason"]


async def test_traces_need_a_run_folder():
    with pytest.raises(SettingsError, match="trace needs a run folder"):
        await play(Scripted(), trace=True)


async def test_traces_need_mlflow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(SettingsError, match=r"pip install 'anyprefer\[trace\]'"):
        await play(Scripted(), trace=True, folder=tmp_path)


def test_a_later_run_is_not_traced_into_the_first_ones_folder(mlflow, tmp_path):
    model = Scripted()
    given = {"target": model, "judge": model, "tools": [], "candidates": 2}
    list(synth([a_task()], trace=True, folder=tmp_path / "traced", **given))
    list(synth([a_task("a private question", id="u")], folder=tmp_path / "untraced", **given))
    mlflow.flush_trace_async_logging()
    [trace] = mlflow.search_traces(return_type="list")
    assert "a private question" not in str(trace.data.spans[0].inputs)
