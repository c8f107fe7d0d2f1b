"""An image task passes through graph, runner, run folder and resume to a server that receives the image."""

import base64
import json

import pytest

from anyprefer.graph import Candidate, Task, asynth, build_graph
from anyprefer.graph.runs.row_files import read_rows
from anyprefer.tools import Finding, tool
from tests.server import OpenAIServer

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
OTHER = PIXEL[:-1] + b"\x83"
SEEING = {"sample", "select_tools", "aggregate", "judge", "reward"}


@tool
def boxes(task: Task) -> Finding:
    """Finds objects in the image."""
    return Finding(f"{len(task.images)} image(s), a cup at 10,20", data=[{"label": "cup", "box": [10, 20, 30, 40]}])


@tool
def on_topic(candidate: Candidate) -> Finding:
    """Does the answer speak of the objects?"""
    return Finding("yes", verdict=0.5)


@pytest.fixture
def server():
    with OpenAIServer() as running:
        yield running


@pytest.fixture
def tasks(tmp_path):
    (tmp_path / "a.png").write_bytes(PIXEL)
    (tmp_path / "b.png").write_bytes(OTHER)
    first = Task(id="one", prompt="How many of the 3 cups are red?", images=(str(tmp_path / "a.png"),))
    two = (str(tmp_path / "b.png"), f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}")
    return [first, Task(id="two", prompt="Which of the 2 images shows a cup?", images=two)]


def arguments(server):
    spec = f"openai:any@{server.url}"
    return {"target": spec, "judge": spec, "tools": [boxes, on_topic], "candidates": 3, "threshold": 1}


def received(server, word):
    """Role to images, of the requests about one task."""
    return {r["role"]: r["images"] for r in server.requests if word in r["user"] and r["role"] != "textgrad"}


async def test_the_graph_shows_the_image_to_every_model(server, tasks):
    state = await build_graph(**arguments(server)).ainvoke({"task": tasks[0]})
    assert state["outcome"] == "accepted"
    assert received(server, "cups are red") == {role: [PIXEL] for role in SEEING}


async def test_run_folder_and_resume_keep_the_images_with_the_pair(server, tasks, tmp_path):
    folder = tmp_path / "run"
    assert len([row async for row in asynth(tasks[:1], folder=folder, **arguments(server))]) == 1
    server.requests.clear()
    [row] = [row async for row in asynth(tasks, folder=folder, **arguments(server))]
    assert row.id == "two"
    assert received(server, "cups are red") == {}
    assert received(server, "shows a cup") == {role: [OTHER, PIXEL] for role in SEEING}

    rows = {row.id: row for row in read_rows(folder)}
    assert {identifier: row.task for identifier, row in rows.items()} == {task.id: task for task in tasks}
    found = {k.tool: k for k in rows["two"].rounds[0].knowledge}
    assert found["boxes"].data == [{"label": "cup", "box": [10, 20, 30, 40]}]
    assert found["boxes"].text.startswith("2 image(s)")
    pairs = [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]
    assert [pair["images"] for pair in pairs] == [list(task.images) for task in tasks]


async def test_a_missing_image_fails_its_task_alone(server, tasks, tmp_path):
    (tmp_path / "b.png").unlink()
    rows = {row.id: row async for row in asynth(tasks, **arguments(server))}
    assert rows["one"].outcome == "accepted"
    assert rows["two"].outcome == "failed"
    assert str(tmp_path / "b.png") in rows["two"].reason
