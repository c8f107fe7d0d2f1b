import pytest
from langchain_openai import ChatOpenAI

from anyprefer.core.errors import ModelSetupError
from anyprefer.models import load_model, traits_of
from anyprefer.models.load import is_model
from anyprefer.models.servers.openai_chat import CompatibleChat


@pytest.fixture(autouse=True)
def _no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.mark.parametrize("spec", ["gpt-4o", "", "evidence", "hf:", "replay:", "azure:x", ":x"])
def test_an_unknown_form_names_the_known_ones(spec):
    with pytest.raises(ModelSetupError, match=r"unknown model .*(openai:NAME@http|did you mean)"):
        load_model(spec)


@pytest.mark.parametrize(
    ("spec", "is_one"),
    [
        ("smollm2", True),
        ("openai:m", True),
        ("hf:a/b", True),
        ("replay:f", True),
        ("openai:", False),
        ("evidence", False),
    ],
)
def test_a_string_has_the_form_of_a_model(spec, is_one):
    assert is_model(spec) is is_one


def test_openai_needs_a_key():
    with pytest.raises(
        ModelSetupError, match="'openai:gpt-4o' needs a key: set OPENAI_API_KEY, or name your own server"
    ):
        load_model("openai:gpt-4o")


def test_openai_with_a_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-something-long")
    model = load_model("openai:gpt-4o")
    assert isinstance(model, ChatOpenAI)
    assert traits_of(model).name == "gpt-4o"


@pytest.mark.parametrize(
    "spec", ["openai:m@", "openai:m@localhost:8000", "openai:@http://localhost/v1", "openai:m@ftp://a"]
)
def test_a_server_needs_a_url(spec):
    with pytest.raises(ModelSetupError, match="after @ comes a URL such as http://localhost:8000/v1"):
        load_model(spec)


def test_a_server_of_ones_own_needs_no_key():
    model = load_model("openai:org/model:8b@http://localhost:8000/v1")
    assert isinstance(model, CompatibleChat)
    traits = traits_of(model)
    assert traits.name == "org/model:8b"
    assert traits.fields == ("seed", "temperature", "top_p", "max_tokens")
    assert traits.tools
    assert traits.shapes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "does not exist; make one with --record"),
        ("{broken", "line 1: not a recorded call"),
        ('{"key": "a", "value": {"error": "x"}}\n[]', "line 2: not a recorded call"),
        ('{"value": 1}', "line 1: not a recorded call"),
        ("", "holds no calls of the judge; was it a model then?"),
    ],
)
def test_a_replay_file_that_cannot_be_played_is_named(tmp_path, text, words):
    path = tmp_path / "tape.jsonl"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ModelSetupError, match=words):
        load_model(f"replay:{path}", "judge")


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1:99999/v1", "http://[::1/v1", "http:///v1", "http://127.0.0.1:80 80/v1", "https://"),
        *("http://exa mple/v1", "http://127.0.0.1:0/v1", "http://host/v1#part", "http://host/v1\n", "http://ho\tst/v1"),
    ],
)
def test_a_url_that_is_no_servers_is_refused(url):
    with pytest.raises(ModelSetupError, match="after @ comes a URL such as"):
        load_model(f"openai:any@{url}")
