"""A judge that sees is shown what a tool found, each image below whose it is."""

import base64
import io
import json
from pathlib import Path

import pytest

from anyprefer.core.records import Candidate
from anyprefer.core.regions import Region, regions_data
from anyprefer.graph import synth
from anyprefer.models.traits import Traits
from anyprefer.tools import Finding, tool
from tests.scripted import Scripted, play
from tests.server import OpenAIServer

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def circles(folder: Path):
    (folder / "map.png").write_bytes(PNG)

    @tool
    def look() -> Finding:
        """Looks at the map."""
        return Finding("A map.", images=[str(folder / "map.png")])

    @tool
    def circle(candidate: Candidate) -> Finding:
        """Circles what the answer names."""
        return Finding("Circled.", images=[PNG + bytes([candidate.index])])

    return [look, circle]


@pytest.mark.parametrize(("form", "asked", "images"), [("listwise", 1, 4), ("pointwise", 3, 2)])
def test_a_judge_that_sees_is_shown_what_tools_found(tmp_path, form, asked, images):
    with OpenAIServer() as server:
        model, given = f"openai:any@{server.url}", {"judge_form": form, "candidates": 3, "max_rounds": 1}
        [row] = synth(
            ["What is 2 + 2?"], target=model, judge=model, tools=circles(tmp_path), folder=tmp_path / "run", **given
        )
        judged = server.asked("judge")
        assert [len(request["images"]) for request in judged] == [images] * asked
        assert judged[0]["images"][:2] == [PNG, PNG + bytes([0])]
        parts = judged[0]["messages"][-1]["content"]
        assert [part["text"] for part in parts[:3:2]] == ["[look]", "[circle about answer 1]"]
        assert all(not request["images"] for request in server.requests if request["role"] != "judge")
    assert [len(item.images) for item in row.rounds[0].knowledge] == [1, 1, 1, 1]
    kept = json.loads((tmp_path / "run" / "rows.jsonl").read_text())["rounds"][0]["knowledge"]
    assert kept[0]["images"] == [str(tmp_path / "map.png")]
    assert kept[1]["images"][0].startswith("data:image/png;base64,")


async def test_a_model_that_does_not_see_is_shown_none(tmp_path):
    class Blind(Scripted):
        traits: Traits = Traits(name="blind", fields=("seed",), tools=False, shapes=False, sees=False)

    model = Blind(select_tools='[{"tool": "look", "arguments": {}}, {"tool": "circle", "arguments": {}}]')
    row = await play(model, tools=circles(tmp_path), max_rounds=1)
    assert [len(item.images) for item in row.rounds[0].knowledge] == [1, 1, 1, 1]
    assert all(isinstance(call.messages[-1].content, str) for call in model.asked("judge"))


async def test_what_is_no_image_is_the_tools_error():
    @tool
    def fools() -> Finding:
        """Finds no image."""
        return Finding("Look.", images=[b"no image"])

    row = await play(Scripted(select_tools='[{"tool": "fools", "arguments": {}}]'), tools=[fools], max_rounds=1)
    assert "an image given as bytes is no image by its content" in row.rounds[0].knowledge[0].error


def scene(**data):
    """A picture with one square, and tools that find regions in it."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (64, 48), "white").save(file, "PNG")

    @tool
    def see() -> Finding:
        """Sees a square."""
        return Finding(
            "A square.", data={**regions_data([Region("red square", (8, 8, 40, 40), 0.9)], (64, 48)), **data}
        )

    @tool
    def compare(candidate: Candidate) -> Finding:
        """Compares."""
        named = ["red square"] if candidate.index != 1 else []
        seen = regions_data([Region("red square", (8, 8, 40, 40), 0.9)], (64, 48))
        return Finding("Compared.", data={**seen, **data, "named": named})

    url = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    return {"prompt": "Describe the picture.", "images": [url]}, [see, compare], file.getvalue()


def test_a_judge_that_sees_is_shown_the_regions_drawn_and_equal_drawings_once(tmp_path):
    from PIL import Image

    task, tools, picture = scene()
    with OpenAIServer() as server:
        model = f"openai:any@{server.url}"
        [row] = synth(
            [task], target=model, judge=model, tools=tools, folder=tmp_path / "run", candidates=3, max_rounds=1
        )
        [judged] = server.asked("judge")
    own, plain, named, missed = judged["images"]
    assert own == picture
    sizes = {Image.open(io.BytesIO(one)).size for one in (plain, named, missed)}
    assert (sizes, len({plain, named, missed})) == ({(512, 384)}, 3)
    parts = [part["text"] for part in judged["messages"][-1]["content"] if part["type"] == "text"]
    assert parts[:3] == ["[see]", "[compare about answer 1] [compare about answer 3]", "[compare about answer 2]"]
    assert [item.images for item in row.rounds[0].knowledge] == [()] * 4
    assert row.rounds[0].knowledge[0].data["regions"][0]["label"] == "red square"


@pytest.mark.parametrize("data", [{"size": [640, 480]}, {"size": "big"}, {"regions": ["x"]}, {"regions": {}}])
def test_regions_that_do_not_fit_the_picture_are_told_in_words_alone(tmp_path, data):
    task, tools, picture = scene(**data)
    with OpenAIServer() as server:
        model = f"openai:any@{server.url}"
        [row] = synth(
            [task], target=model, judge=model, tools=tools, folder=tmp_path / "run", candidates=2, max_rounds=1
        )
        assert [request["images"] for request in server.asked("judge")] == [[picture]]
    assert row.outcome != "failed"
