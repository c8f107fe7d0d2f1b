"""Failures of real connections, and what is said of them."""

import asyncio
import gzip
import json
import ssl
import threading
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web
from pydantic import SecretStr

from anyprefer.core.errors import EndpointError, ModelSetupError
from anyprefer.core.server_settings import ServerSettings
from anyprefer.core.settings import RunSettings
from anyprefer.models import load_model
from anyprefer.models.servers.endpoint import Endpoint, Servers
from anyprefer.models.servers.failures import HTTPStatusError, TransportError, retry_after, server_words
from anyprefer.models.servers.http import LARGEST, proxy_for, tls
from anyprefer.models.servers.openai_chat import CompatibleChat
from tests.loopback import Loopback, completion, refusal

SECRET = "a-key-in-no-environment"


def at(server, **limits):
    return CompatibleChat(
        model="any",
        base_url=server.url,
        api_key=SecretStr(SECRET),
        endpoint=Endpoint(server.url, ServerSettings(**limits)),
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

    with Loopback(slow) as server:
        assert (await at(server, timeout=0.2).ainvoke("Hi")).content == "Hi."
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


def test_a_servers_words_control_no_terminal():
    assert server_words(b"<b>\x1b[2J\x07 no\r\n way\xc2\x85</b>") == r"<b>\x1b[2J\x07 no   way </b>"


async def test_a_large_body_arrives_whole():
    text = "ü" * 2**21
    with Loopback(lambda asked, count: completion("Hi.")) as server:
        await at(server).ainvoke(text)
        assert server.bodies[0]["messages"][0]["content"] == text


def test_roles_at_one_url_share_an_endpoint():
    servers = Servers(RunSettings(rpm=7))
    one, other = (load_model(f"openai:{name}@http://localhost:1/v1", servers=servers) for name in "ab")
    assert one.endpoint is other.endpoint
    assert one.endpoint.limits.rpm == 7
    assert load_model("openai:a@http://localhost:1/v1").endpoint is None


def test_retry_after_in_seconds_or_as_a_date():
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(minutes=1), usegmt=True)
    assert retry_after("1.5") == 1.5
    assert 58 < retry_after(in_a_minute) <= 60
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert [retry_after(odd) for odd in (None, "", "soon", "nan", "-3")] == [None, None, None, None, 0]
    odd = ("1, 2", "Mon, 99 Foo 2025 99:99:99 GMT", "Fri, 31 Dec 99999999999999999999 23:59:59 GMT")
    assert [retry_after(header) for header in odd] == [None, None, None]


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


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_server_is_not_followed_and_named(code):
    with Loopback(lambda asked, count: completion("from elsewhere")) as elsewhere:
        to = {"Location": f"{elsewhere.url}/chat/completions"}
        with (
            Loopback(lambda asked, count: web.Response(status=code, headers=to)) as server,
            pytest.raises(EndpointError, match=f"{code} - it redirects to {to['Location']}, which is not followed"),
        ):
            await at(server).ainvoke("Hi")
        assert elsewhere.bodies == []


@pytest.mark.parametrize("location", ["", "file:///etc/passwd", "http://[::1:99999/%%%zz", "//other.invalid/v1"])
async def test_an_odd_redirect_is_a_refusal(location):
    answer = web.Response(status=307, headers={"Location": location})
    with (
        Loopback(lambda asked, count: web.Response(status=307, headers=answer.headers)) as server,
        pytest.raises(EndpointError, match="307 - it redirects to"),
    ):
        await at(server).ainvoke("Hi")


async def test_a_redirect_at_the_same_server_is_followed_but_not_in_circles():
    def moved(asked, count):
        to = {"Location": "/v1/chat/completions?moved=1"}
        return completion("Hi.") if "moved" in str(server.requests[-1].url) else web.Response(status=307, headers=to)

    with Loopback(moved) as server:
        assert (await at(server).ainvoke("Hi")).content == "Hi."
    circle = {"Location": "/v1/chat/completions"}
    with (
        Loopback(lambda asked, count: web.Response(status=307, headers=circle)) as server,
        pytest.raises(EndpointError, match="in circles"),
    ):
        await at(server).ainvoke("Hi")


