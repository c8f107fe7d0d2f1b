"""The tools of rendered scenes: a trained detector's verdicts, and ground truth as their upper bound."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from anyprefer.core.errors import ModelSetupError
from anyprefer.core.records import Candidate
from anyprefer.core.regions import regions_in
from anyprefer.core.scene_labels import COLOURS, LABELS, SHAPES
from anyprefer.core.task import Task
from anyprefer.models.local.scene_detector import SceneDetector
from anyprefer.tools import Finding, KnowledgeTool, load_tools
from anyprefer.training.scenes.drawing import picture
from anyprefer.training.scenes.world import scene

ONE = scene("dev", 0, 1)
TRUE = "A " + " and a ".join(ONE.labels) + "."


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("scenes") / "one.png"
    picture(ONE).save(file)
    return str(file)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("detector")
    SceneDetector([COLOURS, SHAPES]).save(folder)
    return str(folder)


def truth(image: str, prompt: str = "Describe the picture.", gold: Any = None) -> tuple[KnowledgeTool, Task]:
    objects = [{"label": one.label, "box": [one.x - 5, one.y - 5, one.x + 5, one.y + 5]} for one in ONE.objects]
    [tool] = load_tools(["scene_truth"])
    return tool, Task(id="t", prompt=prompt, images=(image,), reference=gold or {"objects": objects})


async def found(tool: KnowledgeTool, task: Task, text: str) -> Finding:
    finding = await tool.ainvoke({"task": task, "candidate": Candidate(index=0, content=text, seed=0)})
    assert isinstance(finding, Finding)
    return finding


async def test_the_truths_verdict_is_f1_of_the_mentions(image: str) -> None:
    tool, task = truth(image)
    right = await found(tool, task, TRUE)
    assert (right.verdict, regions_in(right.data)[1]) == (1.0, (128, 128))  # type: ignore[index]
    absent = next(label for label in LABELS if label not in ONE.labels)
    more = await found(tool, task, f"{TRUE} A {absent}. A {ONE.labels[0]}.")
    count = len(ONE.labels)
    assert more.verdict == pytest.approx(2 * count / (2 * count + 2))
    assert f"does not see: {absent}." in more.text
    assert f"Named again: {ONE.labels[0]}." in more.text
    assert (await found(tool, task, "Nothing at all.")).verdict == 0.0


@pytest.mark.parametrize(
    ("gold", "text", "verdict"),
    [("yes", "yes", 1), ("yes", "No.", 0), ("no", "no", 1), ("no", "Yes, there is.", 0), ("no", "perhaps", None)],
)
async def test_a_yes_or_no_is_right_or_wrong(image: str, gold: str, text: str, verdict: float | None) -> None:
    tool, task = truth(image, "Is there a red circle?", gold)
    assert (await found(tool, task, text)).verdict == verdict


async def test_without_ground_truth_there_is_no_finding(image: str) -> None:
    tool, task = truth(image, gold="a red circle")
    with pytest.raises(Exception, match="no ground truth"):
        await found(tool, task, "a red circle")


async def test_the_detector_sees_a_picture_once_for_all_candidates(
    image: str, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Any] = []
    real = SceneDetector.detect
    monkeypatch.setattr(SceneDetector, "detect", lambda self, seen: (looks.append(seen), real(self, seen))[1])
    options = {"model": model, "device": "cpu"}
    tools = load_tools(["scene_objects", "scene_detector"], {"scene_objects": options, "scene_detector": options})
    for tool in tools:
        tool.prepare()
    task = Task(id="t", prompt="Describe the picture.", images=(image,))
    listed = await tools[0].ainvoke({"task": task})
    verdicts = await asyncio.gather(
        *(found(tools[1], task, text) for text in (TRUE, "a red circle", "a blue star", ""))
    )
    assert len(looks) == 1
    seen = regions_in(listed.data)
    assert seen is not None
    assert {one.label for one in seen[0]} <= set(LABELS)
    assert all(one.data["regions"] == listed.data["regions"] for one in verdicts)
    assert listed.text.count(" at ") == len(seen[0])


@pytest.mark.parametrize(
    ("prompt", "text", "verdict"),
    [
        ("Is there a red circle?", "yes", 1.0),
        ("Is there a red circle?", "No", 0.0),
        ("Is there a blue star in the picture? Answer yes or no.", "yes", 0.0),
        ("Is there a blue star?", "There is no blue star.", 1.0),
        ("Is there a blue star?", "I cannot say.", None),
        ("What colour is the circle?", "red", None),
        ("Is the red circle left of the blue star?", "yes", None),
        ("Describe the picture.", "A red circle.", 1.0),
        ("What do you see?", "a red circle and a blue star", 2 / 3),
    ],
)
async def test_the_detectors_verdict_follows_what_is_asked(
    prompt: str, text: str, verdict: float | None, image: str, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from anyprefer.models.local.scene_detector import Found

    monkeypatch.setattr(SceneDetector, "detect", lambda self, seen: [Found("red circle", (1.0, 2.0, 30.0, 40.0), 0.9)])
    file = Path(image).with_name("other.png")
    Image.new("RGB", (128, 128), "grey").save(file)
    [tool] = load_tools(["scene_detector"], {"scene_detector": {"model": model}})
    finding = await found(tool, Task(id="t", prompt=prompt, images=(str(file),)), text)
    assert finding.verdict == (None if verdict is None else pytest.approx(verdict))


async def test_a_task_without_a_picture_has_no_finding(model: str) -> None:
    [tool] = load_tools(["scene_detector"], {"scene_detector": {"model": model}})
    with pytest.raises(Exception, match="no picture"):
        await found(tool, Task(id="t", prompt="Describe the picture."), "a red circle")


def test_a_detector_that_is_not_built_is_named_with_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path))
    [tool] = load_tools(["scene_detector"])
    with pytest.raises(ModelSetupError, match="anyprefer build scene_detector"):
        tool.prepare()
