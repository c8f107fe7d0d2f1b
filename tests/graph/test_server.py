"""The game over HTTP, with the real client libraries."""

import asyncio
import re

import pytest

from anyprefer.core.errors import EndpointError
from anyprefer.graph import Candidate, RunSettings, Task, asynth, build_graph, synth
from anyprefer.tools import Finding, tool
from tests.folder import check
from tests.server import OpenAIServer

TASKS = [Task(id=str(n), prompt=f"Ann has {n} apples and buys {n * 7 % 13} more. How many?") for n in range(12)]
KEY = "super-secret-value-of-the-environment"


@tool
def weigh(candidate: Candidate) -> Finding:
    """Weighs an answer."""
    return Finding("weighed", verdict=0.5)


@pytest.fixture(autouse=True)
def _key(monkeypatch):
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
    await rows_of(
        server,
        TASKS[:1],
        key_env="OPENAI_API_KEY",
        temperature=0.6,
        top_p=0.8,
        max_new_tokens=99,
        judge_max_new_tokens=77,
        max_rounds=1,
    )
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
    assert state["rounds"] == [played.model_copy(update={"usage": {}}) for played in rows["0"].rounds]


async def test_a_garbage_judge_fails_the_task_quoting_it(server):
    server.faults = {"garbage_judge"}
    [row] = await rows_of(server, TASKS[:1])
    assert row.outcome == "failed"
    assert "They are all rather nice." in row.reason


async def test_a_refused_call_is_a_failed_row_with_the_servers_words(server):
    server.faults = {"400"}
    [row] = await rows_of(server, TASKS[:1])
    assert row.outcome == "failed"
    assert re.match(rf"ModelError: (sample|select_tools) \(any at {server.url}\) did not answer: ", row.reason)
    assert "The request is not to the server's taste." in row.reason


async def test_a_server_that_answers_nobody_stops_the_run_which_goes_on_later(server, tmp_path):
    server.faults = {"500"}
    with pytest.raises(EndpointError, match="The server had an error") as stopped:
        await rows_of(server, TASKS[:2], patience=0.1, folder=tmp_path)
    assert server.url in str(stopped.value)
    assert check(tmp_path) == []
    server.faults = set()
    assert len(await rows_of(server, TASKS[:2], patience=0.1, folder=tmp_path)) == len(check(tmp_path)) == 2


async def test_a_server_that_is_down_is_named(server):
    server.__exit__()
    with pytest.raises(EndpointError, match="Connection error") as stopped:
        await rows_of(server, TASKS[:2], patience=0.1)
    assert server.url in str(stopped.value)


async def test_a_run_waiting_for_a_slow_server_can_be_cancelled(server):
    server.faults = {"slow"}
    waiting = asyncio.create_task(rows_of(server))
    while not server.requests:
        await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


GIVEN = {"environment": {"key_env": "OPENAI_API_KEY"}, "setting": {"api_key": KEY}}


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("fault", ["401", "400", "echo_key"])
async def test_the_key_is_never_written_even_when_the_server_repeats_it(server, tmp_path, monkeypatch, fault, given):
    if given == "setting":
        monkeypatch.delenv("OPENAI_API_KEY")
    server.faults = {fault}
    values = {"record": str(tmp_path / "tape.jsonl"), "folder": tmp_path / "run", "max_rounds": 1}
    said = ""
    try:
        rows = await rows_of(server, TASKS[:2], **values, **GIVEN[given])
    except EndpointError as error:
        rows, said = [], f"{error} {error.__cause__}"
    assert {request["key"] for request in server.requests} == {KEY}
    for path in (tmp_path / "tape.jsonl", *(tmp_path / "run").iterdir()):
        assert KEY.encode() not in path.read_bytes()
    assert KEY not in said + "".join(row.reason for row in rows)
    if fault == "echo_key":
        assert re.search(r"\[(OPENAI_API_KEY|api_key)\]", (tmp_path / "run" / "rows.jsonl").read_text())
        assert len(check(tmp_path / "run")) == 2
    assert {row.outcome for row in rows} <= ({"accepted", "rejected"} if fault == "echo_key" else {"failed"})
    assert bool(said) is (fault == "401")


async def test_samples_asked_one_by_one_before_a_kill_are_not_asked_again(tmp_path):
    """A server that ignores n is found out anew by every process; what was kept of the one before counts."""
    with OpenAIServer() as server:
        given = {
            "target": f"openai:any@{server.url}",
            "judge": f"openai:any@{server.url}",
            "tools": [],
            "concurrency": 1,
        }
        given |= {"candidates": 3, "max_rounds": 1, "threshold": 1.0}
        tasks = [Task(id=str(n), prompt=f"What is {n} + 1?") for n in range(2)]
        seen = [row async for row in asynth(tasks, folder=tmp_path, max_calls=7, **given)]
        assert len(seen) == 1
        before = [(call["seed"], call["user"]) for call in server.asked("sample")]
        again = [row async for row in asynth(tasks, folder=tmp_path, **given)]
        after = [(call["seed"], call["user"]) for call in server.asked("sample")][len(before) :]
        assert [row.id for row in again] == ["1"]
        assert not set(before) & set(after)


async def test_a_key_in_settings_is_used_and_kept_out_of_the_folder(tmp_path):
    with OpenAIServer() as server:
        settings = RunSettings(target=f"openai:any@{server.url}", tools=("calculator",), api_key="sk-of-the-settings")
        rows = [row async for row in asynth(["What is 1 + 1?"], settings, folder=tmp_path)]
        assert len(rows) == 1
        assert {call["key"] for call in server.requests} == {"sk-of-the-settings"}
        assert not any(b"of-the-settings" in file.read_bytes() for file in tmp_path.iterdir())