def packed(by, text=None, **headers):
    body = by((text or json.dumps(completion("Hi."))).encode())
    return web.Response(body=body, content_type="application/json", headers=headers)


@pytest.mark.parametrize(
    "answer",
    [
        lambda: packed(gzip.compress, **{"Content-Encoding": "gzip"}),
        lambda: packed(zlib.compress, **{"Content-Encoding": "deflate"}),
        lambda: packed(lambda text: zlib.compress(text, wbits=-15), **{"Content-Encoding": "deflate"}),
        lambda: packed(bytes, **{"Content-Encoding": "identity"}),
    ],
)
async def test_an_answer_that_was_packed_unasked_is_read(answer):
    with Loopback(lambda asked, count: answer()) as server:
        assert (await at(server).ainvoke("Hi")).content == "Hi."
        assert server.headers[0]["Accept-Encoding"] == "identity"


LARGE_TEXT = "x" * (LARGEST + 1)
TOO_MUCH = {
    "plain": lambda: packed(bytes, LARGE_TEXT),
    "packed": lambda: packed(gzip.compress, LARGE_TEXT, **{"Content-Encoding": "gzip"}),
    "half packed": lambda: packed(lambda text: gzip.compress(text)[:-9], **{"Content-Encoding": "gzip"}),
    "not packed": lambda: packed(bytes, **{"Content-Encoding": "gzip"}),
    "packed oddly": lambda: packed(bytes, **{"Content-Encoding": "br"}),
}


@pytest.mark.parametrize("answer", TOO_MUCH)
async def test_an_answer_without_end_or_in_an_odd_packing_is_asked_for_again(answer):
    with Loopback(lambda asked, count: TOO_MUCH[answer]() if count == 2 else completion("Hi.")) as server:
        model = at(server)
        await model.ainvoke("Hi")
        assert (await model.ainvoke("Hi")).content == "Hi."
        assert len(server.bodies) == 3


async def test_of_an_errors_body_no_more_than_is_shown_is_read():
    def huge(asked, count):
        return web.Response(status=400, text="no " * LARGEST)

    with Loopback(huge) as server, pytest.raises(HTTPStatusError, match="Error code: 400 - no no no"):
        await at(server).ainvoke("Hi")


async def test_what_comes_on_an_idle_connection_is_no_answer_to_the_next_question():
    late = json.dumps(completion("too late"))

    async def twice(asked, count):
        response = web.json_response(completion(str(count)))
        request = server.requests[-1]
        await response.prepare(request)
        await response.write_eof()
        if count < 3:
            request.transport.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(late)}\r\n\r\n{late}".encode())
        written.set()
        return response

    written = threading.Event()
    with Loopback(twice) as server:
        model, said = at(server), []
        for _ in range(4):
            written.clear()
            said.append((await model.ainvoke("Hi")).content)
            await asyncio.to_thread(written.wait)
            await asyncio.sleep(0.01)
    assert said == ["1", "2", "3", "4"]


async def test_a_call_that_takes_too_long_names_the_setting_and_is_no_absent_server():
    async def slow(asked, count):
        if asked["messages"][-1]["content"] == "Think.":
            await asyncio.sleep(5)
        return completion("Hi.")

    with Loopback(slow) as server:
        model = at(server, retries=1, timeout=0.7)
        with pytest.raises(TransportError, match=r"Request timed out: no whole answer within timeout \(0.7 s\)"):
            await model.ainvoke("Think.")
        assert (await model.ainvoke("Hi")).content == "Hi."


@pytest.mark.parametrize("key", ["sk-with-a-line-break\n", "sk-\r\nX-Evil: 1", "sk-\0"])
async def test_a_key_that_would_break_a_request_up_is_refused_by_name(key):
    model = CompatibleChat(model="any", base_url="http://127.0.0.1:1/v1", api_key=SecretStr(key))
    with pytest.raises(ModelSetupError, match=r"the key for 127.0.0.1 holds a line break") as raised:
        await model.ainvoke("Hi")
    assert "sk-" not in str(raised.value)


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
