"""The rules of colour and contour: right about large plain shapes, often wrong about scenes."""

import numpy as np
from PIL import Image, ImageDraw

from anyprefer.core.records import Candidate
from anyprefer.core.scene_labels import RGB
from anyprefer.core.task import Task
from anyprefer.tools import load_tools
from anyprefer.tools.vision.shape_rules import coloured_shapes
from anyprefer.training.scenes.captions import caption
from anyprefer.training.scenes.drawing import picture
from anyprefer.training.scenes.world import scene


def test_large_plain_shapes_are_named_with_their_boxes() -> None:
    drawn = Image.new("RGB", (256, 256), (110, 120, 115))
    brush = ImageDraw.Draw(drawn)
    brush.ellipse((20, 20, 100, 100), fill=RGB["red"])
    brush.ellipse((150, 20, 230, 100), fill=RGB["white"])
    brush.ellipse((170, 40, 210, 80), fill=(110, 120, 115))
    found = {one.label: one.box for one in coloured_shapes(drawn)}
    assert found.keys() == {"red circle", "white ring"}
    np.testing.assert_allclose(found["red circle"], (20, 20, 100, 100), atol=8)


def test_an_empty_picture_holds_nothing() -> None:
    assert coloured_shapes(Image.new("RGB", (128, 128), (90, 90, 90))) == []


async def test_the_tool_is_better_than_chance_and_worse_than_truth(tmp_path: object) -> None:
    [tool] = load_tools(["scene_rules"])
    verdicts = []
    for number in range(30):
        one, file = scene("dev", 0, number), f"{tmp_path}/{number}.png"
        picture(one).save(file)
        task = Task(id=str(number), prompt="Describe the picture.", images=(file,))
        found = await tool.ainvoke({"task": task, "candidate": Candidate(index=0, content=caption(one.labels), seed=0)})
        verdicts.append(found.verdict)
    assert 0.6 < sum(verdicts) / len(verdicts) < 0.95
