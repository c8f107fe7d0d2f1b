"""A run as a data set: what each reader finds in the folder."""

import json
import re

import pytest
from datasets import load_dataset
from huggingface_hub import DatasetCard

from anyprefer.core.errors import InputError, RunFolderError
from anyprefer.core.pictures import image_bytes
from anyprefer.graph import Task
from anyprefer.training.export.export import export
from anyprefer.training.export.exported import Options
from anyprefer.training.export.provenance import short_paths
from tests.folder import TASKS, lines, run
from tests.pictured import picture
from tests.scripted import Scripted

KEY = "supersecret-0123456789"


def answering(**script):
    """Says what was asked with a number, so that no two tasks' answers are alike."""
    say = {"sample": lambda call: f"{call.user[-40:]} is {call.seed % 1000}, said {call.number}"}
    return Scripted(**{**say, "reward": lambda call: "2/10" if "3?" in call.user else "9/10", **script})


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """A run of six tasks of which one is rejected, with columns of the user's own."""
    folder = tmp_path_factory.mktemp("runs") / "text"
    own = [{"topic": f"t{n}", "level": n, "tags": [n], "images": "no"} for n in range(6)]
    tasks = [task.model_copy(update={"meta": meta}) for task, meta in zip(TASKS, own, strict=True)]
    run(folder, answering(), tasks)
    return folder


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """A run of three tasks with pictures: one, two in a conversation, none."""
    folder = tmp_path_factory.mktemp("runs") / "seen"
    talk = [
        {"role": "user", "content": [{"type": "text", "text": "Left"}, {"type": "image"}, {"type": "image"}]},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "Which <image> is red?"},
    ]
    tasks = [
        Task(id="one", prompt="What is it?", images=(picture("red"),)),
        Task(id="two", prompt=talk, images=(picture("red"), picture("blue"))),
        Task(id="none", prompt="Nothing to see?"),
    ]
    run(folder, answering(), tasks)
    return folder


def rows(folder, name="default", split="train", **how):
    cache = folder.parent / "cache"
    return list(load_dataset(str(folder), name, split=split, cache_dir=str(cache), **how))


def test_every_configuration_is_loaded(text, tmp_path):
    made = export([text], tmp_path / "out")
    pairs = rows(tmp_path / "out")
    assert len(pairs) == made.scale == 5
    first = next(pair for pair in pairs if pair["id"] == "0")
    assert [one["role"] for one in first["prompt"]] == ["system", "user"]
    assert first["prompt"][1]["content"] == "Wie heißt 0?"
    assert [set(first[name][0]) for name in ("chosen", "rejected")] == [{"role", "content"}] * 2
    assert first["margin"] == first["score_chosen"] - first["score_rejected"] > 0
    assert (first["source"], first["iteration"], first["reward"]) == ("text", 1, 9)
    assert (first["topic"], first["level"], first["tags"], first["own_images"]) == ("t0", 0, "[0]", "no")
    assert "images" not in first
    whole = {row["id"]: row for row in rows(tmp_path / "out", "conversations")}["0"]
    assert whole["chosen"] == first["prompt"] + first["chosen"]
    assert whole["rejected"] == first["prompt"] + first["rejected"]
    told = rows(tmp_path / "out", "provenance", "tasks")
    assert [row["outcome"] for row in told].count("accepted") == 5
    assert {row["id"] for row in told} == {task.id for task in TASKS}
    history = json.loads(told[0]["history"])
    assert {"prompts", "candidates", "knowledge", "judgments", "reward"} <= history[0].keys()
    assert all(row["input_tokens"] > 0 for row in told)


def test_the_card_says_what_the_hub_reads_and_what_a_reader_needs(text, tmp_path):
    export([text], tmp_path / "out", Options(license="apache-2.0", language=("en",), command="anyprefer export x"))
    card = DatasetCard.load(tmp_path / "out" / "README.md")
    told = card.data.to_dict()
    assert told["license"] == "apache-2.0"
    assert told["task_categories"] == ["text-generation"]
    assert told["size_categories"] == ["n<1K"]
    assert {"dpo", "preference", "anyprefer"} <= set(told["tags"])
    assert [(one["config_name"], one.get("default")) for one in told["configs"]] == [
        ("default", True), ("conversations", None), ("provenance", None),
    ]  # fmt: skip
    for part in (
        "| NL | Text | No |", "| rejected (no pair of R ≥ τ = 8.0) | 1 |", "| accepted | 5 |",
        "Accuracy: not measured", "--candidates=2", "anyprefer export x", "## Known limits",
    ):  # fmt: skip
        assert part in card.text, part
    for trainer in ("TRL", "LLaMA-Factory", "axolotl", "OpenRLHF", "open-instruct", "ms-swift"):
        assert trainer in card.text
    assert re.search(r"\| 1 \| rejected \| reward 2 below 8 after 1 round", card.text)


def test_files_follow_the_rules_of_the_trainers_that_read_them(text, seen, tmp_path):
    export([text, seen], tmp_path / "out")
    files = tmp_path / "out" / "files"
    entry = json.loads((files / "dataset_info.json").read_text())["anyprefer"]
    assert entry["formatting"] == "sharegpt"
    assert entry["ranking"] is True
    for row in lines(files, entry["file_name"]):
        said = [one["role"] for one in row["messages"] if one["role"] != "system"]
        assert len(said) % 2 == 1
        assert said[-1] == "user"
        assert isinstance(row["chosen"], dict)
        assert isinstance(row["rejected"], dict)
        marks = sum(one["content"].count("<image>") for one in [*row["messages"], row["chosen"], row["rejected"]])
        assert marks == len(row["images"])
        assert all((files / image).is_file() for image in row["images"])
    for row in lines(files, "swift.jsonl"):
        assert row["messages"][-1]["role"] == "assistant"
        assert isinstance(row["rejected_response"], str)
    talk = next(row for row in lines(files, "train.jsonl") if row["id"] == "seen/two")
    assert [one["content"] for one in talk["messages"]] == [
        "Left\n<image>\n<image>", "Yes?", "Which < image > is red?",
    ]  # fmt: skip


