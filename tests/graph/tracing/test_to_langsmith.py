"""What LangSmith is sent, read by a stand-in of its API."""

import pytest

from anyprefer.core.errors import SettingsError
from tests.collector import Collector
from tests.traced import rows_of


@pytest.fixture
def there(monkeypatch):
    with Collector() as server:
        monkeypatch.setenv("LANGSMITH_ENDPOINT", server.url)
        monkeypatch.setenv("LANGSMITH_API_KEY", "lsv2_of_mine_alone")
        monkeypatch.setenv("LANGSMITH_TRACING", "true")  # a task is traced once all the same
        yield server


def test_runs_form_the_tree_and_each_is_in_the_session(there, tmp_path):
    [row] = rows_of("langsmith", folder=tmp_path / "run")
    runs, feedback = there.runs()
    [root] = [run for run in runs.values() if run["parent_run_id"] is None]
    assert {path for path, _, _ in there.requests} == {"/runs/multipart"}
    assert there.requests[0][1]["x-api-key"] == "lsv2_of_mine_alone"
    assert root["name"] == "task t"
    assert root["id"].replace("-", "") == row.trace
    assert root["outputs"]["reason"] == row.reason
    assert {run["session_name"] for run in runs.values()} == {"anyprefer"}
    for run in runs.values():
        assert run["trace_id"] == root["id"]
        assert run["extra"]["metadata"]["session_id"] == str(tmp_path / "run")
        assert run["dotted_order"].startswith(root["dotted_order"])
        if above := run["parent_run_id"]:
            assert run["dotted_order"].rpartition(".")[0] == runs[above]["dotted_order"]
    [judge] = [run for run in runs.values() if run["run_type"] == "llm" and run["name"] == "judge"
               and run["extra"]["metadata"]["round"] == 3]  # fmt: skip
    assert judge["outputs"]["usage_metadata"] == {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12}
    assert runs[runs[judge["parent_run_id"]]["parent_run_id"]]["name"] == "round 3"
    [failed] = [run for run in runs.values() if "error" in run and run["extra"]["metadata"]["round"] == 1]
    assert failed["name"] == "weigh answer 2"
    scored = [one for one in feedback if one["key"] == "judge_score"]
    assert len(scored) == 15
    assert {runs[one["run_id"]]["name"] for one in scored} == {"judge"}
    assert {one["feedback_source"]["type"] for one in scored} == {"model"}
    [outcome] = [one for one in feedback if one["key"] == "outcome"]
    assert [outcome["value"], outcome["comment"], outcome["run_id"]] == ["rejected", row.reason, root["id"]]


def test_a_key_is_asked_for(monkeypatch):
    for name in ("LANGSMITH_API_KEY", "LANGCHAIN_API_KEY", "LANGSMITH_ENDPOINT", "LANGCHAIN_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingsError, match="set LANGSMITH_API_KEY"):
        rows_of("langsmith")
