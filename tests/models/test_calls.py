import asyncio
import gc
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tracers.context import collect_runs

from anyprefer.core.errors import BudgetSpent, Enough, ModelError
from anyprefer.core.records import Usage
from anyprefer.models.account import Account
from anyprefer.models.ask import call
from anyprefer.models.calls import Budget, Calls
from anyprefer.models.packing import packed, unpacked
from anyprefer.models.prices import Prices, used
from anyprefer.models.traits import Traits, traits_of
from anyprefer.tools import tool
from tests.scripted import Scripted, calling, play

ROOT = Path(__file__).parents[2]
METADATA = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
PRINT_KEYS = """
import asyncio
from anyprefer.tools import load_tools
from tests.models.test_calls import Store
from anyprefer.tools import tool
from tests.scripted import ScriptedWithTools, play
store = Store()
better = "<IMPROVED_VARIABLE>better</IMPROVED_VARIABLE>"
model = ScriptedWithTools(sample=lambda call: str(call.seed), textgrad=better, reward="2/10")
asyncio.run(store.watch(play(model, tools=["calculator", "fact_check"], max_rounds=2)))
print(*store.keys, sep="\\n")
"""


class Store:
    """Keeps what a ledger would be given."""

    def __init__(self):
        self.keys, self.answers, self.spent = [], {}, []

    async def keep_act(self, task, key, answer, spending):
        self.keys.append(key)
        self.answers[key] = answer
        self.spent.append(spending)

    async def watch(self, played):
        """Awaits a game whose calls go here."""
        made = Calls.__init__
        Calls.__init__ = lambda *args, **kwargs: (made(*args, **kwargs), setattr(args[0], "store", self))[0]
        try:
            return await played
        finally:
            Calls.__init__ = made


class Seedless(Scripted):
    traits: object = Traits(name="Seedless", fields=(), tools=False, shapes=False)


async def ask(account, model, text="2 + 2?", **settings):
    return (await account.answer(model, "sample", [HumanMessage(text)], settings))[0].text


async def test_samples_of_a_model_without_seeds_are_told_apart_by_their_count():
    store, model = Store(), Seedless(sample=["first", "second", "third"])
    account = Account(Calls(store=store), "t")
    said = [await ask(account, model) for _ in range(3)]
    assert [key[-2:] for key in store.keys] == ["-1", "-2", "-3"]
    assert len({key[:-2] for key in store.keys}) == 1
    again = Account(Calls(), "t", {key: answer for key, answer in store.answers.items() if key[-1] != "2"})
    model = Seedless(sample="second, asked again")
    assert [await ask(again, model) for _ in range(3)] == [said[0], "second, asked again", said[2]]
    assert len(model.calls) == 1
    assert again.usage()["sample"].calls == 3


async def test_whatever_could_change_an_answer_is_part_of_the_key():
    store = Store()
    account = Account(Calls(store=store), "t")
    await ask(account, Scripted(), seed=1)
    await ask(account, Scripted(), seed=2)
    await ask(account, Scripted(), "3 + 3?", seed=1)
    await ask(account, Scripted(), seed=1, temperature=0.5)
    await ask(account, Seedless(sample="x"), seed=1)
    assert len({key.rpartition("-")[0] for key in store.keys}) == 5


def test_keys_are_the_same_in_every_process():
    keys = [
        subprocess.run(
            [sys.executable, "-c", PRINT_KEYS],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
        ).stdout.split()
        for seed in ("1", "2")
    ]
    assert len(keys[0]) > 10
    assert sorted(keys[0]) == sorted(keys[1])


def test_answers_are_kept_whole():
    message = calling(("calculator", {"expression": "2 + 2"}))
    message.usage_metadata = METADATA
    [back] = unpacked(packed([message]))
    assert (back.content, back.tool_calls, back.usage_metadata) == (message.content, message.tool_calls, METADATA)
    assert [m.content for m in unpacked(packed([AIMessage("a"), AIMessage("b")]))] == ["a", "b"]


def test_a_call_is_counted_with_what_it_cost():
    class Priced(Scripted):
        model_name: str = "gpt-4o"

    answer = AIMessage("x", usage_metadata=METADATA)
    assert used([answer], Prices(), traits_of(Priced())) == Usage(
        calls=1, input_tokens=3, output_tokens=4, cost=47.5e-6
    )
    assert used([answer, answer], Prices(), traits_of(Priced())).input_tokens == 3  # one request, however many choices
    assert used([answer], Prices(), traits_of(Scripted())).cost is None


