"""The review as an interrupt: a person marks the pair a game ends with, and the mark is kept with its row."""

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from anyprefer.core.errors import RunFolderError
from anyprefer.core.marks import Mark
from anyprefer.graph import read_rows, state_graph
from anyprefer.graph.review import with_review
from anyprefer.graph.runs.marks import marks_by_row
from anyprefer.training.analysis.quality import Rating, by_people
from anyprefer.training.viewing.folders import shown_parts
from anyprefer.training.viewing.queue_of_pairs import Queue
from tests.scripted import Scripted, a_task

THREAD = {"configurable": {"thread_id": "1"}}


def reviewed(folder, which="accepted", **values):
    model = Scripted(**values.pop("script", {}))
    graph = state_graph(target=model, judge=model, tools=[], candidates=3, **values)
    return with_review(graph, folder, which)


def asked(state):
    return state["__interrupt__"][0].value


async def test_a_mark_is_asked_for_kept_and_read_like_any_other(tmp_path):
    graph = reviewed(tmp_path / "run").compile(InMemorySaver())
    shown = asked(await graph.ainvoke({"task": a_task()}, THREAD))
    assert (shown["id"], shown["prompt"], shown["reward"], shown["round"]) == ("t", "What is 2 + 2?", 9, 1)
    assert (shown["chosen_score"], shown["rejected_score"], shown["outcome"]) == (3, 1, "accepted")
    assert shown["analysis"] == "A clear pair. 9/10"
    said = {"satisfaction": "okay", "difficulty": "very easy", "note": "too plain", "by": "ana"}
    state = await graph.ainvoke(Command(resume=said), THREAD)
    mark = Mark(satisfaction="okay", difficulty="very easy", note="too plain")
    assert state["mark"] == mark
    [row] = read_rows(tmp_path / "run")
    assert (row.outcome, list(row.rounds), row.pair) == ("accepted", state["rounds"], state["pair"])
    assert marks_by_row(tmp_path / "run") == {"t": [("ana", mark)]}
    assert by_people(tmp_path / "run") == [Rating("t", "okay", "very easy")]
    [one] = Queue(shown_parts(tmp_path / "run"), 10).reviewed()
    assert (one.by, one.reward, one.accepted, one.mark) == ("ana", 9, True, mark)


async def test_what_is_no_mark_is_asked_for_again(tmp_path):
    graph = reviewed(tmp_path / "run").compile(InMemorySaver())
    await graph.ainvoke({"task": a_task()}, THREAD)
    for given, why in (("fine", "satisfaction"), ({"satisfaction": "okay", "stars": 5}, "stars"), (3, "the answer")):
        assert asked(await graph.ainvoke(Command(resume=given), THREAD))["error"].startswith(why)
    assert (await graph.ainvoke(Command(resume="satisfied"), THREAD))["mark"] == Mark(satisfaction="satisfied")
    assert marks_by_row(tmp_path / "run")["t"] == [("reviewer", Mark(satisfaction="satisfied"))]


@pytest.mark.parametrize(("which", "asks"), [("accepted", False), ("all", True)])
async def test_rejected_pairs_are_reviewed_where_all_are(tmp_path, which, asks):
    script = {"reward": "Alike. 2/10"}
    graph = reviewed(tmp_path / "run", which, script=script, max_rounds=2).compile(InMemorySaver())
    state = await graph.ainvoke({"task": a_task()}, THREAD)
    assert ("__interrupt__" in state, len(state["rounds"]), state["outcome"]) == (asks, 2, "rejected")


def test_synchronous_code_resumes_it_too(tmp_path):
    graph = reviewed(tmp_path / "run").compile(InMemorySaver())
    assert asked(graph.invoke({"task": a_task()}, THREAD))["id"] == "t"
    assert graph.invoke(Command(resume="dissatisfied"), THREAD)["mark"].satisfaction == "dissatisfied"


async def test_another_run_s_folder_and_a_task_it_holds_are_refused(tmp_path):
    graph = reviewed(tmp_path / "run").compile(InMemorySaver())
    await graph.ainvoke({"task": a_task()}, THREAD)
    await graph.ainvoke(Command(resume="okay"), THREAD)
    with pytest.raises(RunFolderError, match="threshold"):
        reviewed(tmp_path / "run", threshold=3)
    again = reviewed(tmp_path / "run").compile(InMemorySaver())
    with pytest.raises(RunFolderError, match="holds task 't' already; give it another id"):
        await again.ainvoke({"task": a_task()}, THREAD)
    assert len(asked(await again.ainvoke({"task": {"prompt": "What is 2 + 2?"}}, THREAD))["id"]) == 12
