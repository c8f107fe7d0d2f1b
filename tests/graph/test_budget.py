"""What a run may spend, and what it says it spent."""

import asyncio
import random
import re
from collections import Counter

import pytest
from langchain_core.messages import AIMessage

from anyprefer.core.errors import RunStopped, SettingsError
from anyprefer.core.records import Usage
from anyprefer.graph import RunSettings, Synthesis, Task, asynth
from anyprefer.graph.players import assemble
from anyprefer.models.traits import Traits
from tests.folder import check, in_all, note
from tests.scripted import Scripted
from tests.server import OpenAIServer

TASKS = [Task(id=str(n), prompt=f"What is {n} + 1?") for n in range(20)]
CALL = 12
"""Tokens a scripted call takes."""
TASK = 4
"""Calls a task takes: two candidates, a judgment, a reward."""


def number_of(call):
    """The number in the task a call is about."""
    return int(re.search(r"What is (\d+)", call.user)[1])


class Priced(Scripted):
    model_name: str = "gpt-4o"


class Local(Scripted):
    traits: object = Traits(name="here", fields=("seed",), tools=False, shapes=False, in_process=True)


COST = (10 * 2.5 + 2 * 10) / 1e6
"""Dollars of one of its calls."""


async def play(path, model, tasks=TASKS, **values):
    """The run and its rows."""
    given = {"tools": (), "candidates": 2, "max_rounds": 1, "concurrency": 8, **values}
    settings = RunSettings(**given)
    run = Synthesis(settings, path, assemble(settings, target=model, judge=model))
    return run, [row async for row in run.stream(tasks)]


async def test_a_call_in_flight_is_counted_when_the_one_beside_it_is_refused(tmp_path):
    async def slowly(call):
        await asyncio.sleep(0.1)
        return "[]"

    model = Scripted(sample=slowly, select_tools=slowly)
    run, rows = await play(tmp_path, model, TASKS[:1], max_calls=1, tools=("calculator",))
    assert (len(model.calls), rows) == (1, [])
    assert "the budget of 1 calls is spent" in run.stopped
    assert sum(used["input_tokens"] + used["output_tokens"] for used in note(tmp_path)["usage"].values()) == CALL


@pytest.mark.parametrize("limit", [1, 10, 11, 33])
async def test_max_calls_is_never_passed_and_goes_on_when_raised(tmp_path, limit):
    model, again, more = Scripted(), Scripted(), Scripted()
    run, _ = await play(tmp_path, model, max_calls=limit)
    assert len(model.calls) == note(tmp_path)["requests"] == limit
    assert "the budget of" in run.stopped
    assert "max_calls" in run.stopped
    stopped, rows = await play(tmp_path, again, max_calls=limit)
    assert (again.calls, rows) == ([], [])
    assert "max_calls" in stopped.stopped
    run, _ = await play(tmp_path, more, max_calls=10_000)
    assert run.stopped == ""
    assert len(model.calls) + len(more.calls) == TASK * len(TASKS)
    assert len(check(tmp_path)) == 20


async def test_max_tokens_stops_within_the_calls_in_flight(tmp_path):
    model, more = Scripted(), Scripted()
    run, _ = await play(tmp_path, model, max_tokens=20 * CALL, connections=3)
    assert "max_tokens" in run.stopped
    assert 20 <= len(model.calls) < 20 + 3
    again, _ = await play(tmp_path, more, max_tokens=20 * CALL)
    assert (more.calls, "max_tokens" in again.stopped) == ([], True)
    await play(tmp_path, more)
    assert len(model.calls) + len(more.calls) == TASK * len(TASKS)
    check(tmp_path)


async def test_max_cost_stops_within_the_calls_in_flight(tmp_path):
    model, more = Priced(), Priced()
    run, _ = await play(tmp_path, model, max_cost=30 * COST - 1e-9, connections=3)
    assert "max_cost" in run.stopped
    assert 30 <= len(model.calls) < 30 + 3
    await play(tmp_path, more, max_cost=30 * COST - 1e-9)
    assert more.calls == []
    await play(tmp_path, more, max_cost=1)
    assert sum(row.usage["judge"].cost for row in check(tmp_path)) == pytest.approx(20 * COST)
    assert note(tmp_path)["usage"]["sample"]["cost"] == pytest.approx(40 * COST)


async def test_a_budget_counts_calls_that_fail_also_when_the_run_is_gone_on_with(tmp_path):
    broken, again = Scripted(sample=RuntimeError("out")), Scripted(sample=RuntimeError("out"))
    await play(tmp_path, broken, max_calls=10)
    await play(tmp_path, again, max_calls=10)
    assert (len(broken.calls), len(again.calls)) == (10, 0)


async def test_a_limit_on_cost_needs_every_price(tmp_path):
    model = Scripted()
    with pytest.raises(SettingsError, match=r"max_cost needs the price of Scripted \(target\).*as prices"):
        await play(tmp_path / "run", model, max_cost=1)
    assert not (tmp_path / "run").exists()
    assert model.calls == []
    prices = tmp_path / "prices.toml"
    prices.write_text("Scripted = [1, 1]\n")
    _, rows = await play(tmp_path / "run", model, TASKS[:1], max_cost=1, prices=str(prices))
    assert rows[0].usage["judge"].cost == pytest.approx(12e-6)


@pytest.mark.parametrize(("model", "cost"), [(Scripted, None), (Local, 0.0), (Priced, COST)])
async def test_a_cost_is_the_same_in_row_round_and_note_and_never_zero_where_it_is_unknown(tmp_path, model, cost):
    _, [row] = await play(tmp_path, model(), TASKS[:1])
    said = note(tmp_path)
    [judged] = [given for given in said["usage_by_round"] if given["role"] == "judge"]
    for found in (row.usage["judge"].cost, row.rounds[0].usage["judge"].cost, said["usage"]["judge"]["cost"]):
        assert found == (None if cost is None else pytest.approx(cost))
    assert judged["cost"] == said["usage"]["judge"]["cost"]


