"""Tools that see behind a server: ours, and what a strange one may say."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from anyprefer.core.conversation import text_of
from anyprefer.core.records import Candidate
from anyprefer.core.task import Task
from anyprefer.tools import Finding, ToolFailure, load_tools, tool
from anyprefer.tools.vision.serve import ToolServer
from anyprefer.tools.vision.served import finding_of, served
from tests.loopback import Loopback, completion
from tests.pictured import picture

TASK = Task(id="t", prompt="What is it?", images=(picture("red"),))


@tool
def shape(task: Task, candidate: Candidate, what: str = "form") -> Finding:
    """Looks."""
    if candidate.text == "wrong":
        raise ToolFailure("it broke")
    return Finding(
        f"{what}: {task.text} {candidate.text} {task.images == TASK.images}", verdict=0.5, data={"size": [1, 2]}
    )


def running(server: Any) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    yield from running(ToolServer(("127.0.0.1", 0), [shape]))


def test_a_served_tool_finds_what_it_finds_at_home(url: str) -> None:
    found = served(url, "shape", TASK, Candidate(index=3, content="A circle", seed=1), what="shape")
    assert found == Finding("shape: What is it? A circle True", verdict=0.5, data={"size": [1, 2]})


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [("shape", "wrong", "it broke"), ("other", "", "no such tool; served are: shape"), ("shape", "x" * 9, "depth")],
)
def test_what_goes_wrong_there_is_this_uses_error(url: str, name: str, given: str, says: str) -> None:
    with pytest.raises(ToolFailure, match=says):
        served(url, name, TASK, Candidate(index=0, content=given, seed=0), **({"depth": 3} if says == "depth" else {}))
    assert served(url, "shape", TASK, Candidate(index=0, content="", seed=0)).verdict == 0.5


def test_a_server_opens_no_files_of_its_own() -> None:
    server = ToolServer(("127.0.0.1", 0), [shape])
    with pytest.raises(Exception, match="no file of this machine"):
        server.find({"tool": "shape", "task": {"prompt": "", "images": ["/etc/passwd"]}})
    server.server_close()


@pytest.mark.parametrize(
    "answer",
    [
        "", "[]", "null", "{}", '{"text": 3}', '{"text": "a", "verdict": 2}', '{"text": "a", "verdict": true}',
        '{"text": "a", "weight": 0}', '{"text": "a", "weight": NaN}', "[" * 100_000, "\udcff",
    ],
)  # fmt: skip
def test_an_answer_of_another_form_is_no_finding(answer: str) -> None:
    with pytest.raises(ToolFailure, match="here answered no finding"):
        finding_of(answer.encode("utf-8", "surrogateescape"), "here")


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(ToolFailure, match=r"http://127\.0\.0\.1:9 does not answer.*is the server running"):
        served("http://user:secret@127.0.0.1:9", "shape", TASK)


def test_its_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(
                (self.headers["authorization"], json.loads(self.rfile.read(int(self.headers["content-length"]))))
            )
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"text": "yes"}')

        def log_message(self, format: str, *args: Any) -> None: ...

    for here in running(HTTPServer(("127.0.0.1", 0), Handler)):
        monkeypatch.setenv("ANYPREFER_KEY_ENV", f"{here}=VISION_KEY")
        monkeypatch.setenv("VISION_KEY", "sesame")
        assert served(here, "medvint", TASK, query="Is it?") == Finding("yes")
    [(key, asked)] = seen
    assert key == "Bearer sesame"
    assert asked == {
        "tool": "medvint",
        "task": {"prompt": "What is it?", "images": list(TASK.images)},
        "candidate": None,
        "arguments": {"query": "Is it?"},
    }


@pytest.mark.parametrize("name", ["medical_model", "minigpt_med", "medvint", "chexagent"])
async def test_a_medical_model_is_asked_about_the_picture_behind_a_chat_server(name: str) -> None:
    with Loopback(lambda asked, count: completion("No effusion.")) as server:
        [one] = load_tools([name], {name: {"model": f"openai:med@{server.url}"}})
        one.prepare()
        found = await one.ainvoke({"task": TASK, "query": "Is there an effusion?"})
        [asked] = server.bodies
    assert found.text.endswith(": No effusion.")
    assert found.verdict is None
    parts = asked["messages"][-1]["content"]
    assert [part["type"] for part in parts] == ["image_url", "text"]
    assert (parts[0]["image_url"]["url"], text_of(parts)) == (TASK.images[0], "Is there an effusion?")


@pytest.mark.parametrize("options", [{}, {"model": "hf:x", "url": "http://here"}])
def test_a_medical_model_needs_one_place_to_ask(options: dict[str, str]) -> None:
    [one] = load_tools(["chexagent"], {"chexagent": options} if options else {})
    with pytest.raises(Exception, match=r"give its option url .* or its option model"):
        one.prepare()
