"""What MLflow's page is opened on."""

import pytest

from anyprefer.core.errors import RunFolderError
from anyprefer.graph.tracing.page import gather, traced_folders
from tests.graph.tracing.test_to_mlflow import traces_of
from tests.scripted import Scripted, a_task
from tests.traced import rows_of


def test_the_traces_of_several_runs_are_put_on_one_page(tmp_path):
    for name in ("iteration-1", "iteration-2"):
        task = a_task(id=name)
        rows_of("mlflow", task, folder=tmp_path / "loop" / name / "pairs", model=Scripted(), tools=[], candidates=2)
    folders = traced_folders([tmp_path / "loop"])
    assert [folder.parent.name for folder in folders] == ["iteration-1", "iteration-2"]
    (tmp_path / "all").mkdir()
    gather(folders, tmp_path / "all")
    found = traces_of(tmp_path / "all")
    assert [trace.data.spans[0].name for trace in found] == ["task iteration-1", "task iteration-2"]
    assert [trace.info.trace_metadata["mlflow.trace.session"] for trace in found] == [str(one) for one in folders]
    assert {one.name for one in found[0].info.assessments} == {
        "judge_score",
        "margin",
        "pair_reward",
        "reward",
        "outcome",
    }


def test_a_run_without_traces(tmp_path):
    with pytest.raises(RunFolderError, match="play the run with --trace mlflow"):
        traced_folders([tmp_path])
