"""A key goes to its own server and to no other."""

import pytest

from anyprefer.core.errors import ModelSetupError
from anyprefer.core.settings import RunSettings
from anyprefer.graph import synth
from anyprefer.models import load_model
from anyprefer.models.load import split_server
from anyprefer.models.servers.endpoint import Servers
from anyprefer.models.servers.keys import OPENAI, Keys
from tests.loopback import Loopback, completion

REAL = "sk-real-openai-key-123456"
GPU, GROQ = "http://gpu:8000/v1", "https://api.groq.com/openai/v1"


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "ANYPREFER_KEY_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", REAL)
    monkeypatch.setenv("GROQ_API_KEY", "groq-key-123")


@pytest.mark.parametrize("url", [GPU, GROQ, "http://api.openai.com/v1", "https://api.openai.com.evil.org/v1",
                                 "https://api.openai.com:8443/v1", "https://api.openai.com@evil.org/v1"])  # fmt: skip
def test_openais_key_goes_to_openai_alone(url):
    assert Keys().of(url) == ""
    assert Keys().of(OPENAI) == Keys().of("https://API.openai.com/v1/") == REAL


def test_a_server_gets_no_key_that_is_not_its_own():
    with Loopback(lambda asked, count: completion("Hi.")) as server:
        load_model(f"openai:any@{server.url}").invoke("Hi")
        load_model(f"openai:any@{server.url}", servers=Servers(RunSettings(api_key="its-own"))).invoke("Hi")
    assert [headers["Authorization"] for headers in server.headers] == ["Bearer none", "Bearer its-own"]


def test_another_base_url_of_openais_client_is_another_server(monkeypatch):
    with Loopback(lambda asked, count: completion("Hi.")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        load_model("openai:any").invoke("Hi")
    assert REAL not in str(server.headers)


def test_a_server_names_its_key(monkeypatch):
    named = Keys(RunSettings(key_env=[f"{GROQ}=GROQ_API_KEY"]))
    assert named.of(GROQ) == named.of(f"{GROQ}/") == named.of(f"{GROQ}/deeper") == "groq-key-123"
    assert named.of("https://api.groq.com/openai/v1beta") == named.of("https://api.groq.com.evil.org/openai/v1") == ""
    assert named.of(GPU) == ""
    assert named.of(OPENAI) == REAL
    assert Keys(RunSettings(key_env=["https://api.groq.com=GROQ_API_KEY"])).of(GROQ) == "groq-key-123"
    monkeypatch.setenv("ANYPREFER_KEY_ENV", f"{GROQ}=GROQ_API_KEY, {GPU}=OPENAI_API_KEY")
    assert (Keys().of(GROQ), Keys().of(GPU)) == ("groq-key-123", REAL)


@pytest.mark.parametrize("given", [{"api_key": "one-key"}, {"key_env": ["GROQ_API_KEY"]}])
def test_one_key_is_for_one_server(given):
    keys = Keys(RunSettings(**given))
    assert keys.of(GPU) == keys.of(GPU) != ""
    with pytest.raises(ModelSetupError, match=f"is one server's, but models are at {GPU} and {GROQ}"):
        keys.of(GROQ)


def test_a_key_in_a_file(tmp_path):
    file = tmp_path / "key"
    file.write_text("  file-key-1\n")
    assert Keys(RunSettings(api_key_file=str(file))).of(GPU) == "file-key-1"
    file.write_text("two words")
    with pytest.raises(ModelSetupError, match="must hold one key and nothing else"):
        Keys(RunSettings(api_key_file=str(file)))
    with pytest.raises(ModelSetupError, match="cannot be read"):
        Keys(RunSettings(api_key_file=str(tmp_path / "none")))


def test_a_variable_that_is_not_set_is_named():
    with pytest.raises(ModelSetupError, match="key_env names MISSING_KEY for http://gpu:8000/v1, but it is not set"):
        Keys(RunSettings(key_env=["MISSING_KEY"])).of(GPU)


def test_settings_give_each_server_its_key(tmp_path):
    text = "Answer 1: 7/10\nAnswer 2: 3/10"
    with Loopback(lambda a, n: completion("A", "B")) as target, Loopback(lambda a, n: completion(text)) as judge:
        given = {"target": f"openai:t@{target.url}", "judge": f"openai:j@{judge.url}", "reward": "accept"}
        named = f"{target.url}=GROQ_API_KEY,{judge.url}=OPENAI_API_KEY"
        [row] = synth(["Hi"], **given, tools=[], candidates=2, key_env=named)
    assert row.outcome == "accepted"
    assert {headers["Authorization"] for headers in target.headers} == {"Bearer groq-key-123"}
    assert {headers["Authorization"] for headers in judge.headers} == {f"Bearer {REAL}"}


def test_each_server_gets_its_headers_and_further_fields():
    text = "Answer 1: 7/10\nAnswer 2: 3/10"
    with Loopback(lambda a, n: completion("A", "B")) as target, Loopback(lambda a, n: completion(text)) as judge:
        given = {"target": f"openai:t@{target.url}", "judge": f"openai:j@{judge.url}", "reward": "accept"}
        servers = {target.url: {"headers": {"X-Team": "blue"}, "extra_body": {"thinking": {"on": False}}}}
        [row] = synth(["Hi"], **given, tools=[], candidates=2, servers=servers, extra_body={"tier": "flex"})
    assert row.outcome == "accepted"
    assert {headers.get("X-Team") for headers in target.headers} == {"blue"}
    assert {headers.get("X-Team") for headers in judge.headers} == {None}
    assert [(body.get("thinking"), body.get("tier")) for body in target.bodies] == [({"on": False}, None)]
    assert {(body.get("thinking"), body.get("tier")) for body in judge.bodies} == {(None, "flex")}


def test_headers_for_any_server_are_one_servers():
    keys = Keys(RunSettings(headers={"X-Team": "blue"}, servers={GROQ: {"headers": {"X-Team": "red"}}}))
    assert keys.headers(GPU) == keys.headers(GPU) == {"X-Team": "blue"}
    assert keys.headers(GROQ) == {"X-Team": "red"}
    with pytest.raises(ModelSetupError, match=f"headers is one server's, but models are at {GPU} and {OPENAI}"):
        keys.headers(OPENAI)


@pytest.mark.parametrize(("rest", "name", "url"), [
    ("gpt-4o", "gpt-4o", ""),
    ("my-7b@http://gpu/v1/", "my-7b", "http://gpu/v1"),
    ("@cf/meta/llama-3.1-8b-instruct@https://x/v1", "@cf/meta/llama-3.1-8b-instruct", "https://x/v1"),
    ("@cf/meta/llama", "@cf/meta/llama", ""),
    ("claude-opus-4@20250514@http://x/v1", "claude-opus-4@20250514", "http://x/v1"),
    ("claude-opus-4@20250514", "claude-opus-4@20250514", ""),
    ("m@http://a/v1@http://b/v1", "m@http://a/v1", "http://b/v1"),
    ("m@https://user:p%40ss@host/v1", "m", "https://user:p%40ss@host/v1"),
    ("m@HTTP://x/v1", "m", "HTTP://x/v1"),
])  # fmt: skip
def test_the_url_begins_at_the_last_at_http(rest, name, url):
    assert split_server(rest) == (name, url)
