"""Families that show images: medicine from made rows, and rendered scenes."""

import json
from io import BytesIO

import pytest
from PIL import Image

from anyprefer.core.errors import InputError
from anyprefer.core.pictures import opened
from anyprefer.core.results import EvalResult, summed
from anyprefer.training.evaluation.controls import of_one_image, with_images
from anyprefer.training.evaluation.families import FAMILIES
from anyprefer.training.evaluation.medical_families import base_questions
from anyprefer.training.evaluation.scene_families import OF_A_SCENE


@pytest.fixture
def radiology(tmp_path, monkeypatch):
    """30 images with 4 questions each in VQA-RAD's columns; the test's images are in train too, as there."""
    monkeypatch.setenv("ANYPREFER_DATA", str(tmp_path))
    (tmp_path / "vqa_rad" / "images").mkdir(parents=True)
    for image in range(30):
        Image.new("L", (9, 7), image).save(tmp_path / "vqa_rad" / "images" / f"i{image}.png")
    kinds = [("CLOSED ", "Yes"), ("CLOSED", "left"), ("OPEN", "left lung"), ("OPEN", "MRI")]
    rows = [
        {"qid": 4 * n + k, "image_name": f"i{n}.png", "question": f"q{k}", "answer": gold, "answer_type": kind}
        for n in range(30)
        for k, (kind, gold) in enumerate(kinds)
    ]
    for name, part in (("train", rows[:80]), ("test_first_20", rows[80:])):
        text = "".join(json.dumps({**row, "image_organ": "CHEST"}) + "\n" for row in part)
        (tmp_path / "vqa_rad" / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return tmp_path


def images(name, split):
    return {task.meta["image"] for task in FAMILIES[name].make(1000, 0, split)}


def test_vqa_rad_by_its_split_and_by_image(radiology):
    assert len(FAMILIES["vqa_rad"].make(1000, 0, "train")) == 80
    assert len(FAMILIES["vqa_rad"].make(1000, 0, "heldout")) == 40
    parts = [images("vqa_rad_by_image", split) for split in ("train", "dev", "heldout")]
    parts.append({task.meta["image"] for task in base_questions("base")})
    assert len(set.union(*parts)) == sum(map(len, parts)) == 30
    assert all(parts)
    few, many = (FAMILIES["vqa_rad_by_image"].make(n, 3, "train") for n in (5, 20))
    assert many[:5] == few
    assert FAMILIES["vqa_rad_by_image"].make(5, 4, "train") != few


def test_a_vqa_rad_answer_is_marked_by_its_kind(radiology):
    family = FAMILIES["vqa_rad"]
    tasks = {task.prompt: task for task in family.make(1000, 0, "train")}
    right = {"q0": "yes.", "q1": "Left", "q2": "The left lung", "q3": "mri"}
    assert all(family.is_correct(tasks[question], answer) for question, answer in right.items())
    assert not family.is_correct(tasks["q2"], "left")
    sums = summed(family.tally(tasks[question], answer) for question, answer in right.items())
    assert {name: family.metrics[name].value(sums) for name in family.metrics} == pytest.approx(
        {
            "closed (llava-med)": 1 / 2,
            "closed (strict)": 1,
            "open recall (llava-med)": 1,
            "open recall (strict)": 1,
            "words": 6 / 4,
        }
    )
    assert sums["in_form"] == 1
    assert "in_form" not in family.tally(tasks["q1"], "left")


def test_the_blank_family_asks_the_same_without_seeing(radiology):
    shown, blank = (FAMILIES[name].make(16, 0, "heldout") for name in ("vqa_rad", "vqa_rad_blank"))
    assert [task.prompt for task in blank] == [task.prompt for task in shown]
    assert len({task.images for task in blank}) == 1
    assert of_one_image(blank) == of_one_image(shown)  # not one group, though they show the same grey
    assert of_one_image(with_images(shown, "none")) == of_one_image(shown) != {}
    with opened(blank[0].images[0]) as grey:
        assert grey.getcolors() == [(63, (127, 127, 127))]


def test_missing_medical_data_is_named(radiology, monkeypatch):
    with pytest.raises(InputError, match="no folder slake"):
        FAMILIES["slake"].make(1, 0, "heldout")
    with pytest.raises(InputError, match="vqa_rad has no split 'dev'; there are train, heldout"):
        FAMILIES["vqa_rad"].make(1, 0, "dev")
    (radiology / "vqa_rad" / "train.jsonl").write_text('{"question": "?", "image_name": "x.png"}\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"line 1: no column 'answer'"):
        FAMILIES["vqa_rad"].make(1, 0, "train")
    monkeypatch.delenv("ANYPREFER_DATA")
    with pytest.raises(InputError, match="ANYPREFER_DATA names none"):
        FAMILIES["vqa_rad"].make(1, 0, "train")


def test_slake_is_asked_in_english(radiology):
    home = radiology / "slake"
    (home / "imgs").mkdir(parents=True)
    rows = [
        {
            "qid": n,
            "img_name": f"x{n}/source.jpg",
            "question": "?",
            "answer": "Yes",
            "answer_type": "CLOSED",
            "q_lang": lang,
        }
        for n, lang in enumerate(("en", "zh"))
    ]
    (home / "test.json").write_text(json.dumps(rows), encoding="utf-8")
    (task,) = FAMILIES["slake"].make(10, 0, "heldout")
    assert task.images == (str(home / "imgs" / "x0" / "source.jpg"),)


def test_scenes_say_what_is_there_and_splits_differ():
    tasks = FAMILIES["scenes"].make(4, 0, "heldout")
    assert all(task.images[0].startswith("data:image/png;base64,") for task in tasks)
    there = tasks[0].reference["objects"]
    assert 2 <= len(there) <= 5
    assert all(0 <= one["box"][0] < one["box"][2] <= 128 for one in there)
    train = FAMILIES["scenes"].make(4, 0, "train")
    assert not {task.id for task in tasks} & {task.id for task in train}
    assert not {task.images for task in tasks} & {task.images for task in train}
    assert FAMILIES["scenes"].make(2, 0, "heldout") == tasks[:2]


def test_a_scenes_description_is_counted_beside_its_objects():
    family = FAMILIES["scenes"]
    (task,) = family.make(1, 0, "heldout")
    labels = [one["label"] for one in task.reference["objects"]]
    absent = next(f"{colour} ring" for colour in ("red", "blue", "white") if f"{colour} ring" not in labels)
    whole = "A " + ", a ".join(labels) + "."
    assert family.is_correct(task, whole)
    assert not family.is_correct(task, f"{whole} And a {absent}.")
    said = f"a {labels[0]}, a {labels[0]} and a {absent}, but no {labels[1]}"
    counted = family.tally(task, said)
    assert counted == {
        "mentions": 3, "wrong": 1, "right": 1, "gold": len(labels), "repeats": 1, "captions": 1, "captions_with_wrong": 1,
    }  # fmt: skip
    assert family.metrics["F1"].value(counted) == 2 / (3 + len(labels))


def test_questions_about_scenes_are_balanced_and_grouped_by_scene():
    family = FAMILIES["scenes_pope"]
    tasks = family.make(2 * OF_A_SCENE, 0, "heldout")
    assert [task.reference for task in tasks].count("yes") == OF_A_SCENE
    assert len(set(of_one_image(tasks).values())) == 2
    sums = summed(family.tally(task, "Yes, there is.") for task in tasks)
    value = {name: metric.value(sums) for name, metric in family.metrics.items()}
    assert value["accuracy random"] == value["accuracy adversarial"] == value["accuracy swap"] == 0.5
    assert value["F1 swap"] == pytest.approx(2 / 3)
    assert (value["said yes"], value["in form"]) == (1, 0)
    assert len(family.make(OF_A_SCENE + 1, 0, "heldout")) == OF_A_SCENE + 1


def test_the_same_questions_are_answered_by_a_description():
    family = FAMILIES["scenes_pope_described"]
    tasks = family.make(3, 0, "heldout")
    asked = FAMILIES["scenes_pope"].make(3 * OF_A_SCENE, 0, "heldout")
    assert [text for task in tasks for _, _, text in task.meta["questions"]] == [task.prompt for task in asked]
    whole = {task.id: "a " + ", a ".join(one["label"] for one in task.reference["objects"]) for task in tasks}
    assert all(family.is_correct(task, whole[task.id]) for task in tasks)
    silent = summed(family.tally(task, "nothing") for task in tasks)
    assert family.metrics["accuracy swap"].value(silent) == 0.5
    assert family.metrics["said yes"].value(silent) == 0
    found = EvalResult(
        model="m", n=3, correct=0, tallies={task.id: family.tally(task, "") for task in tasks}, metrics=family.metrics
    )
    assert found.value("mean F1") == 0


def test_a_picture_of_a_scene_opens():
    (task,) = FAMILIES["scenes"].make(1, 5, "dev")
    with opened(task.images[0]) as shown:
        assert (shown.size, shown.mode) == ((128, 128), "RGB")
        shown.save(BytesIO(), format="PNG")
