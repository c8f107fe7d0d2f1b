"""Images of tasks: what a row may write, which files may be read, and that it happens once and in a thread."""

import base64
import io
import os
import threading

import datasets
import PIL.Image
import pytest

from anyprefer.core import images
from anyprefer.core.errors import InputError
from anyprefer.core.images import LARGEST, image_url
from anyprefer.graph import Task, read_tasks
from tests.scripted import Scripted, a_task, play

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
URL = "data:image/png;base64," + base64.b64encode(PNG).decode()


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder to work in, an input's folder and a foreign one, each with an image."""
    for name in ("work", "input", "foreign"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.png").write_bytes(PNG)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def rows_of(folder, *given, **values):
    """The images, or the error, of each row of a file in the folder."""
    import json

    file = folder / "tasks.jsonl"
    file.write_text("".join(json.dumps({"prompt": "Q", "images": one}) + "\n" for one in given))
    return [getattr(task, "images", None) or task.error for task in read_tasks(file, **values)]


def test_paths_of_rows_lead_to_the_input_and_the_working_directory_alone(work):
    os.symlink(work / "foreign" / "foreign.png", work / "input" / "link.png")
    os.symlink(work / "input" / "input.png", work / "input" / "inner.png")
    foreign = str(work / "foreign" / "foreign.png")
    given = (
        ["work.png"],
        "input.png",
        ["inner.png"],
        [foreign],
        ["link.png"],
        ["../foreign/foreign.png"],
        "/etc/passwd",
    )
    mine, beside, inner, *others = rows_of(work / "input", *given)
    assert (mine, beside, inner) == (
        ("work.png",), (str(work / "input" / "input.png"),), (str(work / "input" / "inner.png"),)
    )  # fmt: skip
    assert all("leads out of the folders images may come from" in other for other in others)
    assert len(others) == 4
    assert rows_of(work / "input", [foreign], image_roots=[work / "foreign"]) == [(foreign,)]


def test_a_root_that_is_no_folder_is_said(work):
    with pytest.raises(InputError, match=r"image_roots \(--image-roots\): '.*gone' is no folder"):
        rows_of(work / "input", "input.png", image_roots=[work / "gone"])


def test_a_column_called_image_is_the_tasks(work, caplog):
    rows = [{"prompt": "Q", "image": "a.png"}, {"prompt": "Q", "image": PNG}, {"prompt": "Q", "image": {"bytes": PNG}},
            {"prompt": "Q", "image": PIL.Image.new("1", (1, 1))}, {"prompt": "Q", "image": "https://a/b"},
            {"prompt": "Q", "image": "drawing.svg"}]  # fmt: skip
    assert [len(task.images) for task in read_tasks(rows)] == [1] * 6
    assert not any(task.meta for task in read_tasks(rows))
    for other in (3, "a cat", "262144", None, {"id": 3}):
        [task] = read_tasks([{"prompt": "Q", "image": other}])
        assert (task.images, task.meta) == ((), {"image": other})
    assert caplog.text.count("map it with images=image") == 4
    [task] = read_tasks([{"prompt": "Q", "image": "a.png", "images": ["b.png"]}])
    assert (task.images, task.meta) == (("b.png",), {"image": "a.png"})


def test_a_folder_of_images_is_no_input(work):
    with pytest.raises(InputError, match=r"holds images and no questions; write a .csv"):
        next(read_tasks(work / "input"))


def test_paths_that_python_code_gives_may_lie_anywhere_and_those_of_data_sets_may_not(work):
    foreign = str(work / "foreign" / "foreign.png")
    row = {"prompt": "Q", "images": [foreign]}
    assert next(read_tasks([row])).images == (foreign,)
    assert "leads out" in next(read_tasks(datasets.Dataset.from_list([row]))).error


def test_pictures_of_data_sets_become_data_urls(tmp_path):
    picture = PIL.Image.open(io.BytesIO(PNG))
    several = datasets.Features({"prompt": datasets.Value("string"), "images": datasets.Sequence(datasets.Image())})
    one = datasets.Features({"prompt": datasets.Value("string"), "image": datasets.Image()})
    listed = datasets.Dataset.from_dict({"prompt": ["Q"], "images": [[picture, picture]]}, features=several)
    single = datasets.Dataset.from_dict({"prompt": ["Q"], "image": [picture]}, features=one)
    listed.to_parquet(tmp_path / "a.parquet")
    for source, columns, count in ((listed, {}, 2), (single, {"images": "image"}, 1), (tmp_path / "a.parquet", {}, 2)):
        [task] = read_tasks(source, columns)
        assert len(task.images) == count
        for url in task.images:
            assert PIL.Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).size == (1, 1)


@pytest.mark.parametrize("given", [PNG, {"bytes": PNG, "path": None}, {"bytes": PNG, "path": "/no/where.png"}])
def test_bytes_become_data_urls(given):
    assert [next(read_tasks([{"prompt": "Q", "images": one}])).images for one in (given, [given])] == [(URL,)] * 2


def test_bytes_that_are_no_image_are_a_bad_row():
    assert "no image by its content" in next(read_tasks([{"prompt": "Q", "images": [b"secret"]}])).error


def test_bytes_and_pictures_are_bounded(monkeypatch):
    monkeypatch.setattr(images, "LARGEST", 80)
    for given in (PNG + bytes(100), PIL.Image.effect_noise((20, 20), 90)):
        assert "more than 80; make it smaller" in next(read_tasks([{"prompt": "Q", "image": given}])).error


def test_only_regular_files_that_are_images_are_sent(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "text.png").write_text("root:x:0:0")
    (tmp_path / "letters.png").write_text("BMW builds cars")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "plain").write_bytes(PNG)
    (tmp_path / "large.png").write_bytes(PNG)
    os.truncate(tmp_path / "large.png", LARGEST + 1)
    os.symlink("/etc/passwd", tmp_path / "link.png")
    os.symlink(tmp_path / "loop.png", tmp_path / "loop.png")
    words = {
        "pipe.png": "no regular file", "folder.png": "no regular file", "text.png": "no image by its content",
        "letters.png": "no image by its content",
        "link.png": "no image by its content", "large.png": "make it smaller", "gone.png": "No such file",
        "loop.png": "cannot be read", "a\0b.png": "cannot be read",
    }  # fmt: skip
    for name, said in words.items():
        with pytest.raises(InputError, match=said) as caught:
            image_url(str(tmp_path / name))
        assert "root:" not in str(caught.value)
    assert image_url(str(tmp_path / "plain")) == URL
    with pytest.raises(InputError, match="no regular file"):
        image_url("/dev/zero")


async def test_an_image_is_read_once_a_task_and_in_a_thread(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(PNG)
    reads = []
    real = images.image_bytes
    monkeypatch.setattr(images, "image_bytes", lambda path: reads.append(threading.current_thread()) or real(path))
    model = Scripted(reward=["Alike. 2/10", "Better. 9/10"])
    row = await play(model, a_task(images=(str(tmp_path / "a.png"),)), max_rounds=2)
    assert row.outcome == "accepted"
    assert len(reads) == 1
    assert reads[0] is not threading.current_thread()
    for call in model.calls:
        shown = (
            [part["image_url"]["url"] for part in call.messages[-1].content if part["type"] == "image_url"]
            if isinstance(call.messages[-1].content, list)
            else []
        )
        assert shown == ([] if call.role in ("textgrad",) else [URL]), call.role


def test_a_task_keeps_the_path_and_not_the_picture(work):
    [task] = read_tasks([Task(id="1", prompt="Q", images=("work.png",))])
    assert task.images == ("work.png",)
