"""Failures of real connections, and what is said of them."""

import asyncio
import ssl
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web
from pydantic import SecretStr

from anyprefer.graph.errors import EndpointError
from anyprefer.graph.models import load_model
from anyprefer.graph.models.endpoint import Endpoint, Endpoints
from anyprefer.graph.models.failures import HTTPStatusError, TransportError, retry_after
from anyprefer.graph.models.http import proxy_for, tls
from anyprefer.graph.models.limits import Limits
from anyprefer.graph.models.openai_chat import CompatibleChat
from tests.loopback import Loopback, completion, refusal

SECRET = "a-key-in-no-environment"


def at(server, **limits):
    return CompatibleChat(
        model="any", base_url=server.url, api_key=SecretStr(SECRET), endpoint=Endpoint(server.url, Limits(**limits))
    )


def asked_by_us(server):
    """Requests that are no probes of the endpoint's."""
    return [body for body in server.bodies if body["messages"][-1]["content"] != "Reply with OK."]


FAULTS = {
    "half an answer of JSON": lambda: web.Response(text='{"choices": [{"mess', content_type="application/json"),
    "no JSON": lambda: web.Response(text="<html>Bad gateway</html>"),
    "no choices": lambda: web.json_response({"choices": []}),
    "an error in a 200": lambda: web.json_response({"error": {"message": "upstream", "code": 503}}),
    "busy": lambda: refusal(503, "Overloaded."),
    "too many": lambda: refusal(429, "Slow down.", **{"Retry-After": "0.1"}),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_is_broken_once_is_asked_again(fault):
    with Loopback(lambda asked, count: FAULTS[fault]() if count == 1 else completion("Hi.")) as server:
        assert (await at(server).ainvoke("Hi")).content == "Hi."
        assert len(asked_by_us(server)) == 2


async def test_a_dropped_connection_is_asked_again():
    async def dropped(asked, count):
        if count > 2:
            return completion("Hi.")
        response = web.StreamResponse(headers={"Content-Length": "500"})
        await response.prepare(server.requests[-1])
        if count == 1:
            await response.write(b'{"choices"')
        server.requests[-1].transport.abort()
        return response

    with Loopback(dropped) as server:
        assert (await at(server).ainvoke("Hi")).content == "Hi."
        assert len(server.bodies) == 3


async def test_an_answer_that_stays_away_is_asked_again():
    async def slow(asked, count):
        await asyncio.sleep(5 if count == 1 else 0)
        return completion("Hi.")

    for limit in ("read_timeout", "total_timeout"):
        with Loopback(slow) as server:
            begun = time.monotonic()
            assert (await at(server, **{limit: 0.2}).ainvoke("Hi")).content == "Hi."
            assert time.monotonic() - begun < 3
            assert len(server.bodies) == 2


async def test_a_server_that_comes_back_is_waited_for():
    with Loopback(lambda asked, count: completion("Hi.")) as server:
        model = at(server, patience=20)
        await model.ainvoke("Hi")
        await asyncio.to_thread(server.down)
        calls = asyncio.gather(*(model.ainvoke(str(number)) for number in range(50)))
        await asyncio.sleep(1)
        await asyncio.to_thread(server.up)
        assert {answer.content for answer in await calls} == {"Hi."}
        assert len(asked_by_us(server)) == 51


async def test_a_server_that_stays_away_ends_the_run():
    with Loopback(lambda asked, count: completion("Hi.")) as server:
        model = at(server, patience=0.5)
    with pytest.raises(EndpointError, match=f"{server.url} has not answered any call for .*Connection error"):
        await model.ainvoke("Hi")


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_servers_words_come_without_the_key(status):
    with Loopback(lambda asked, count: refusal(status, f"Incorrect API key provided: {SECRET}.")) as server:
        with pytest.raises((HTTPStatusError, EndpointError)) as raised:
            await at(server).ainvoke("Hi")
        assert server.headers[0]["Authorization"] == f"Bearer {SECRET}"
    assert f"Error code: {status} - Incorrect API key provided: [secret]." in str(raised.value)
    error = raised.value
    while error:
        assert SECRET not in f"{error!r} {error}"
        error = error.__cause__ or error.__context__


async def test_words_name_the_parameter():
    answer = {"error": {"message": "Unsupported value", "param": "response_format", "code": "unsupported"}}
    with (
        Loopback(lambda asked, count: web.json_response(answer, status=400)) as server,
        pytest.raises(HTTPStatusError, match=r"Error code: 400 - Unsupported value \(response_format, unsupported\)"),
    ):
        await at(server).ainvoke("Hi")


async def test_a_large_body_arrives_whole():
    text = "ü" * 2**21
    with Loopback(lambda asked, count: completion("Hi.")) as server:
        await at(server).ainvoke(text)
        assert server.bodies[0]["messages"][0]["content"] == text


def test_roles_at_one_url_share_an_endpoint():
    endpoints = Endpoints(Limits(rpm=7))
    one, other = (load_model(f"openai:{name}@http://localhost:1/v1", endpoints=endpoints) for name in "ab")
    assert one.endpoint is other.endpoint
    assert one.endpoint.limits.rpm == 7
    assert load_model("openai:a@http://localhost:1/v1").endpoint is None


def test_retry_after_in_seconds_or_as_a_date():
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(minutes=1), usegmt=True)
    assert retry_after("1.5") == 1.5
    assert 58 < retry_after(in_a_minute) <= 60
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert [retry_after(odd) for odd in (None, "", "soon", "nan", "-3")] == [None, None, None, None, 0]


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, "https://api.openai.com/v1", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://api.openai.com/v1", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "http://localhost:8000/v1", None),
        ({"HTTP_PROXY": "p:1"}, "http://host/v1", "http://p:1"),
        ({"ALL_PROXY": "http://p:1"}, "https://host/v1", "http://p:1"),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "host"}, "https://host/v1", None),
    ],
)
def test_proxies_of_the_environment(monkeypatch, environment, url, proxy):
    from yarl import URL

    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(URL(url)) == proxy


async def test_requests_go_through_the_proxy(monkeypatch):
    with Loopback(lambda asked, count: completion("Hi.")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.delenv("http_proxy", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        model = CompatibleChat(model="any", base_url="http://host.invalid/v1", api_key="none")
        assert (await model.ainvoke("Hi")).content == "Hi."
        assert proxy.headers[0]["Host"] == "host.invalid"


def test_certificates_are_verified(monkeypatch, tmp_path):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    tls.cache_clear()
    assert tls().verify_mode is ssl.CERT_REQUIRED
    assert tls().check_hostname
    assert len(tls().get_ca_certs()) > 50
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    tls.cache_clear()
    assert len(tls().get_ca_certs()) == 0
    tls.cache_clear()


def test_errors_are_pickled_whole():
    import pickle

    for error in (HTTPStatusError(429, "no", 1.0), TransportError("Connection error", permanent=True)):
        again = pickle.loads(pickle.dumps(error))
        assert (str(again), vars(again)) == (str(error), vars(error))
