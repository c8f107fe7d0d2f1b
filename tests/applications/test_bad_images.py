"""Images as they come: each plays, or is a failed row that names it; none of them ends the run."""

import asyncio
import json
import os
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from anyprefer.core.image_files import LARGEST
from anyprefer.core.pictures import opened
from anyprefer.graph import Task, synth
from anyprefer.models.local.chat import LocalChat
from anyprefer.tools import Finding, tool
from anyprefer.training.evaluation.evaluate import evaluate
from tests.pixels import PNG, URL, encoded
from tests.server import OpenAIServer

PHOTO = Image.effect_noise((320, 240), 90)
TURNED = Image.Exif()
TURNED[0x0112] = 6


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, *chunks):
    """A PNG that says it has so many pixels, and holds none."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def thumbnailed(data):
    """A JPEG with a whole one in its EXIF block, cut short behind it."""
    small = encoded(PHOTO.resize((32, 24)), "JPEG")
    block = b"Exif\0\0" + small
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2 : len(data) // 2]


FAIL = {
    "cut.png": (encoded(PHOTO)[:-900], "cannot be decoded"),
    "cut.jpg": (thumbnailed(encoded(PHOTO, "JPEG")), "cannot be decoded"),
    "cut.gif": (encoded(PHOTO, "GIF")[:-900], "cannot be decoded"),
    "cut.webp": (encoded(PHOTO, "WEBP")[:-900], "cannot be decoded"),
    "empty.png": (b"", "no image by its content"),
    "bomb.png": (png(50_000, 50_000), "cannot be decoded|make it smaller"),
    "wide.png": (png(16_000, 4_000), "16000 x 4000 pixels, more than 52428800; make it smaller"),
    "no-size.png": (png(0, 4), "pixels|cannot be decoded"),
    "much-text.png": (png(4, 4, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**27)))), "cannot be decoded"),
    "page.png": (b"<html><body>404</body></html>", "no image by its content"),
    "letters.png": (b"BMW builds cars", "no image by its content"),
    "drawing.svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "no image by its content"),
    "script.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "no image by its content"),
}
PLAY = {
    "cmyk.jpg": encoded(Image.new("CMYK", (40, 30), (0, 255, 255, 0)), "JPEG"),
    "deep.png": encoded(Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 60)),
    "moving.gif": encoded(PHOTO, "GIF", save_all=True, append_images=[PHOTO.rotate(90)] * 40),
    "really-a-png.jpg": PNG,
    "turned.jpg": encoded(PHOTO, "JPEG", exif=TURNED),
    "broken-exif.jpg": encoded(PHOTO, "JPEG", exif=b"Exif\0\0MM\0*" + b"\xff" * 60),
    "much-exif.jpg": encoded(PHOTO, "JPEG", exif=b"Exif\0\0" + b"x" * 65_000),
    "pages.tiff": encoded(PHOTO, "TIFF", save_all=True, append_images=[PHOTO] * 40),
    "palette.png": encoded(PHOTO.quantize(8)),
    "see-through.png": encoded(PHOTO.convert("LA")),
}
ELSEWHERE = {
    "gone.png": "No such file|leads out", "pipe.png": "no regular file", "folder.png": "no regular file",
    "large.png": "make it smaller", "link.png": "leads out", "../foreign.png": "leads out", "/dev/zero": "leads out",
    "data:image/png;base64,@@": "no base64", "data:image/png;base64,iVBORw0KGgo=": "cannot be decoded",
    "data:text/html;base64,aGk=": "no data: URL of an image", "data:image/svg+xml;base64,PHN2Zy8+": "no image by",
    "file:///etc/passwd": "cannot be read|leads out",
}  # fmt: skip
BLIND = ("http://127.0.0.1:9/private.png",)
"""Images that a server may see and this machine does not."""


@tool
def looks(task: Task) -> Finding:
    """Looks at the picture."""
    return Finding(f"It has {opened(task.images[0]).size} pixels.")


@pytest.fixture
def folder(tmp_path):
    """A folder of images, good and bad, in a folder with a foreign one."""
    place = tmp_path / "tasks"
    place.mkdir()
    (tmp_path / "foreign.png").write_bytes(PNG)
    for name, data in {**PLAY, **{name: data for name, (data, _) in FAIL.items()}, "large.png": PNG}.items():
        (place / name).write_bytes(data)
    os.truncate(place / "large.png", LARGEST + 1)
    os.mkfifo(place / "pipe.png")
    (place / "folder.png").mkdir()
    os.symlink(tmp_path / "foreign.png", place / "link.png")
    return place


def test_each_image_plays_or_is_a_failed_row_that_names_it(folder):
    images = [*FAIL, *PLAY, *ELSEWHERE, *BLIND, URL]
    rows = [{"id": str(at), "prompt": f"What is 2 + {at}?", "image": image} for at, image in enumerate(images)]
    (folder / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with OpenAIServer() as server:
        model = f"openai:any@{server.url}"
        options = {"candidates": 2, "max_rounds": 1, "tools": [looks], "columns": {"images": "image"}}
        found = {row.id: row for row in synth(folder / "tasks.jsonl", target=model, judge=model, **options)}
        received = {data for request in server.requests for data in request["images"]}
    assert len(found) == len(rows)
    reasons = {**{name: said for name, (_, said) in FAIL.items()}, **ELSEWHERE}
    for at, image in enumerate(images):
        row = found[str(at)]
        if image not in reasons:
            assert row.outcome != "failed", (image, row.reason)
            [seen] = row.rounds[0].knowledge
            assert bool(seen.error) == (image in BLIND), seen
            continue
        assert row.outcome == "failed", image
        assert re.search(reasons[image], row.reason), (image, row.reason)
        assert image[:30].removeprefix("../") in row.reason
    assert received == {*PLAY.values(), *(url.encode() for url in BLIND)}


def test_a_local_model_answers_on_what_can_be_seen_and_fails_on_the_rest(folder, tiny_llava):
    images = [*FAIL, *PLAY, "pipe.png", "folder.png", "large.png", "gone.png", *BLIND, URL]
    shown = [image if "://" in image or image.startswith("data:") else str(folder / image) for image in images]
    tasks = [Task(id=image[:20], prompt="What is it?", images=(one,)) for image, one in zip(images, shown, strict=True)]
    model = LocalChat(model=str(tiny_llava), dtype="float32", device="cpu")
    answers = folder / "answers.jsonl"
    found = asyncio.run(evaluate(model, tasks, lambda task, said: True, max_tokens=3, answers=answers))
    assert sorted(found.marks) == sorted([*PLAY, URL[:20]])
    said = {row["id"]: row["error"] for row in map(json.loads, answers.read_text().splitlines()) if row["error"]}
    assert len(said) == len(images) - len(found.marks)
    assert "127.0.0.1 is no public address" in said[BLIND[0][:20]]
    assert all(re.search(words, said[name]) and name in said[name] for name, (_, words) in FAIL.items())
