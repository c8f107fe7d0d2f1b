"""What MLflow's store holds."""

import json
import sqlite3
import sys

import pytest

from anyprefer.core.errors import SettingsError
from anyprefer.graph import state_graph, synth
from anyprefer.graph.tracing.to_mlflow import imported, store_of
from anyprefer.tools import tool
from tests.graph.tracing.test_to_otlp import MOST
from tests.scripted import Scripted, a_task, play
from tests.traced import rows_of


@tool
def look(query: str) -> str:
    """Looks."""
    return "seen"


def traces_of(folder):
    """The traces in a run folder, by MLflow's own reader."""
    client = imported().MlflowClient(store_of(folder))
    experiment = client.get_experiment_by_name("anyprefer")
    found = client.search_traces(locations=[experiment.experiment_id])
    return sorted(found, key=lambda trace: trace.data.spans[0].name)


def test_a_rejected_task(tmp_path):
    [row] = rows_of("mlflow", folder=tmp_path)
    [trace] = traces_of(tmp_path)
    assert trace.info.trace_id == f"tr-{row.trace}"
    assert trace.info.response_preview == f"rejected: {row.reason}"
    assert trace.info.trace_metadata["mlflow.trace.session"] == str(tmp_path)
    assert json.loads(trace.info.trace_metadata["mlflow.trace.tokenUsage"])["total_tokens"] == 12 * 35
    assert {"outcome": "rejected", "mlflow.traceName": "task t"}.items() <= trace.info.tags.items()
    names = [span.name for span in trace.data.spans]
    assert names[0] == "task t"
    assert names.count("textgrad") == 8
    assert names.count("look") == 3
    by_name = {}
    for one in trace.info.assessments:
        by_name.setdefault(one.name, []).append(one)
    assert {name: len(ones) for name, ones in by_name.items()} == {
        "judge_score": 15, "margin": 3, "pair_reward": 3, "reward": 1, "outcome": 1,
    }  # fmt: skip
    assert by_name["outcome"][0].rationale == row.reason
    assert by_name["pair_reward"][0].source.source_type == "LLM_JUDGE"
    places = {span.span_id: span.name for span in trace.data.spans}
    assert {places[one.span_id] for one in by_name["judge_score"]} == {"judge"}
    assert trace.data.spans[0].outputs["outcome"] == "rejected"
    with sqlite3.connect(tmp_path / "traces.db") as store:
        kept = sum(len(content.encode()) for (content,) in store.execute("select content from spans"))
    assert kept <= MOST


def test_rounds_and_steps_in_their_order(tmp_path):
    model = Scripted(reward=["3/10", "9/10"], select_tools='["look"]')
    given = {"target": model, "judge": model, "tools": [look], "candidates": 2}
    rows = list(synth([a_task(id="it's"), {"prompt": ""}], trace="mlflow", folder=tmp_path, **given))
    [trace] = traces_of(tmp_path)
    spans = {span.span_id: span for span in trace.data.spans}
    assert ways(spans) >= {
        "task it's > round 1 > sample > sample",
        "task it's > round 1 > select_tools > select_tools",
        "task it's > round 1 > select_tools > look",
        "task it's > round 2 > use_tools > aggregate",
        "task it's > round 2 > judge > judge",
        "task it's > round 2 > reward",
        "task it's > round 1 > update_prompts > textgrad",
    }
    rewards = [span.outputs["reward"] for span in spans.values() if span.name.startswith("round")]
    assert rewards == [3.0, 9.0]
    [accepted] = [row for row in rows if row.pair]
    assert trace.data.spans[0].outputs["chosen"] == accepted.pair.chosen
    assert sorted(row.outcome for row in rows) == ["accepted", "failed"]


def test_a_node_of_the_users_own_is_in_its_round(tmp_path):
    async def look_again(state):
        return {"context": "seen"}

    model = Scripted(reward=["3/10", "9/10"])
    graph = state_graph(target=model, judge=model, tools=[], candidates=2)
    graph.edges.remove(("use_tools", "judge"))
    graph.add_node("look_again", look_again)
    graph.add_edge("use_tools", "look_again")
    graph.add_edge("look_again", "judge")
    list(synth([a_task()], graph=graph, trace="mlflow", folder=tmp_path))
    [trace] = traces_of(tmp_path)
    spans = {span.span_id: span for span in trace.data.spans}
    assert {"task t > round 1 > look_again", "task t > round 2 > look_again"} <= ways(spans)


def ways(spans):
    """How each span is reached from the task."""

    def way(span):
        return f"{way(spans[span.parent_id])} > {span.name}" if span.parent_id else span.name

    return {way(span) for span in spans.values()}


def test_the_trace_of_a_failed_task_is_an_error(tmp_path):
    model = Scripted(judge="no scores")
    list(synth([a_task()], trace="mlflow", folder=tmp_path, target=model, judge=model, tools=[], candidates=2))
    [trace] = traces_of(tmp_path)
    assert trace.info.state == "ERROR"
    assert "no scores" in trace.data.spans[0].outputs["reason"]


async def test_traces_need_a_run_folder():
    with pytest.raises(SettingsError, match="needs a run folder"):
        await play(Scripted(), trace="mlflow")


async def test_traces_need_mlflow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(SettingsError, match=r"pip install 'anyprefer\[trace\]'"):
        await play(Scripted(), trace="mlflow", folder=tmp_path)


async def test_a_store_that_cannot_be_opened(tmp_path):
    with pytest.raises(SettingsError, match="cannot be opened"):
        await play(Scripted(), trace="nosuch://store")


def test_nothing_of_mlflows_that_the_process_shares_is_touched(tmp_path):
    mlflow = imported()
    before = mlflow.get_tracking_uri()
    rows_of("mlflow", folder=tmp_path, model=Scripted(), tools=[], candidates=2)
    assert mlflow.get_tracking_uri() == before
