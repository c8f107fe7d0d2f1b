"""The limits and retries of an endpoint, against servers made of functions, in simulated time."""

import asyncio
import logging
import random
import re

import aiohttp
import orjson
import pytest
from yarl import URL

from anyprefer.core.errors import BudgetSpent, EndpointError
from anyprefer.core.server_settings import ServerSettings
from anyprefer.core.settings import RunSettings
from anyprefer.models.servers.endpoint import Endpoint, Servers
from anyprefer.models.servers.failures import BadAnswer, HTTPStatusError, TransportError
from anyprefer.models.servers.health import probe_body
from anyprefer.models.servers.http import Route
from anyprefer.models.servers.traffic import Request
from tests.virtual_time import virtual

TASK = re.compile(rb"task (\d+)")
PROBE = b"-1"
"""What a request for nobody's task is called."""
ROUTE = Route(URL("http://server/v1/chat/completions"), {}, aiohttp.ClientTimeout())


def answer(read=10, written=10):
    return {"choices": [{}], "usage": {"prompt_tokens": read, "completion_tokens": written}}


def now():
    return asyncio.get_running_loop().time()


class Server:
    """Answers after `latency` unless `fails(body, count)` gives an error; `count` is this body's number of requests."""

    def __init__(self, fails=lambda body, count: None, latency=0.2):
        self.fails = fails
        self.latency = latency
        self.arrived = []
        self.refused = []
        self.in_flight = self.peak = 0
        self.counts = {}

    async def __call__(self, route, body):
        asked = TASK.search(body)
        body = asked[1] if asked else PROBE
        self.arrived.append(now())
        self.counts[body] = self.counts.get(body, 0) + 1
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            failure = self.fails(body, self.counts[body])
            if failure is not None:
                self.refused.append(now())
                await asyncio.sleep(0.005)
                raise failure
            latency = self.latency(body, self.counts[body]) if callable(self.latency) else self.latency
            await asyncio.sleep(latency)
            return answer()
        finally:
            self.in_flight -= 1


def request(number=0, size=40, model="any", **given):
    return Request(ROUTE, f'{{"messages": "task {number:0{size}d}"}}'.encode(), model, **given)


def name(number):
    """How a server's functions are told of a request."""
    return TASK.search(request(number).body)[1]