def test_tokens_that_were_not_reported_have_no_known_cost():
    class Priced(Scripted):
        model_name: str = "gpt-4o"

    assert used([AIMessage("x")], Prices(), traits_of(Priced())) == Usage(calls=1, cost=None)


async def test_usage_is_told_by_round_and_role():
    account = Account(Calls(), "t")
    await ask(account, Scripted(), seed=1)
    account.round = 2
    await ask(account, Scripted(), "3 + 3?", seed=1)
    assert account.usage(1)["sample"].calls == account.usage(2)["sample"].calls == 1
    assert account.usage()["sample"] == Usage(calls=2, input_tokens=20, output_tokens=4, cost=None)


async def test_no_more_calls_are_in_flight_than_there_are_slots():
    now, most = 0, 0

    async def sample(call):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        now -= 1
        return "x"

    account, model = Account(Calls(slots=3), "t"), Scripted(sample=sample)
    await asyncio.gather(*(ask(account, model, seed=n) for n in range(20)))
    assert most == 3


def test_a_budget_counts_what_was_spent_before():
    calls = Calls(Budget(calls=3), spent=Usage(calls=2))
    calls.admit()
    with pytest.raises(BudgetSpent, match=r"3 calls is spent.*max_calls"):
        calls.admit()
    assert calls.requests == 3


def test_the_first_reason_to_stop_stays():
    calls = Calls()
    calls.stop(Enough("enough"))
    calls.stop(BudgetSpent("spent"))
    with pytest.raises(Enough):
        calls.admit()


async def test_a_call_that_fails_is_counted_and_has_no_answer():
    store = Store()
    with pytest.raises(ModelError, match="RuntimeError: out"):
        await ask(Account(Calls(store=store), "t"), Scripted(sample=RuntimeError("out")))
    assert list(store.answers.values()) == [None]
    assert (store.spent[0].requests, store.spent[0].usage.calls) == (1, 0)


async def test_outside_a_run_a_call_is_just_made():
    assert (await call(Scripted(sample="4"), [HumanMessage("2 + 2?")], "sample")).text == "4"


async def test_every_call_of_a_game_goes_through_the_account():
    store, model = Store(), Scripted(reward=["2/10", "9/10"])
    row = await store.watch(play(model))
    assert len(store.keys) == len(model.calls) == sum(used.calls for used in row.usage.values())
    assert {spent.round for spent in store.spent} == {1, 2}
    assert [played.usage["reward"].calls for played in row.rounds] == [1, 1]


async def test_a_limit_on_tokens_counts_an_estimate_where_a_model_tells_none(caplog):
    class Quiet(Scripted):
        def _result(self, given):
            return super()._result(AIMessage(given) if isinstance(given, str) else given)

    calls, known = Calls(Budget(tokens=100), store=Store()), {}
    account = Account(calls, "t")
    for number in range(4):
        await ask(account, Quiet(sample="a" * 50), "q" * 99, seed=number)
        assert calls.tokens == (25 + 13) * (number + 1)
        if calls.tokens >= 100:
            break
    with pytest.raises(BudgetSpent, match="max_tokens"):
        await ask(account, Quiet(sample="a"), "q", seed=9)
    [said] = [record.getMessage() for record in caplog.records]
    assert said == "Quiet reports no token counts: max_tokens counts an estimate, 4 characters a token"
    assert account.usage()["sample"] == Usage(calls=3, input_tokens=75, output_tokens=39, cost=None)
    known.update(calls.store.answers)
    again = Account(Calls(Budget(tokens=1000)), "t", known)
    await ask(again, Quiet(), "q" * 99, seed=0)
    assert again.usage()["sample"].input_tokens == 25


@pytest.mark.parametrize("traced", [False, True])
async def test_calls_in_flight_when_a_step_beside_them_fails_are_counted_and_kept(tmp_path, traced):
    @tool
    def look(query: str) -> str:
        """Looks."""
        return "x"

    async def sample(call):
        await asyncio.sleep(0.2)
        return f"a{call.seed}"

    async def played(model):
        with collect_runs() if traced else nullcontext():
            return await play(model, tools=[look], candidates=5, max_rounds=1, folder=tmp_path)

    model = Scripted(sample=sample, select_tools=RuntimeError("out"))
    row = await played(model)
    assert (row.outcome, row.usage["sample"].calls, len(model.asked("sample"))) == ("failed", 5, 5)
    again = Scripted(sample=sample)
    row = await played(again)
    assert (row.outcome, len(again.asked("sample"))) == ("accepted", 0)


