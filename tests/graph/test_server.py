"""The game over HTTP, with the real client libraries."""

import asyncio
import json

import pytest

from anyprefer.graph import Candidate, Task, asynth, build_graph, synth
from anyprefer.tools import Finding, tool
from tests.server import OpenAIServer

TASKS = [Task(id=str(n), prompt=f"Ann has {n} apples and buys {n * 7 % 13} more. How many?") for n in range(12)]
KEY = "super-secret-value-of-the-environment"


@tool
def weigh(candidate: Candidate) -> Finding:
    """Weighs an answer."""
    return Finding("weighed", verdict=0.5)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """The client's waiting between its tries is not what is tested."""
    monkeypatch.setattr("openai._base_client.BaseClient._calculate_retry_timeout", lambda *args: 0.0)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def server():
    with OpenAIServer() as running:
        yield running


async def rows_of(server, tasks=TASKS, **values):
    spec = f"openai:any@{server.url}"
    given = {"target": spec, "judge": spec, "tools": [weigh], "candidates": 3, **values}
    return [row async for row in asynth(tasks, **given)]


async def test_some_tasks_are_accepted_some_loop_and_some_are_rejected(server):
    rows = await rows_of(server, candidates=5)
    assert {row.outcome for row in rows} == {"accepted", "rejected"}
    assert {len(row.rounds) for row in rows} == {1, 2, 3}
    assert sum(len(row.rounds) for row in rows) == server.calls["judge"] == server.calls["select_tools"]
    for role, count in server.calls.items():
        assert sum(row.usage[role].calls for row in rows if role in row.usage) == count
    assert all(used.output_tokens > 0 for row in rows for used in row.usage.values())
    assert all(row.models["target"] == "any" for row in rows)


async def test_what_goes_over_the_wire(server):
    await rows_of(server, TASKS[:1], temperature=0.6, top_p=0.8, max_new_tokens=99, judge_max_new_tokens=77, max_rounds=1)
    [first, *_] = server.asked("sample")
    assert (first["model"], first["temperature"], first["top_p"], first["max_tokens"]) == ("any", 0.6, 0.8, 99)
    assert len({request["seed"] for request in server.asked("sample")}) == 3
    assert first["key"] == KEY
    [choice] = server.asked("select_tools")
    assert choice["tools"][0]["function"]["name"] == "weigh"
    [judged] = server.asked("judge")
    assert judged["response_format"]["type"] == "json_schema"
    assert (judged["temperature"], judged["max_tokens"]) == (0.0, 77)


async def test_a_server_without_tools_and_schemas_is_asked_in_text(server):
    plain = await rows_of(server)
    server.faults = {"no_tools", "no_schema"}
    server.requests.clear()
    again = await rows_of(server)
    by_id = {row.id: row for row in plain}
    assert all(
        [c.content for c in row.rounds[0].candidates] == [c.content for c in by_id[row.id].rounds[0].candidates]
        for row in again
    )
    assert all(
        [j.score for j in row.rounds[0].judgments] == [j.score for j in by_id[row.id].rounds[0].judgments]
        for row in again
    )
    assert {"tools" in request for request in server.asked("select_tools")} == {True, False}
    assert {"response_format" in request for request in server.asked("judge")} == {True, False}


def test_sync_and_async_give_the_same_rows(server):
    spec = f"openai:any@{server.url}"
    given = {"target": spec, "judge": spec, "tools": [], "candidates": 3}
    rows = {row.id: row for row in synth(TASKS[:4], **given)}
    again = {row.id: row for row in synth(TASKS[:4], concurrency=1, **given)}
    assert rows == again
    state = build_graph(**given).invoke({"task": TASKS[0]})
    assert tuple(state["rounds"]) == rows["0"].rounds


async def test_a_garbage_judge_fails_the_task_quoting_it(server):
    server.faults = {"garbage_judge"}
    [row] = await rows_of(server, TASKS[:1])
    assert row.outcome == "failed"
    assert "They are all rather nice." in row.reason


async def test_a_server_error_is_a_failed_row_with_the_servers_words(server):
    server.faults = {"500"}
    [row] = await rows_of(server, TASKS[:1])
    assert row.outcome == "failed"
    assert f"ModelError: select_tools (any at {server.url}) did not answer: " in row.reason
    assert "The server had an error." in row.reason


async def test_a_server_that_is_down_is_named(server):
    server.__exit__()
    rows = await rows_of(server, TASKS[:2])
    assert [row.outcome for row in rows] == ["failed", "failed"]
    for row in rows:
        assert f"ModelError: select_tools (any at {server.url}) did not answer: " in row.reason
        assert "Connection error" in row.reason


async def test_a_run_waiting_for_a_slow_server_can_be_cancelled(server):
    server.faults = {"slow"}
    waiting = asyncio.create_task(rows_of(server))
    while not server.requests:
        await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize("fault", ["401", "echo_key"])
async def test_the_key_never_appears_in_rows_tape_or_reasons_even_when_the_server_repeats_it(server, tmp_path, fault):
    server.faults = {fault}
    rows = await rows_of(server, TASKS[:2], record=str(tmp_path / "tape.jsonl"), folder=tmp_path / "run", max_rounds=1)
    assert server.requests[0]["key"] == KEY
    for path in (tmp_path / "tape.jsonl", *(tmp_path / "run").iterdir()):
        assert KEY not in path.read_text()
    assert all(KEY not in row.reason for row in rows)
    written = (tmp_path / "run" / "rows.jsonl").read_text()
    assert "[OPENAI_API_KEY]" in written
    assert all(json.loads(line) for line in written.splitlines())
    assert {row.outcome for row in rows} <= ({"failed"} if fault == "401" else {"accepted", "rejected"})
