"""Which tasks are traced, and that a run neither waits for a viewer nor fails with it."""

import logging
from threading import Event

import pytest

from anyprefer.core.errors import SettingsError
from anyprefer.core.settings import RunSettings, load_settings
from anyprefer.graph.tracing import sending
from anyprefer.graph.tracing.sending import Sending
from anyprefer.graph.tracing.tracer import traced
from anyprefer.graph.tracing.tree import Span, Trace
from tests.collector import Collector
from tests.scripted import Scripted, a_task
from tests.traced import rows_of


def test_a_tasks_id_decides_whether_it_is_traced():
    names = [str(number) for number in range(4000)]
    share = [name for name in names if traced(name, 0.01)]
    assert 20 <= len(share) <= 60
    assert set(share) <= {name for name in names if traced(name, 0.05)}
    assert all(traced(name, 1.0) for name in names)


def test_a_share_is_traced_and_only_its_rows_name_a_trace():
    tasks = [a_task(f"What is {number} + 1?", id=str(number)) for number in range(30)]
    with Collector() as there:
        rows = rows_of(f"otlp={there.url}", *tasks, model=Scripted(), tools=[], candidates=2, trace_share=0.2)
        names = {span["name"] for span in there.spans() if "parentSpanId" not in span}
    named = {f"task {row.id}" for row in rows if row.trace}
    assert named == names == {f"task {task.id}" for task in tasks if traced(task.id, 0.2)}
    assert 0 < len(names) < 30


@pytest.mark.parametrize("target", ["mlfow", "otlp=ftp://a", "otlp=", "127.0.0.1:5000"])
def test_a_target_that_is_none(target):
    with pytest.raises(SettingsError, match="'trace'"):
        load_settings(trace=target)


@pytest.mark.parametrize(
    "target", ["", "mlflow", "langsmith", "otlp", "otlp=https://a/b", "sqlite:///a.db", "http://a"]
)
def test_a_target(target):
    assert RunSettings(trace=target).trace == target


def test_an_outage_is_one_warning_and_the_rows_are_the_same(caplog, monkeypatch):
    monkeypatch.setattr(sending, "LONGEST_PAUSE", 0.0)
    tasks = [a_task(f"What is {number} + 1?", id=str(number)) for number in range(6)]
    with Collector(status=503) as there, caplog.at_level(logging.WARNING):
        rows = rows_of(f"otlp={there.url}", *tasks, model=Scripted(), tools=[], candidates=2)
    assert [row.outcome for row in rows] == ["accepted"] * 6
    [first, last] = [record.message for record in caplog.records if "trace" in record.message]
    assert "status 503" in first
    assert last.startswith("6 traces were not sent to the collector at http://127.0.0.1:")


class Stuck:
    """Takes a trace when it is told to."""

    name = "a viewer"

    def __init__(self):
        self.go, self.taken = Event(), []

    def send(self, trace):
        self.go.wait()
        self.taken.append(trace)

    def close(self):
        pass


def test_what_comes_faster_than_it_is_sent_is_left_out(monkeypatch, caplog):
    monkeypatch.setattr(sending, "WAITING", 3)
    viewer = Stuck()
    queue = Sending(viewer)
    span = Span("task t", "task")
    span.end()
    for _ in range(10):
        queue.put(Trace((span,), "run", {}))
    viewer.go.set()
    queue.close()
    assert len(viewer.taken) + queue.lost == 10
    assert 3 <= len(viewer.taken) <= 4
    assert "--trace-share" in caplog.text


async def test_an_answer_that_was_paid_for_before_is_marked(tmp_path):
    """A run that a failed tool of the second task stopped, resumed: the first call's answer is from the ledger."""
    from tests.scripted import play

    model = Scripted(judge=["no scores", "no scores", "Answer 1: 9/10\nAnswer 2: 1/10"])
    given = {"folder": tmp_path / "run", "candidates": 2}
    row = await play(model, **given)
    assert row.outcome == "failed"
    with Collector() as there:
        row = await play(model, **given, trace=f"otlp={there.url}")
        names = [span["name"] for span in there.spans()]
    assert row.outcome == "accepted"
    assert names.count("sample (recorded)") == 2
    assert "sample" in names
