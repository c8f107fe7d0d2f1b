"""The named models' tools run on the same architectures made tiny, saved and loaded: no hub, no remote code."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from anyprefer.core.errors import ModelSetupError
from anyprefer.core.records import Candidate
from anyprefer.core.regions import Region, clipped, decoded, regions_in
from anyprefer.core.task import Task
from anyprefer.tools import Finding, KnowledgeTool, load_tools
from anyprefer.tools.vision import blip2_caption, florence, phrase_detector
from anyprefer.tools.vision.phrase_detector import PhraseDetector
from anyprefer.tools.vision.pretrained import Pretrained
from anyprefer.tools.vision.segmenter import Segmenter
from tests import tiny_vision

SIZE = (90, 60)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder of a tiny model, made once."""
    made: dict[str, str] = {}

    def folder(name: str) -> str:
        if name not in made:
            made[name] = getattr(tiny_vision, f"save_{name}")(tmp_path_factory.mktemp(name))
        return made[name]

    return folder


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(florence, "_LONGEST", 6)
    monkeypatch.setattr(blip2_caption, "_LONGEST", 6)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    file = tmp_path_factory.mktemp("pictures") / "squares.png"
    picture = Image.new("RGB", SIZE, "white")
    picture.paste("red", (10, 10, 40, 40))
    picture.save(file)
    return Task(id="t", prompt="Describe the picture.", images=(str(file),))


def tool_of(name: str, **options: Any) -> KnowledgeTool:
    [tool] = load_tools([name], {name: {"device": "cpu", **options}})
    tool.prepare()
    return tool


def says(text: str) -> Candidate:
    return Candidate(index=0, content=text, seed=0)


@pytest.mark.parametrize("what", ["objects", "regions", "caption", "details", "text"])
async def test_florence_answers_each_of_its_tasks(saved: Any, task: Task, what: str) -> None:
    tool = tool_of("florence", model=saved("florence"))
    first = await tool.ainvoke({"task": task, "what": what})
    assert isinstance(first, Finding)
    assert first.verdict is None
    assert (regions_in(first.data) is not None) == (what in ("objects", "regions"))
    assert await tool.ainvoke({"task": task, "what": what}) == first


