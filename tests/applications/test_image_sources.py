"""Images from everywhere play, are evaluated and come out in pairs that can be opened again."""

import asyncio
import json

import datasets
import pandas
import pytest
from PIL import Image

from anyprefer.core.inputs import read_tasks
from anyprefer.core.pictures import opened
from anyprefer.graph import Task, synth
from anyprefer.models.load import load_model
from anyprefer.training.evaluation.evaluate import evaluate
from anyprefer.training.pair_data.read import load_pairs
from tests.pixels import data_url, encoded
from tests.server import OpenAIServer

PHOTO = Image.effect_noise((40, 30), 90).convert("RGB")
JPEG, PNG = encoded(PHOTO, "JPEG"), encoded(PHOTO)
SEEN = {"JPEG": opened(data_url(JPEG)).tobytes(), "PNG": PHOTO.tobytes()}


def split(values, feature):
    rows = {"prompt": ["What is 2 + 2?"] * len(values), "image": values}
    return datasets.Dataset.from_dict(rows, features=datasets.Features(prompt=datasets.Value("string"), image=feature))


def saved(folder, kind):
    """A file, a table or a folder that holds one row."""
    row = {"prompt": "What is 2 + 2?", "image": "photo.jpg"}
    (folder / "photo.jpg").write_bytes(JPEG)
    if kind == "csv":
        (folder / "tasks.csv").write_text("prompt,image\nWhat is 2 + 2?,photo.jpg\n")
        return folder / "tasks.csv"
    if kind == "jsonl":
        (folder / "tasks.jsonl").write_text(json.dumps(row) + "\n")
        return folder / "tasks.jsonl"
    made = split([{"bytes": JPEG, "path": "photo.jpg"}], datasets.Image())
    if kind == "parquet":
        made.to_parquet(folder / "tasks.parquet")
        return folder / "tasks.parquet"
    made.save_to_disk(folder / "set")
    return folder / "set"


def sources(folder):
    """By name: rows, and which image they show."""
    file = str(folder / "photo.jpg")
    question = {"prompt": "What is 2 + 2?"}
    chat = [{"role": "user", "content": [{"type": "image", "image": JPEG}, {"type": "text", "text": "What is 2 + 2?"}]}]
    return {
        **{kind: (saved(folder, kind), "JPEG") for kind in ("csv", "jsonl", "parquet", "save_to_disk")},
        "path": ([{**question, "images": [file]}], "JPEG"),
        "bytes": ([{**question, "image": JPEG}], "JPEG"),
        "data URL": ([{**question, "image": data_url(PNG)}], "PNG"),
        "PIL": ([{**question, "image": PHOTO}], "PNG"),
        "PIL of a file": ([{**question, "image": Image.open(file)}], "JPEG"),
        "conversation": ([{"messages": chat}], "JPEG"),
        "data set": (split([{"bytes": JPEG, "path": None}], datasets.Image()), "JPEG"),
        "data set, not cast": (split([{"bytes": JPEG, "path": None}], datasets.Image(decode=False)), "JPEG"),
        "data set of paths": (split([file], datasets.Image()), "JPEG"),
        "data set of lists": (split([[JPEG]], datasets.List(datasets.Image())), "JPEG"),
        "data set of PIL images": (split([PHOTO], datasets.Image()), "PNG"),
        "streamed": (split([JPEG], datasets.Image()).to_iterable_dataset(), "JPEG"),
        "frame": (pandas.DataFrame([{**question, "image": JPEG}]), "JPEG"),
    }


def test_images_from_everywhere_play_are_evaluated_and_come_out_in_pairs(tmp_path):
    with OpenAIServer() as server:
        spec = f"openai:any@{server.url}"
        options = {"target": spec, "judge": spec, "tools": [], "candidates": 3, "max_rounds": 1, "threshold": 1}
        for name, (source, kind) in sources(tmp_path).items():
            columns = {} if name == "path" or name == "conversation" else {"images": "image"}
            server.requests.clear()
            [row] = synth(source, columns=columns, folder=tmp_path / "runs" / name, **options)
            assert row.outcome == "accepted", (name, row.reason)
            sent = {data for request in server.requests for data in request["images"]}
            assert len(sent) == 1, name
            assert opened(data_url(sent.pop())).tobytes() == SEEN[kind], name
            [[image]] = load_pairs(tmp_path / "runs" / name)["images"]
            assert opened(image).tobytes() == SEEN[kind], name


def test_a_url_is_shown_as_it_is_and_an_image_is_evaluated(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(JPEG)
    images = ["https://example.org/a.png", str(tmp_path / "photo.jpg"), data_url(PNG)]
    tasks = [Task(id=str(at), prompt="What is 2 + 2?", images=(image,)) for at, image in enumerate(images)]
    with OpenAIServer() as server:
        model = load_model(f"openai:any@{server.url}")
        found = asyncio.run(evaluate(model, tasks, lambda task, said: True))
        assert (found.n, found.unscored) == (3, 0)
        sent = [request["images"] for request in server.requests]
        assert sorted(sent) == sorted([[images[0].encode()], [JPEG], [PNG]]), "the questions are asked side by side"
        model = f"openai:any@{server.url}"
        [row] = synth(
            tasks[:1], target=model, judge=model, tools=[], max_rounds=1, threshold=1, folder=tmp_path / "run"
        )
        assert row.outcome == "accepted"
    assert load_pairs(tmp_path / "run")["images"][:] == [[images[0]]]


@pytest.mark.parametrize("stream", [False, True])
def test_a_broken_image_of_a_data_set_is_a_failed_row_and_the_others_are_read(tmp_path, stream):
    values = [{"bytes": JPEG, "path": None}, {"bytes": JPEG[: len(JPEG) // 2], "path": None},
              {"bytes": b"<html>", "path": None}, {"bytes": None, "path": str(tmp_path / "gone.png")},
              {"bytes": JPEG, "path": None}]  # fmt: skip
    source = split(values, datasets.Image())
    found = list(read_tasks(source.to_iterable_dataset() if stream else source))
    assert [bool(getattr(task, "images", ())) for task in found] == [True, True, False, False, True]
    assert ["no image by its content" in found[2].error, "gone.png" in found[3].error] == [True, True]
    with OpenAIServer() as server:
        model = f"openai:any@{server.url}"
        rows = list(synth(found[:2], target=model, judge=model, tools=[], max_rounds=1))
    assert sorted(row.outcome == "failed" for row in rows) == [False, True]


def test_a_column_of_images_that_nobody_asked_for_is_not_kept_whole():
    [task] = read_tasks(split([JPEG], datasets.Image()).rename_column("image", "other"))
    assert (task.images, len(json.dumps(task.meta)) < 100) == ((), True)