async def test_one_unknown_price_makes_the_sum_unknown(tmp_path):
    settings = RunSettings(tools=(), candidates=2, max_rounds=1)
    players = assemble(settings, target=Priced(), judge=Scripted())
    [row] = [row async for row in Synthesis(settings, tmp_path, players).stream(TASKS[:1])]
    assert row.usage["sample"].cost == pytest.approx(2 * COST)
    assert sum(row.usage.values(), Usage()).cost is None


async def test_usage_per_row_round_and_role_adds_up(tmp_path):
    model = Scripted(reward=lambda call: f"{3 + number_of(call) % 7}/10")
    _, rows = await play(tmp_path, model, max_rounds=3)
    assert {len(row.rounds) for row in rows} > {1}
    check(tmp_path)
    asked = Counter(call.role for call in model.calls)
    assert {role: given["calls"] for role, given in note(tmp_path)["usage"].items()} == asked
    for row in rows:
        for role, used in row.usage.items():
            assert in_all([used]) == in_all(played.usage[role] for played in row.rounds if role in played.usage)


@pytest.mark.parametrize("concurrency", [1, 7, 20])
async def test_accept_stops_at_exactly_so_many_pairs(tmp_path, concurrency):
    run, rows = await play(tmp_path, Scripted(), accept=5, concurrency=concurrency)
    assert [row.outcome for row in rows] == ["accepted"] * 5
    assert run.stopped == "5 pairs are accepted, as many as were wanted"
    again, rows = await play(tmp_path, Scripted(), accept=5, concurrency=concurrency)
    assert (rows, again.stopped) == ([], run.stopped)
    await play(tmp_path, Scripted(), accept=8, concurrency=concurrency)
    assert note(tmp_path)["counts"]["accepted"] == 8
    assert len(check(tmp_path, spent_on_rows_only=False)) == 8
    run, _ = await play(tmp_path, Scripted(), accept=100)
    assert run.stopped == ""
    assert len(check(tmp_path)) == 20


async def test_little_is_played_beyond_the_pairs_that_are_wanted(tmp_path):
    model = Scripted()
    await play(tmp_path / "all", model, accept=3, concurrency=20)
    assert len({call.user for call in model.asked("sample")}) <= 2 * 3
    seldom = Scripted(reward=lambda call: "9/10" if number_of(call) == 19 else "1/10")
    _, rows = await play(tmp_path / "one", seldom, accept=1, concurrency=20)
    assert rows[-1].outcome == "accepted"


async def test_rejected_rows_do_not_count_as_accepted(tmp_path):
    model = Scripted(reward=lambda call: "9/10" if number_of(call) % 2 else "1/10")
    _, rows = await play(tmp_path, model, accept=3, concurrency=1)
    assert [row.outcome for row in rows] == ["rejected", "accepted"] * 3


async def test_failures_in_a_row_stop_the_run_with_the_last_reason(tmp_path, monkeypatch):
    monkeypatch.setattr("anyprefer.graph.runs.runner.FAILURES_IN_A_ROW", 3)
    broken = Scripted(sample=RuntimeError("the GPU is on fire"))
    with pytest.raises(RunStopped, match=r"3 tasks failed in a row, the last one: .*the GPU is on fire"):
        await play(tmp_path, broken, concurrency=1)
    assert note(tmp_path)["counts"]["failed"] == 3
    _, rows = await play(tmp_path, Scripted())
    assert len(rows) == len(check(tmp_path)) == 20


async def test_a_success_between_failures_starts_the_count_again(tmp_path, monkeypatch):
    monkeypatch.setattr("anyprefer.graph.runs.runner.FAILURES_IN_A_ROW", 3)

    def sample(call):
        if number_of(call) % 3:
            raise RuntimeError("out")
        return str(call.seed)

    _, rows = await play(tmp_path, Scripted(sample=sample), concurrency=1)
    assert len(rows) == 20


async def test_tokens_of_a_model_that_tells_none_are_unknown_cost(tmp_path):
    class Quiet(Priced):
        def _result(self, given):
            return super()._result(AIMessage(given) if isinstance(given, str) else given)

    _, [row] = await play(tmp_path, Quiet(), TASKS[:1])
    assert row.usage["judge"] == Usage(calls=1, cost=None)


@pytest.mark.parametrize("leave_out", ["", "n"])
async def test_a_hundred_tasks_at_once_count_the_tokens_the_server_counts(tmp_path, leave_out):
    chance = random.Random(0)
    tasks = [Task(id=str(n), prompt=f"Add {chance.randrange(90)} and {n}. " + "Think. " * n) for n in range(100)]
    with OpenAIServer() as server:
        server.pause = lambda: chance.expovariate(100)
        spec = f"openai:any@{server.url}"
        given = {"target": spec, "judge": spec, "tools": ["calculator"], "candidates": 4, "leave_out": leave_out}
        rows = [row async for row in asynth(tasks, folder=tmp_path, concurrency=100, **given)]
    assert len(rows) == 100
    assert in_all(used for row in check(tmp_path) for used in row.usage.values()) == (
        sum(server.calls.values()),
        server.tokens["read"],
        server.tokens["written"],
    )


async def test_max_cost_stops_where_a_model_tells_no_tokens(tmp_path):
    silent = Priced(sample=lambda call: AIMessage(f"answer {call.seed}"))
    run, rows = await play(tmp_path, silent, max_cost=1.0, concurrency=1)
    assert rows == []
    assert run.stopped == "max_cost cannot be kept: the sample model reported no token counts, so no cost"
