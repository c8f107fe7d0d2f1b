"""No secret leaves the program, in whatever form a writer spells it."""

import base64
import json
import os
import subprocess
import sys
import urllib.parse

import orjson
import pytest

from anyprefer.core.errors import AnypreferError
from anyprefer.core.secrets import (
    _given,
    cleaned,
    keep_secret,
    keep_url_secrets,
    public_url,
    redact,
    without_secrets,
)
from anyprefer.graph import synth
from tests.loopback import Loopback, completion, refusal

ODD = "my\"se\\cret-key's-ü123"
PLAIN = "plain-key-0123456789"


@pytest.fixture(autouse=True)
def _nothing_kept():
    before = dict(_given)
    yield
    _given.clear()
    _given.update(before)


def forms(secret):
    """As writers spell it."""
    once = json.dumps(secret, ensure_ascii=False)
    return {
        "raw": secret,
        "json": once[1:-1],
        "ascii json": json.dumps(secret)[1:-1],
        "orjson": orjson.dumps(secret).decode()[1:-1],
        "json of json": json.dumps(once, ensure_ascii=False)[3:-3],
        "repr": repr(secret)[1:-1],
        "repr in json": json.dumps(repr(secret), ensure_ascii=False)[2:-2],
        "url": urllib.parse.quote(secret, safe=""),
        "form": urllib.parse.quote_plus(secret),
        "base64": base64.b64encode(secret.encode()).decode(),
        "basic": base64.b64encode(f"user:{secret}".encode()).decode(),
    }


@pytest.mark.parametrize("secret", [ODD, PLAIN])
@pytest.mark.parametrize("form", forms(PLAIN))
def test_every_form_of_a_secret_is_taken_out(monkeypatch, secret, form):
    monkeypatch.setenv("MY_API_KEY", secret)
    text = forms(secret)[form]
    assert text in f"so {text}!"
    assert text not in without_secrets(f"so {text}!")
    assert without_secrets("so it is!") == "so it is!"


@pytest.mark.parametrize(
    "name", ["GROQ_API_KEY", "hf_token", "AWS_SECRET_ACCESS_KEY", "DB_PASSWORD", "MY_KEY_2", "API_KEYS"]
)
def test_variables_named_as_secrets_are(monkeypatch, name):
    monkeypatch.setenv(name, PLAIN)
    assert without_secrets(f"<{PLAIN}>") == f"<[{name}]>"


def test_ordinary_words_and_short_values_stay(monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "none")
    monkeypatch.setenv("SOME_PATH", "ordinary-value-1")
    keep_secret("ollama")
    text = "none of ollama's ordinary-value-1"
    assert without_secrets(text) == text


@pytest.mark.parametrize(("url", "shown"), [
    ("http://user:pa55word@host:8000/v1", "http://host:8000/v1"),
    ("http://sk-abc12345@host/v1", "http://host/v1"),
    ("https://host/v1?api_key=pa55word&api-version=2024-08-01", "https://host/v1?api_key=[key]&api-version=2024-08-01"),
    ("https://host/v1?a=1#token=pa55word&b=2", "https://host/v1?a=1#token=[key]&b=2"),
    ("https://host/pa55w0rd-of-somebody/v1", "https://host/[key]/v1"),
    ("https://x.openai.azure.com/openai/deployments/gpt-4o-mini-2024-07-18", None),
    ("https://host/models/meta-llama/Llama-3.1-8B-Instruct/v1", None),
    ("http://127.0.0.1:8000/v1", None),
    ("no url", None),
])  # fmt: skip
def test_a_url_is_shown_without_its_keys(url, shown):
    assert public_url(url) == (url if shown is None else shown)
    assert redact(f"no answer from {url}, sorry") == f"no answer from {url if shown is None else shown}, sorry"
    assert cleaned({"at": [url]}) == {"at": [url if shown is None else shown]}


