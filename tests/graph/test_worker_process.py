"""What a worker process does, in this process: the driver's side answers it without Ray between them."""

import asyncio
import logging
import pickle
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from anyprefer.core.errors import BudgetSpent, Enough, ModelSetupError
from anyprefer.graph import Task, load_settings
from anyprefer.graph.runs.workers.driver import _packed_setup, _shared
from anyprefer.graph.runs.workers.process import Setup, Worker, pack
from anyprefer.graph.runs.workers.shared_limits import Service, Shared
from anyprefer.models.calls import Budget, Calls, Spending
from anyprefer.models.prices import Prices
from tests.loopback import Loopback, completion, refusal
from tests.server import OpenAIServer

TASK = Task(id="a", prompt="What is 2 + 2?")


@pytest.fixture(autouse=True)
def logger():
    kept = logging.getLogger("anyprefer")
    handlers, propagate = kept.handlers[:], kept.propagate
    yield kept
    kept.handlers, kept.propagate = handlers, propagate


class Kept:
    def __init__(self):
        self.calls: list[tuple[str, bytes | None, Spending]] = []

    async def keep_act(self, task, key, answer, spending):
        self.calls.append((key, answer, spending))


@asynccontextmanager
async def working(calls, url, tools=(), **values):
    settings = load_settings(target=f"openai:any@{url}", candidates=2, tools=tools, max_rounds=1, **values)[0]
    worker = Worker()
    assert await worker.begin(pack(Setup(settings, {}, Prices())), {}, {"api_key": "a-key-of-the-tests"}) is None
    shared = Shared(calls, settings)
    service = Service(shared, lambda answers: asyncio.ensure_future(worker.answer(answers)))

    async def serve():
        while True:
            service.take(await worker.take())

    serving = asyncio.create_task(serve())
    try:
        yield worker, shared
    finally:
        serving.cancel()
        await service.gone()


async def play(worker, known=None):
    return pickle.loads(await worker.play(pack((TASK, known or {}))))


async def test_every_answer_is_with_the_driver_when_the_row_comes_and_is_asked_for_once():
    store = Kept()
    with OpenAIServer() as server:
        judge = f"openai:any@{server.url}"
        async with working(Calls(store=store), server.url, judge=judge, leave_out="n") as (worker, _):
            row = await play(worker)
            asked = sum(server.calls.values())
            assert len(store.calls) == asked > 3
            assert sum(one.usage.output_tokens for _, _, one in store.calls) > 0
            known = {key: answer for key, answer, _ in store.calls if answer}
            assert await play(worker, known) == row
            assert sum(server.calls.values()) == asked
            assert {request["key"] for request in server.requests} == {"a-key-of-the-tests"}


async def test_answers_kept_meanwhile_are_there_for_the_next_worker():
    with OpenAIServer() as server:
        async with working(Calls(), server.url) as (worker, shared):
            answers = shared.known[TASK.id] = {}
            await play(worker)
            assert len(answers) == server.calls["sample"]


async def test_a_tools_findings_are_kept_by_the_driver_and_not_looked_for_again():
    store = Kept()
    with OpenAIServer() as server:
        async with working(Calls(store=store), server.url, ("knowledge_search",)) as (worker, shared):
            known = shared.known[TASK.id] = {}
            row = await play(worker)
            [use] = [key for key in known if key.startswith("tool:")]
            found = known[use].replace(row.rounds[0].knowledge[0].text.encode(), b"as it was kept")
            store.calls.clear()
            again = await play(worker, known | {use: found})
    assert again.rounds[0].knowledge[0].text == "as it was kept"
    assert store.calls == []


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
async def test_retries_are_admitted_by_the_driver_too(limit):
    """Three of four requests are refused: exactly as many are sent as the budget has."""

    def answer(asked, count):
        return completion("4") if count == 4 else refusal(500)

    calls = Calls(Budget(calls=limit), store=Kept())
    with Loopback(answer) as server:
        async with working(calls, server.url, leave_out="n", retries=9) as (worker, _):
            stopped = await play(worker)
            assert isinstance(stopped, BudgetSpent)
            assert calls.requests == len(server.bodies) == limit
    assert isinstance(calls.stopped, BudgetSpent)


async def test_a_stopped_run_makes_no_further_call():
    calls = Calls()
    calls.stop(Enough("as many as were wanted"))
    with OpenAIServer() as server:
        async with working(calls, server.url) as (worker, _):
            assert isinstance(await play(worker), Enough)
        assert not server.calls


async def test_requests_pass_the_drivers_pacer(monkeypatch):
    paced = []

    async def pace(self, size):
        paced.append(size)
        return 1.0

    monkeypatch.setattr("anyprefer.models.servers.rate_limits.Pacer.pace", pace)
    with OpenAIServer() as server:
        async with working(Calls(), server.url, rpm=60) as (worker, _):
            await play(worker)
        assert len(paced) == server.calls["sample"]


async def test_what_cannot_play_is_told_and_not_raised():
    settings = load_settings(target="openai:gpt-4o", tools=())[0]
    setup = pack(Setup(settings.model_copy(update={"target": "nonsense"}), {}, Prices()))
    assert isinstance(await Worker().begin(setup, {}, {}), ModelSetupError)


async def test_two_workers_that_say_the_same_are_logged_once(caplog):
    shared = Shared(Calls(), load_settings()[0])
    for template in ("%s is away", "%s answers", "%s is away"):
        for worker in ("one", "two"):
            shared.said(worker, logging.WARNING, template, "http://a", template % "http://a")
    assert caplog.messages == ["http://a is away", "http://a answers", "http://a is away"]


async def test_a_workers_log_reaches_the_driver(caplog, logger):
    with OpenAIServer() as server:
        async with working(Calls(), server.url):
            relay = logger.handlers[-1]
            relay.handle(logger.makeRecord("anyprefer", logging.WARNING, "f", 1, "%s is away", ("x",), None))
            logger.removeHandler(relay)
            logger.propagate = True
            await asyncio.sleep(0.05)
    assert [said.getMessage() for said in caplog.records if said.name == "anyprefer"] == ["x is away"]


def test_what_ray_stores_of_a_worker_holds_no_secret_and_its_share_of_every_server():
    shown = {"headers": {"X-A": "secret-header"}, "api_key": "secret-key", "connections": 7, "rpm": 3}
    servers = {"http://a/v1": shown, "http://b/v1": {"rpm": 5}}
    settings = load_settings(api_key="secret-key", extra_body={"k": "secret-body"}, servers=servers)[0]
    packed = _packed_setup(settings, SimpleNamespace(given={}), Prices(), 2, None)
    assert b"secret" not in packed
    assert pickle.loads(packed).settings.connections == 128
    shares = _shared(settings, 2)
    assert (shares["http://a/v1"].connections, shares["http://b/v1"]) == (3, settings.servers["http://b/v1"])