def played(server, count=1, url="http://server/v1", **limits):
    """What each of `count` calls gave, an answer or an error, with the endpoint that was asked."""

    async def main():
        endpoint = Endpoint(url, ServerSettings(**limits), server)
        calls = [endpoint.ask(request(number)) for number in range(count)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        return results, endpoint, now()

    random.seed(1)
    return virtual(main())


def succeeded(results):
    return sum(isinstance(result, dict) for result in results)


def traffic_of(endpoint):
    [traffic] = endpoint._traffic.values()
    return traffic


def status(code, retry_after=None, words="no"):
    return HTTPStatusError(code, words, retry_after)


# Tried again, and not


@pytest.mark.parametrize("code", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_tried_again(code):
    server = Server(lambda body, count: status(code) if count < 3 else None)
    results, _, _ = played(server)
    assert succeeded(results) == 1
    assert len(server.arrived) == 3


@pytest.mark.parametrize("code", [400, 413, 422, 451])
def test_what_will_not_pass_is_not(code):
    server = Server(lambda body, count: status(code, words="response_format is not available"))
    [error], _, _ = played(server)
    assert isinstance(error, HTTPStatusError)
    assert str(error) == f"Error code: {code} - response_format is not available"
    assert len(server.arrived) == 1


@pytest.mark.parametrize(("code", "mend"), [(401, "the key"), (403, "the key's rights"), (404, "the model's name")])
def test_refusals_of_everything_stop_the_run(code, mend):
    [error], _, _ = played(Server(lambda body, count: status(code, words="nope")))
    assert isinstance(error, EndpointError)
    for words in ("any at http://server/v1", f"Error code: {code} - nope", f"check {mend}"):
        assert words in str(error)


def test_403_after_an_answer_is_the_calls_own():
    async def main():
        endpoint = Endpoint("u", ServerSettings(), server)
        await endpoint.ask(request(1))
        with pytest.raises(HTTPStatusError):
            await endpoint.ask(request(7))
        assert server.counts[name(7)] == 3

    server = Server(lambda body, count: status(403) if b"7" in body else None)
    virtual(main())


def test_a_spent_quota_stops_the_run():
    [error], _, _ = played(Server(lambda body, count: status(429, words="You exceeded (insufficient_quota)")))
    assert isinstance(error, EndpointError)


def test_a_call_fails_after_its_retries_while_others_are_answered():
    """Number 0 always fails, the others never; without them it would be the server that fails."""

    async def main():
        endpoint = Endpoint("u", ServerSettings(retries=3), server)

        async def others():
            for number in range(1, 200):
                await endpoint.ask(request(number))

        with pytest.raises(HTTPStatusError, match="Error code: 500"):
            await asyncio.wait_for(asyncio.gather(endpoint.ask(request(0)), others()), 60)

    server = Server(lambda body, count: status(500) if int(body) == 0 else None)
    virtual(main())
    assert server.counts[name(0)] == 4


def test_waiting_between_tries_grows_and_is_random():
    server = Server(lambda body, count: status(500) if count < 8 else None)
    played(server, 50)
    waits = [late - early for early, late in zip(server.arrived, server.arrived[50:], strict=False)]
    assert len({round(wait, 3) for wait in waits}) > 100

    async def main():
        endpoint = Endpoint("u", ServerSettings())
        return [max(endpoint._backoff(status(500), times) for _ in range(200)) for times in (1, 2, 3, 7, 20)]

    assert virtual(main()) == pytest.approx([0.5, 1, 2, 8, 8], rel=0.1)


def test_a_models_own_max_retries_counts_whatever_happens():
    async def main():
        await Endpoint("u", ServerSettings(), server).ask(request(retries=2))

    server = Server(lambda body, count: status(500))
    with pytest.raises(HTTPStatusError):
        virtual(main())
    assert len(server.arrived) == 3


@pytest.mark.parametrize("asked", [1.0, 7.0])
def test_retry_after_is_waited_for(asked):
    server = Server(lambda body, count: status(429, retry_after=asked) if count == 1 else None)
    played(server)
    assert asked <= server.arrived[1] - server.arrived[0] <= 1.3 * asked + 0.01


def test_retry_after_is_capped_by_the_patience():
    server = Server(lambda body, count: status(429, retry_after=1e6) if count == 1 else None)
    results, _, ended = played(server, patience=10)
    assert succeeded(results) == 1
    assert ended < 14


def test_one_call_that_is_refused_for_ever_fails_alone():
    """A request over the account's size is answered 429 whenever it comes."""

    async def main():
        endpoint = Endpoint("u", ServerSettings(patience=30), server)

        async def others():
            for number in range(1, 400):
                await endpoint.ask(request(number))

        results = await asyncio.gather(endpoint.ask(request(0)), others(), return_exceptions=True)
        assert isinstance(results[0], HTTPStatusError)
        assert results[1] is None

    server = Server(lambda body, count: status(429) if int(body) == 0 else None)
    virtual(main())


def test_every_further_request_is_counted(monkeypatch):
    counted = []
    monkeypatch.setattr("anyprefer.models.servers.endpoint.another_request", lambda: counted.append(1))
    server = Server(lambda body, count: status(500) if count < 4 else None)
    played(server, 2)
    assert len(counted) == len(server.arrived) - 2 >= 6  # probes among them


def test_a_spent_budget_ends_the_retries(monkeypatch):
    def spent():
        raise BudgetSpent("the budget of 1 call is spent")

    monkeypatch.setattr("anyprefer.models.servers.endpoint.another_request", spent)
    [error], endpoint, _ = played(Server(lambda body, count: status(500)))
    assert isinstance(error, BudgetSpent)
    assert traffic_of(endpoint).gate.in_flight == 0


# The call or the server


def asked(server, *numbers, **limits):
    """What calls give that are made one after another, with nothing else in flight; the endpoint and the time."""

    async def main():
        endpoint = Endpoint("http://server/v1", ServerSettings(**limits), server)
        results = []
        for number in numbers:
            [result] = await asyncio.gather(endpoint.ask(request(number)), return_exceptions=True)
            results.append(result)
        return results, endpoint, now()

    random.seed(1)
    return virtual(main())


FOR_EVER = [
    status(500, words="Internal Server Error"),
    status(504),
    TransportError("Request timed out: no whole answer within timeout (1.5 s)"),
    BadAnswer("Answer error: an answer without choices"),
    status(404, words="no such tenant"),
]


@pytest.mark.parametrize("failure", FOR_EVER)
def test_a_prompt_the_server_breaks_at_fails_alone_with_nothing_else_in_flight(failure):
    server = Server(lambda body, count: failure if int(body) == 1 else None)
    results, _, ended = asked(server, 0, 1, 2, retries=3)
    assert [type(result) for result in results] == [dict, type(failure), dict]
    assert re.search(r"; tried [45] times in \d+ s, .*\(retries = 3, patience = 600 s\)", str(results[1]))
    assert ended < 60


@pytest.mark.parametrize("failure", FOR_EVER)
def test_it_may_be_the_first_call_of_a_run(failure):
    server = Server(lambda body, count: failure if int(body) == 1 else None)
    results, _, _ = asked(server, 1, 2, retries=3)
    assert [type(result) for result in results] == [type(failure), dict]


def test_a_call_that_is_refused_with_429_for_ever_fails_alone_with_nothing_else_in_flight():
    server = Server(lambda body, count: status(429, words="too large") if int(body) == 1 else None)
    results, _, ended = asked(server, 0, 1, 2, patience=60)
    assert [type(result) for result in results] == [dict, HTTPStatusError, dict]
    assert 60 < ended < 120


@pytest.mark.parametrize("failure", [status(500), TransportError("gone"), BadAnswer("Answer error: a page")])
@pytest.mark.parametrize("count", [1, 2, 64])
def test_a_server_that_comes_back_when_all_have_used_up_their_tries_fails_no_call(failure, count):
    server = Server(lambda body, count: failure if 0.1 < now() < 100 else None)

    async def main():
        endpoint = Endpoint("u", ServerSettings(retries=2), server)
        await endpoint.ask(request(999))
        return await asyncio.gather(*(endpoint.ask(request(n)) for n in range(count)), return_exceptions=True)

    random.seed(1)
    assert succeeded(virtual(main())) == count


def test_a_server_that_is_shaky_after_it_was_away_fails_no_call():
    def fails(body, count):
        return status(500) if now() < 30 or random.random() < 0.2 else None

    results, _, _ = played(Server(fails), 500, connections=64, retries=8)
    assert succeeded(results) == 500


@pytest.mark.parametrize("code", [301, 401, 403, 404])
@pytest.mark.parametrize("when", [1, 50, 99])
def test_a_stray_refusal_stops_nothing(code, when):
    server = Server(lambda body, count: status(code) if len(server.arrived) == when else None)
    results, _, _ = asked(server, *range(100))
    assert succeeded(results) == 100


@pytest.mark.parametrize("code", [401, 404])
@pytest.mark.parametrize("count", [1, 64])
def test_a_key_that_is_refused_from_now_on_stops_the_run_soon(code, count):
    server = Server(lambda body, count: status(code, words="revoked") if now() > 1 else None)

    async def main():
        endpoint = Endpoint("http://server/v1", ServerSettings(), server)
        await endpoint.ask(request(0))
        await asyncio.sleep(1)
        calls = (endpoint.ask(request(number)) for number in range(1, count + 1))
        return await asyncio.gather(*calls, return_exceptions=True), now()

    results, ended = virtual(main())
    assert {type(result) for result in results} == {EndpointError}
    assert f"any at http://server/v1 refuses every call: Error code: {code} - revoked; check" in str(results[0])
    assert ended < 15


def test_an_unknown_model_beside_a_known_one_stops_the_run():
    async def server(route, body):
        await asyncio.sleep(0.1)
        if route is other:
            raise status(404, words="no such model")
        return answer()

    async def main():
        endpoint = Endpoint("http://server/v1", ServerSettings(), server)

        async def known():
            for number in range(1000):
                await endpoint.ask(request(number))

        going = asyncio.create_task(known())
        with pytest.raises(EndpointError, match="other at http://server/v1 refuses every call"):
            await endpoint.ask(Request(other, request(1).body, "other"))
        assert now() < 5
        await going

    other = Route(URL("http://server/v1/chat/completions"), {}, aiohttp.ClientTimeout())
    virtual(main())


def test_a_model_that_is_away_beside_one_that_answers_is_waited_for():
    async def server(route, body):
        await asyncio.sleep(0.1)
        if route is other and now() < 100:
            raise status(503)
        return answer()

    async def main():
        endpoint = Endpoint("u", ServerSettings(retries=2), server)

        async def known():
            for number in range(2000):
                await endpoint.ask(request(number))

        away = asyncio.create_task(endpoint.ask(Request(other, request(1).body, "other")))
        await known()
        assert await away == answer()

    other = Route(URL("http://server/v1/chat/completions"), {}, aiohttp.ClientTimeout())
    virtual(main())


MONEY = [
    status(402, words="Insufficient Balance"),
    status(403, words="Your account is not active, please check your billing details"),
    status(429, words="You exceeded your current quota, please check your plan and billing details"),
    status(429, 20.0, words="no (insufficient_quota)"),
    status(400, words="Your credit balance is too low to access the API"),
]


@pytest.mark.parametrize("refusal", MONEY)
def test_an_account_without_credit_stops_the_run_at_any_time(refusal):
    results, _, ended = asked(Server(lambda body, count: refusal if now() > 1 else None), *range(10))
    assert type(results[-1]) is EndpointError
    assert str(refusal) in str(results[-1])
    assert ended < 60


@pytest.mark.parametrize(
    "refusal",
    [
        status(403, words="Your input was flagged"),
        status(400, words="The prompt speaks of billing and of credit"),
        status(429, words="Quota exceeded for metric requests_per_minute; check your billing. Please retry in 7 s"),
    ],
)
def test_words_of_money_in_another_refusal_do_not(refusal):
    results, _, _ = asked(Server(lambda body, count: refusal if int(body) == 5 and count < 3 else None), *range(10))
    assert EndpointError not in map(type, results)


@pytest.mark.parametrize("asked_for", [0.0, 0.001, None])
def test_a_server_that_asks_for_no_wait_is_not_asked_in_a_hot_loop(asked_for):
    server = Server(lambda body, count: status(429, retry_after=asked_for) if int(body) == 1 else None)
    asked(server, 0, 1, patience=60)
    assert server.counts[name(1)] < 20


@pytest.mark.parametrize("code", [500, 503])
def test_a_wait_that_is_asked_for_lengthens_ours(code):
    async def main():
        endpoint = Endpoint("u", ServerSettings())
        return [endpoint._backoff(status(code, retry_after=asked), 5) for asked in (0.0, 20.0) for _ in range(99)]

    waits = virtual(main())
    assert max(waits[:99]) > 6
    assert 20 <= min(waits[99:]) <= max(waits[99:]) <= 24


def test_a_probe_is_a_tiny_request_with_the_same_parameters():
    body = {"model": "m", "messages": [1], "n": 5, "tools": [2], "max_tokens": 4000, "temperature": 1.0, "seed": 3}
    assert orjson.loads(probe_body(orjson.dumps(body))) == {
        **{"model": "m", "temperature": 1.0, "seed": 3, "max_tokens": 16},
        "messages": [{"role": "user", "content": "Reply with OK."}],
    }


# How many at once


def test_no_more_connections_than_allowed():
    server = Server()
    results, _, _ = played(server, 100, connections=7)
    assert succeeded(results) == 100
    assert server.peak == 7


def test_calls_are_answered_in_the_order_they_came():
    server = Server()
    order = []

    async def main():
        endpoint = Endpoint("u", ServerSettings(connections=2), server)

        async def one(number):
            await endpoint.ask(request(number))
            order.append(number)

        await asyncio.gather(*map(one, range(20)))

    virtual(main())
    assert order == list(range(20))


def test_a_cancelled_call_gives_its_place_back():
    async def main():
        endpoint = Endpoint("u", ServerSettings(connections=1), Server(latency=5.0))
        calls = [asyncio.create_task(endpoint.ask(request(number))) for number in range(3)]
        await asyncio.sleep(1)
        calls[1].cancel()
        calls[0].cancel()
        await asyncio.sleep(0)
        calls.append(asyncio.create_task(endpoint.ask(request(9))))
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(result) for result in results] == [asyncio.CancelledError, asyncio.CancelledError, dict, dict]
        assert traffic_of(endpoint).gate.in_flight == 0

    virtual(main())


def broken(body, count):
    """20% 429 that ask for a second, 5% 500, 2% half bodies; hangs come from `hanging`."""
    drawn = random.Random(f"{body}{count}").random()
    if drawn < 0.20:
        return status(429, retry_after=1.0)
    if drawn < 0.25:
        return status(500)
    return TransportError("Connection error: half a body") if drawn < 0.27 else None


def hanging(body, count):
    return 60.0 if random.Random(f"hang {body}{count}").random() < 0.005 else 0.2


def test_random_failures_do_not_slow_an_endpoint_down():
    """5000 calls at 256 in flight take 3.9 s without faults."""
    server = Server(broken, hanging)
    results, endpoint, _ = played(server, 5000)
    assert succeeded(results) == 5000
    assert traffic_of(endpoint).gate.limit == 256
    begun = sorted(server.arrived)
    assert begun[int(0.99 * len(begun))] < 9


@pytest.mark.parametrize("retry_after", [None, 1.0])
def test_a_server_that_bears_twenty_is_found_out(retry_after):
    server = Server()
    server.fails = lambda body, count: status(429, retry_after=retry_after) if server.in_flight > 20 else None
    results, _, ended = played(server, 4000)
    assert succeeded(results) == 4000
    late = [time for time in server.arrived if time > ended / 2]
    refused = [time for time in server.refused if time > ended / 2]
    assert len(refused) / len(late) < 0.05
    assert ended < 2 * 4000 / 100


@pytest.mark.parametrize("retry_after", [None, 1.0])
def test_a_server_that_bears_fifty_a_second_is_found_out(retry_after):
    served = []

    def fails(body, count):
        while served and served[0] <= now() - 1:
            served.pop(0)
        if len(served) >= 50:
            return status(429, retry_after=retry_after)
        served.append(now())
        return None

    server = Server(fails)
    results, _, ended = played(server, 3000)
    assert succeeded(results) == 3000
    late = [time for time in server.arrived if time > ended / 2]
    refused = [time for time in server.refused if time > ended / 2]
    assert len(refused) / len(late) < 0.1
    assert ended < 2 * 3000 / 50


def test_it_grows_back_when_the_server_bears_more():
    server = Server()
    server.fails = lambda body, count: status(429) if server.in_flight > (20 if now() < 60 else 200) else None
    results, endpoint, _ = played(server, 20000, connections=200)
    assert succeeded(results) == 20000
    assert traffic_of(endpoint).gate.limit > 150


# A minute's requests and tokens


def most_and_least(times, amounts, ended):
    """The largest sum in any 60 s, and the smallest in any that lie within."""
    most, least, first = 0.0, float("inf"), 0
    sums = [0.0]
    for amount in amounts:
        sums.append(sums[-1] + amount)
    for last, time in enumerate(times):
        while times[first] <= time - 60:
            first += 1
        most = max(most, sums[last + 1] - sums[first])
        if time - 60 > 0 and time < ended:
            least = min(least, sums[last + 1] - sums[first])
    return most, least


@pytest.mark.parametrize("rpm", [10, 60, 500, 6000])
def test_requests_a_minute_hold_in_every_window(rpm):
    server = Server(lambda body, count: status(500) if count == 1 and int(body) % 20 == 0 else None)
    results, _, _ = played(server, 4 * rpm, rpm=rpm, connections=512)
    assert succeeded(results) == 4 * rpm
    assert len(server.arrived) >= 4.2 * rpm
    most, least = most_and_least(server.arrived, [1] * len(server.arrived), server.arrived[-1])
    assert most <= 1.02 * rpm
    assert least >= 0.98 * rpm - 1


@pytest.mark.parametrize("tpm", [60_000, 600_000])
def test_tokens_a_minute_hold_in_every_window(tpm):
    """Answers of 20 to 180 tokens to prompts of 100 to 200 bytes; the server counts when it answers."""
    times, amounts = [], []

    async def server(route, body):
        read, written = len(body) // 3, random.Random(body).randint(20, 180)
        await asyncio.sleep(1.0)
        times.append(now())
        amounts.append(read + written)
        return answer(read, written)

    async def main():
        endpoint = Endpoint("u", ServerSettings(tpm=tpm), server)
        calls = [endpoint.ask(request(n, size=random.Random(n).randint(100, 200))) for n in range(tpm * 4 // 150)]
        await asyncio.gather(*calls)
        return times[-1]

    most, least = most_and_least(times, amounts, virtual(main()))
    assert most <= 1.02 * tpm
    assert least >= 0.97 * tpm


def test_no_limit_costs_no_time():
    _, _, ended = played(Server(), 256)
    assert ended == pytest.approx(0.2)


# A server that goes away


def test_a_server_that_dies_for_twenty_seconds_costs_no_call(caplog):
    def fails(body, count):
        return TransportError("Connection error: refused") if 1 < now() < 21 else None

    server = Server(fails)
    with caplog.at_level(logging.WARNING, "anyprefer"):
        results, endpoint, ended = played(server, 3000)
    assert succeeded(results) == 3000
    assert ended < 21 + 7 + 3000 / 256 * 0.2
    assert sum(5 < time < 20.9 for time in server.arrived) < 20
    assert traffic_of(endpoint).gate.limit == 256
    away, back = [record.getMessage() for record in caplog.records]
    assert "http://server/v1 has not answered for" in away
    assert "Connection error: refused" in away
    assert "up to 600 s; Ctrl-C ends the run, and the same command resumes it later" in away
    assert "http://server/v1 answers again after 2" in back


def test_a_short_absence_is_not_logged(caplog):
    played(Server(lambda body, count: TransportError("gone") if 1 < now() < 1.5 else None), 3000)
    assert not caplog.records


@pytest.mark.parametrize("failure", [status(500, words="busy"), TransportError("busy"), status(429, words="busy")])
@pytest.mark.parametrize("count", [1, 300])
def test_patience_ends(failure, count):
    results, endpoint, ended = played(Server(lambda body, count: failure), count, patience=60)
    assert {type(result) for result in results} == {EndpointError}
    assert 60 <= ended < 100
    assert re.match(r"any at http://server/v1 has not answered any call for [67]\d s: .*busy", str(results[0]))
    assert traffic_of(endpoint).gate.in_flight == 0


def test_after_it_was_given_up_a_server_is_asked_anew():
    async def main():
        server = Server(lambda body, count: TransportError("gone") if now() < 60 else None)
        endpoint = Endpoint("u", ServerSettings(patience=20), server)
        with pytest.raises(EndpointError):
            await endpoint.ask(request(0))
        await asyncio.sleep(60)
        await endpoint.ask(request(1))

    virtual(main())


# Sharing


def test_one_endpoint_per_url():
    servers = Servers(RunSettings(connections=3, servers={"http://b": {"connections": 5}}))
    assert servers.at("http://a/v1") is servers.at("http://a/v1/")
    assert servers.at("http://a/v1") is not servers.at("http://b/v1")
    assert [servers.at(f"http://{host}/v1").limits.connections for host in "ab"] == [3, 5]


def test_every_loop_counts_for_itself():
    endpoint = Endpoint("u", ServerSettings(connections=1), Server())
    for _ in range(3):
        virtual(endpoint.ask(request()))
    assert len(endpoint._traffic) == 1