def test_the_keys_of_urls_and_proxies_are_secrets_wherever_they_stand(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://me:pa55word-1@proxy:3128")
    keep_url_secrets("openai:m@https://host/v1?token=t0ken-of-ours")
    assert without_secrets("pa55word-1, t0ken-of-ours") == "[HTTPS_PROXY], [url]"


def echo(server):
    """Repeats the key it was sent: in answers, tool calls, thoughts and errors."""

    def answer(asked, count):
        key = server[0].headers[-1].get("Authorization", "")
        if count % 7 == 6:
            return refusal(400, f"Incorrect API key provided: {key}")
        texts = [f"Answer {number}: 7/10 with {key} {count}" for number in range(1, 1 + asked.get("n", 1))]
        calls = [{"id": key, "function": {"name": "calculator", "arguments": json.dumps({"expression": key})}}]
        more = {"tool_calls": calls} if asked.get("tools") else {}
        return completion(*texts, reasoning_content=f"I was sent {key}", refusal=None, **more)

    return answer


def found(secret, folder, *texts):
    """Where a secret stands: files below the folder, texts."""
    hits = []
    for form, spelled in forms(secret).items():
        hits += [
            f"{file} ({form})" for file in folder.rglob("*") if file.is_file() and spelled.encode() in file.read_bytes()
        ]
        hits += [f"text ({form}): {text}" for text in texts if spelled in text]
    return hits


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("secret", [PLAIN, "my\"se\\cret-key's-123"])
def test_a_key_that_server_and_models_repeat_is_in_no_file(tmp_path, monkeypatch, caplog, secret, form):
    monkeypatch.setenv("THE_KEY", secret)
    holder = []
    with Loopback(lambda asked, count: echo(holder)(asked, count)) as server:
        holder.append(server)
        spec = f"openai:any@{server.url.replace('/v1', '/pa55w0rd-in-the-path/v1')}"
        server_spec = f"openai:any@{server.url}"
        given = {"target": server_spec, "judge": server_spec, "tools": ["calculator"], "candidates": 2, "max_rounds": 2}
        given |= {"format": form, "key_env": "THE_KEY"}
        rows = list(
            synth([f"{n} + 1" for n in range(6)], folder=tmp_path / "run", record=str(tmp_path / "tape"), **given)
        )
        assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {secret}"}
        with pytest.raises(AnypreferError) as error:
            list(synth(["1 + 1"], folder=tmp_path / "path", **{**given, "target": spec, "patience": 0, "retries": 0}))
    assert len(rows) == 6
    assert not found(secret, tmp_path, caplog.text, str(error.value))
    assert not found("pa55w0rd-in-the-path", tmp_path, caplog.text, str(error.value))


def told(server):
    """Repeats what a header and a further field said."""

    def answer(asked, count):
        said = f"{server[0].headers[-1]['X-Odd']} and {asked['extra']['password']}"
        if count % 7 == 6:
            return refusal(400, f"Not today: {said}")
        return completion(*[f"Answer {number}: 7/10 with {said} {count}" for number in range(1, 1 + asked.get("n", 1))])

    return answer


@pytest.mark.parametrize("trace", ["", "mlflow"])
def test_headers_and_further_fields_that_are_secrets_are_in_no_file(tmp_path, caplog, trace):
    holder = []
    with Loopback(lambda asked, count: told(holder)(asked, count)) as server:
        holder.append(server)
        shown = {
            "headers": {"X-Odd": "va1ue-of-a-header"},
            "extra_body": {"extra": {"password": "0penSesame"}, "tier": "flexible"},
        }
        spec = f"openai:any@{server.url}"
        given = {
            "target": spec,
            "judge": spec,
            "tools": ["calculator"],
            "candidates": 2,
            "max_rounds": 1,
            "trace": trace,
        }
        rows = list(
            synth([f"{n} + 1" for n in range(6)], folder=tmp_path / "run", servers={server.url: shown}, **given)
        )
    assert len(rows) == 6
    assert "flexible" in str(server.bodies)
    assert not found("flexible", tmp_path)
    for secret in ("va1ue-of-a-header", "0penSesame"):
        assert not found(secret, tmp_path, caplog.text)


def test_a_trace_holds_no_key(tmp_path, monkeypatch):
    code = """
        import sys
        from anyprefer.graph import synth
        spec = f"openai:any@{sys.argv[1]}"
        list(synth(["1 + 1"], target=spec, judge=spec, tools=["calculator"], candidates=2, max_rounds=1, trace="mlflow",
                   folder=sys.argv[2], key_env="THE_KEY"))
    """
    holder = []
    with Loopback(lambda asked, count: echo(holder)(asked, count)) as server:
        holder.append(server)
        program = "\n".join(line[8:] for line in code.splitlines())
        environment = {**os.environ, "THE_KEY": 'my"se\\cret-key-123'}
        done = subprocess.run(
            [sys.executable, "-c", program, server.url, str(tmp_path / "run")],
            capture_output=True, text=True, timeout=240, env=environment,
        )  # fmt: skip
        assert "cret-key-123" in server.headers[0]["Authorization"]
    assert (tmp_path / "run" / "traces.db").stat().st_size > 10_000, done.stderr
    assert not found('my"se\\cret-key-123', tmp_path, done.stdout, done.stderr)


PLACES = {
    "environment": ((), {"THE_KEY": ODD}, 'key_env = ["THE_KEY"]'),
    "file": (("--api-key-file", "key.txt"), {}, ""),
    "toml": ((), {}, f"api_key = {json.dumps(PLAIN)}"),
    "url": ((), {}, ""),
    "proxy": ((), {"HTTP_PROXY": f"http://me:{PLAIN}@127.0.0.1:9", "NO_PROXY": "", "no_proxy": ""}, ""),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_command_line_shows_no_key(tmp_path, place):
    flags, environment, toml = PLACES[place]
    secret = ODD.encode().decode("latin-1") if place == "environment" else PLAIN
    (tmp_path / "key.txt").write_text(PLAIN)
    (tmp_path / "s.toml").write_text(toml)
    holder = []
    with Loopback(lambda asked, count: echo(holder)(asked, count)) as server:
        holder.append(server)
        url = server.url.replace("//", f"//me:{PLAIN}@") if place == "url" else server.url
        spec = ["--target", f"openai:any@{url}", "--judge", "evidence", "--config", str(tmp_path / "s.toml")]
        (tmp_path / "tasks.jsonl").write_text('{"prompt": "1 + 1"}\n{"prompt": "2 + 2"}\n')
        command = [sys.executable, "-m", "anyprefer.cli", "synth", "tasks.jsonl", "--out", "run", *spec, *flags]
        command += ["--tools", "calculator", "--candidates", "2", "--patience", "0", "--retries", "0"]
        process = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, **environment},
        )  # fmt: skip
        said = process.communicate(timeout=240)[0]
    for file in ("key.txt", "s.toml"):
        (tmp_path / file).unlink()
    assert (tmp_path / "run" / "settings.json").exists(), said
    assert not found(secret, tmp_path, said)
    if place in ("environment", "file", "toml"):
        assert secret not in " ".join(command)