def test_florences_boxes_are_in_the_pictures_pixels(saved: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = Pretrained.load("Florence2ForConditionalGeneration", saved("florence"), "cpu", "")
    said = weights.processor.tokenizer("dog<loc_0><loc_500><loc_499><loc_999>cat<loc_10><loc_10><loc_20><loc_20>")
    monkeypatch.setattr(Pretrained, "generate", lambda *given, **sampling: [[2, 0, *said["input_ids"], 2]])
    found = florence._Florence(weights).look(Image.new("RGB", (1000, 500)), "objects")
    seen = regions_in(found.data)
    assert seen is not None
    assert seen[0] == [Region("dog", (0, 250, 499, 499)), Region("cat", (10, 5, 20, 10))]
    assert "1. dog at 0, 250, 499, 499; 2. cat" in found.text


async def test_blip2_captions_and_takes_no_side(saved: Any, task: Task) -> None:
    tool = tool_of("blip2_caption", model=saved("blip2"))
    found = await tool.ainvoke({"task": task})
    assert found.text.startswith("BLIP-2: ")
    assert (found.verdict, found.data) == (None, None)


def test_grounding_dinos_boxes_are_those_of_its_own_processor(saved: Any, task: Task) -> None:
    detector = PhraseDetector.load(saved("grounding_dino"), "cpu", "")
    picture = Image.open(task.images[0]).convert("RGB")
    ours = detector.find(picture, ["a red circle", "dog"])
    inputs = detector.weights.inputs(images=picture, text=[["a red circle", "dog"]])
    [theirs] = detector.weights.processor.post_process_grounded_object_detection(
        detector.weights.run(**inputs),
        inputs["input_ids"],
        threshold=phrase_detector.LEAST_SCORE,
        target_sizes=[(60, 90)],
    )
    assert len(ours) > 1
    assert {one.label for one in ours} <= {"a red circle", "dog"}
    # its scores count the marks between phrases too, which name nothing
    known = [
        (clipped(box, SIZE), float(score))
        for box, score in zip(theirs["boxes"].tolist(), theirs["scores"], strict=True)
    ]
    theirs_of = [max(score for box, score in known if box == pytest.approx(one.box, abs=0.1)) for one in ours]
    assert all((one.score or 0) <= score + 1e-4 for one, score in zip(ours, theirs_of, strict=True))
    assert any((one.score or 0) == pytest.approx(score, abs=1e-4) for one, score in zip(ours, theirs_of, strict=True))


@pytest.mark.parametrize("name", ["sam", "sam2"])
def test_masks_have_the_pictures_size(saved: Any, name: str) -> None:
    segmenter = Segmenter.load(saved(name), "cpu", "")
    masks = segmenter.masks(Image.new("RGB", SIZE, "white"), [(5, 5, 40, 50), (0, 0, 90, 60)])
    assert [decoded(mask).shape for mask in masks] == [(60, 90)] * 2
    assert segmenter.masks(Image.new("RGB", SIZE), []) == []


async def test_grounded_segmentation_looks_for_what_an_answer_names(
    saved: Any, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    real = PhraseDetector.find

    def find(self: PhraseDetector, picture: Any, phrases: Any) -> list[Region]:
        asked.append(phrases)
        return [one for one in real(self, picture, phrases) if one.label == "dog"][:2]

    monkeypatch.setattr(PhraseDetector, "find", find)
    tool = tool_of("grounded_segmentation", model=saved("grounding_dino"), segmenter=saved("sam"))
    found = await tool.ainvoke({"task": task, "candidate": says("Two dogs and a cat; no bus.")})
    assert asked == [("cat", "dog")]
    assert (found.verdict, found.data["named"]) == (0.5, ["dog", "cat"])
    assert found.text == "Found: dog. Named, but not found: cat."
    seen = regions_in(found.data)
    assert seen is not None
    assert [one.mask is not None for one in seen[0]] == [True] * len(seen[0])
    asks = task.model_copy(update={"prompt": "Is there a bus?"})
    assert (await tool.ainvoke({"task": asks, "candidate": says("No.")})).verdict == 1.0
    assert asked[1:] == [("bus",)]
    nothing = await tool.ainvoke({"task": task, "candidate": says("It is late.")})
    assert (nothing.verdict, nothing.data) == (None, None)


async def test_the_judge_names_what_to_look_for(saved: Any, task: Task) -> None:
    tool = tool_of("grounded_objects", model=saved("grounding_dino"), segmenter="")
    found = await tool.ainvoke({"task": task, "query": "A red circle, dog"})
    seen = regions_in(found.data)
    assert seen is not None
    assert {one.label for one in seen[0]} <= {"a red circle", "dog"}
    with pytest.raises(Exception, match="name the things to look for"):
        await tool.ainvoke({"task": task, "query": task.text})


async def test_a_picture_is_looked_at_once_for_all_candidates(
    saved: Any, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Any] = []
    real = PhraseDetector.find
    monkeypatch.setattr(
        PhraseDetector, "find", lambda self, picture, phrases: (looks.append(phrases), real(self, picture, phrases))[1]
    )
    tool = tool_of("grounded_segmentation", model=saved("grounding_dino"), segmenter="")
    answers = ["a dog and a cat", "A cat and a dog.", "dogs, cats", "a cat, a dog, a cat"]
    found = await asyncio.gather(*(tool.ainvoke({"task": task, "candidate": says(text)}) for text in answers))
    assert len(looks) == 1
    assert len({one.verdict for one in found}) == 1


@pytest.mark.parametrize(
    ("tool", "other"), [("florence", "blip2"), ("blip2_caption", "sam"), ("grounded_objects", "florence")]
)
def test_another_models_folder_is_refused(saved: Any, tool: str, other: str) -> None:
    with pytest.raises(ModelSetupError, match=r"cannot load .* as|is no"):
        tool_of(tool, model=saved(other))


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelSetupError, match="nowhere"):
        tool_of("florence", model=str(tmp_path / "nowhere"))
    with pytest.raises(ModelSetupError, match="nowhere"):
        Segmenter.load(str(tmp_path / "nowhere"), "cpu", "")