def test_images_are_kept_once_and_are_images_again(seen, tmp_path):
    export([seen], tmp_path / "out")
    pairs = {pair["id"]: pair for pair in rows(tmp_path / "out")}
    assert [image.size for image in pairs["one"]["images"]] == [(40, 30)]
    assert len(pairs["two"]["images"]) == 2
    assert pairs["none"]["images"] == []
    assert pairs["two"]["prompt"][0]["content"] == "Left"
    assert len(list((tmp_path / "out" / "files" / "images").iterdir())) == 2
    assert {row["id"] for row in rows(tmp_path / "out", "conversations")} == {"none"}
    told = next(row for row in rows(tmp_path / "out", "provenance", "tasks") if row["id"] == "one")
    assert re.fullmatch(r"images/\w{32}\.png", json.loads(told["task"])["images"][0])
    card = (tmp_path / "out" / "README.md").read_text()
    assert "image-text-to-text" in card
    assert "IMG | Text; Img-Txt" in card


def test_an_image_that_is_gone_removes_its_pair(tmp_path):
    image = tmp_path / "elsewhere" / "x.png"
    image.parent.mkdir()
    image.write_bytes(image_bytes(picture("red")))
    tasks = [Task(id="a", prompt="What is it?", images=(str(image),)), Task(id="b", prompt="And this?")]
    run(tmp_path / "run", answering(), tasks)
    made = export([tmp_path / "run"], tmp_path / "out")  # no root of the run's leads there
    assert [(one.pair.id, one.why) for one in made.removed] == [("a", "image")]
    assert "leads out of the folders" in lines(tmp_path / "out", "removed.jsonl")[0]["like"]
    made = export([tmp_path / "run"], tmp_path / "out", Options(image_roots=(str(image.parent),)))
    assert (made.scale, made.removed) == (2, [])


def test_several_runs_and_iterations_have_names_of_their_own(text, tmp_path):
    for number in (1, 2):
        run(tmp_path / "loop" / f"iteration-{number}" / "pairs", answering(), TASKS[number : number + 2])
    made = export([text, tmp_path / "loop"], tmp_path / "out", Options(dedup="none"))
    names = [pair["id"] for pair in rows(tmp_path / "out")]
    assert len(set(names)) == len(names) == made.scale == 8
    assert {"text/1", "loop/1/1", "loop/2/2"} <= set(names)
    assert "Yes (2)" in (tmp_path / "out" / "README.md").read_text()


def test_questions_are_split_by_what_they_ask(text, tmp_path):
    made = export([text], tmp_path / "out", Options(test_share=0.5))
    parts = {
        split: {one["prompt"][-1]["content"] for one in rows(tmp_path / "out", split=split)} for split in made.splits
    }
    assert set(parts) == {"train", "test"}
    assert not parts["train"] & parts["test"]
    assert len(parts["train"] | parts["test"]) == 5
    assert {"anyprefer", "anyprefer_test"} == set(json.loads((tmp_path / "out/files/dataset_info.json").read_text()))


def test_no_secret_is_in_any_file(tmp_path, monkeypatch):
    run(tmp_path / "run", answering(sample=lambda call: f"{call.user} {KEY} {call.seed}"), TASKS)
    monkeypatch.setenv("SOME_TOKEN", KEY)  # known only now
    export([tmp_path / "run"], tmp_path / "out", Options(command=f"anyprefer export --x {KEY}"))
    assert "[SOME_TOKEN]" in rows(tmp_path / "out")[0]["chosen"][0]["content"]
    for file in (tmp_path / "out").rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes(), file
    told = json.dumps(rows(tmp_path / "out", "provenance", "tasks"))
    assert KEY not in told
    assert short_paths("hf:/home/me/models/a/adapter@http://x/y/z/v1 /a/b") == "hf:a/adapter@http://x/y/z/v1 /a/b"


def test_a_folder_of_something_else_stays(text, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="holds something else"):
        export([text], tmp_path / "mine")
    with pytest.raises(RunFolderError, match="no run folder"):
        export([tmp_path / "mine"], tmp_path / "out")
    run(tmp_path / "bad", Scripted(reward="1/10"))
    export([text], tmp_path / "out")
    with pytest.raises(InputError, match="0 of 6 tasks were accepted"):
        export([tmp_path / "bad"], tmp_path / "out")
    assert len(rows(tmp_path / "out")) == 5  # the one before is still whole
    assert {one.name for one in tmp_path.iterdir()} == {"mine", "bad", "out", "cache"}


def test_model_text_cannot_end_a_fence_or_a_table(tmp_path):
    evil = "```\n# Not a heading\n| x | <script>alert(1)</script> {{ 7 * 7 }}"
    model = answering(sample=lambda call: f"{evil} {call.user} {call.seed}", reward=lambda call: "9/10")
    run(tmp_path / "run", model, TASKS[:2])
    export([tmp_path / "run"], tmp_path / "out", Options(dedup="none"))
    text = (tmp_path / "out" / "README.md").read_text()
    outside = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert "{{ 7 * 7 }}" in text
    assert "Not a heading" not in outside
    assert "<script>" not in outside