async def test_of_a_task_whose_judge_cannot_be_read_only_the_judge_is_asked_anew(tmp_path):
    row = await play(Scripted(judge="They are nice."), max_rounds=1, folder=tmp_path)
    assert row.reason.startswith("AnswerError")
    again = Scripted()
    row = await play(again, max_rounds=1, folder=tmp_path)
    assert (row.outcome, len(again.asked("sample")), len(again.asked("judge"))) == ("accepted", 0, 1)


async def test_a_cancelled_game_cancels_its_calls():
    cancelled = asyncio.Event()

    async def sample(call):
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    playing = asyncio.create_task(play(Scripted(sample=sample)))
    await asyncio.sleep(0.1)
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing
    assert cancelled.is_set()


async def test_a_call_whose_step_is_cancelled_prints_no_error(caplog):
    """Its error is in nobody's row, and asyncio prints what nobody takes note of."""

    async def refused():
        await asyncio.sleep(0)
        raise ValueError("no")

    account = Account(Calls(), "t")
    step = asyncio.ensure_future(account._sheltered(refused()))
    await asyncio.sleep(0)
    step.cancel()
    await account.settled()
    del account, step
    await asyncio.sleep(0)
    gc.collect()
    assert "never retrieved" not in caplog.text


async def once(account, key, value, role="tool"):
    """One act that is counted; what it brought, and whether it was made."""
    made = []

    async def make():
        made.append(key)
        return value

    return await account.once(role, key, make), bool(made)


async def test_an_act_is_made_once_and_costs_nothing():
    store = Store()
    account = Account(Calls(Budget(calls=1), store=store), "t")
    found = [await once(account, key, value) for key, value in (("a", [1]), ("a", {"b": 2}), ("c", None))]
    assert found == [([1], True), ({"b": 2}, True), (None, True)]
    again = Account(Calls(), "t", store.answers)
    found = [await once(again, key, "new") for key in ("a", "a", "c", "a")]
    assert found == [([1], False), ({"b": 2}, False), (None, False), ("new", True)]
    assert (again.usage(), account.calls.requests, store.spent) == ({}, 0, [None] * 3)


async def test_acts_of_two_roles_have_nothing_in_common():
    store = Store()
    await once(Account(Calls(store=store), "t"), "a", 1, "tool")
    assert await once(Account(Calls(), "t", store.answers), "a", 2, "rollout") == (2, True)


@pytest.mark.parametrize("value", [object(), float("nan"), "\ud800"])
async def test_what_has_no_json_form_is_not_kept(value):
    store = Store()
    found, _ = await once(Account(Calls(store=store), "t"), "a", value)
    assert found is value
    assert store.answers == {}


async def test_an_act_that_fails_is_not_kept():
    store = Store()

    async def away():
        raise RuntimeError("away")

    with pytest.raises(RuntimeError):
        await Account(Calls(store=store), "t").once("tool", "a", away)
    assert store.answers == {}


async def test_an_act_that_makes_a_call_is_kept_as_that_call():
    async def played(account, model):
        return await account.once("rollout", "a", lambda: ask(account, model))

    store = Store()
    account = Account(Calls(store=store), "t")
    assert await played(account, Scripted(sample="x")) == "x"
    again, model = Account(Calls(), "t", store.answers), Scripted()
    assert await played(again, model) == "x"
    assert (len(store.answers), model.calls) == (1, [])
    assert again.usage() == account.usage()
    assert again.usage()["sample"].calls == 1


async def test_an_act_goes_on_when_the_step_it_is_made_for_is_cancelled():
    store, gate = Store(), asyncio.Event()
    account = Account(Calls(store=store), "t")

    async def roll():
        await gate.wait()
        return "rolled"

    step = asyncio.ensure_future(account.once("rollout", "a", roll))
    await asyncio.sleep(0)
    step.cancel()
    await asyncio.gather(step, return_exceptions=True)
    gate.set()
    await account.settled()
    assert list(store.answers.values()) == [b'"rolled"']
