"""Image tasks against a server that checks what it gets: every image whole and once a request, boxes drawn for the judge,
and after a kill nothing asked or looked for again.

    python -m tests.applications.test_image_run 200     # the same at another size, killed at any moment
"""

import base64
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from PIL import Image, ImageDraw

from anyprefer.core.drawing import drawn
from anyprefer.core.pictures import opened
from anyprefer.core.regions import Region, regions_data
from anyprefer.graph import Task, synth
from anyprefer.graph.runs.row_files import read_rows
from anyprefer.tools import Finding, tool
from tests.folder import ROOT, python
from tests.pixels import encoded
from tests.server import OpenAIServer

SEEING = {"sample", "select_tools", "aggregate", "judge", "reward"}


def picture(number):
    """A square at a place of its own, on a ground of its own."""
    made = Image.new("RGB", (64, 48), (number % 256, 200, number * 7 % 256))
    ImageDraw.Draw(made).rectangle(box(number), fill=(200, 30, 30))
    return made


def box(number):
    left, top = number % 40, number * 3 % 30
    return left, top, left + 12, top + 12


def region(number):
    return Region("red square", tuple(map(float, box(number))), 0.9)


def tasks_in(folder, count):
    """Tasks of files, PNG and JPEG, each with an image of its own."""
    for number in range(count):
        kind = ("PNG", "JPEG")[number % 2]
        (folder / f"{number}.img").write_bytes(encoded(picture(number), kind))
    images = [(str(folder / f"{number}.img"),) for number in range(count)]
    return [Task(id=str(n), prompt=f"Where are the {n} squares?", images=image) for n, image in enumerate(images)]


def detector_in(folder):
    """A detector that notes each look in a file; for every second task it draws itself, and returns the task's own image
    beside."""

    @tool
    def detector(task: Task) -> Finding:
        """Finds squares in the picture."""
        with (folder / "looks.txt").open("a") as notes:
            notes.write(task.id + "\n")
        seen = opened(task.images[0])
        found = [region(int(task.id))]
        images = [task.images[0], drawn(seen, found)] if int(task.id) % 2 else ()
        return Finding("a red square", data=regions_data(found, seen.size), images=images)

    return detector


def play(folder, url, count, concurrency):
    """The run, as often as it is begun."""
    model = f"openai:any@{url}"
    options = {"candidates": 3, "max_rounds": 1, "concurrency": concurrency, "judge_form": "listwise"}
    tools = [detector_in(folder)]
    return list(
        synth(tasks_in(folder, count), target=model, judge=model, tools=tools, folder=folder / "run", **options)
    )


def check_requests(server, folder):
    """Whether every request about a task shows its image whole and once, and the judge the boxes too."""
    for request in server.requests:
        if request["role"] == "textgrad":
            continue
        number = int(request["user"].partition("Where are the ")[2].partition(" ")[0])
        own, *others = request["images"]
        assert own == (folder / f"{number}.img").read_bytes()
        if request["role"] != "judge":
            assert others == []
            continue
        [shown] = others
        wanted = drawn(opened(str(folder / f"{number}.img")), [region(number)])
        kind = {} if number % 2 else {"kind": "JPEG", "quality": 90}
        assert shown == encoded(wanted, **kind)
    assert {request["role"] for request in server.requests} >= SEEING


def asked_again(server):
    """How many requests were made that had been made before."""
    asked = Counter(json.dumps([r["messages"], r.get("seed")]) for r in server.requests)
    return asked.total() - len(asked)


def looked_again(folder):
    looks = Counter((folder / "looks.txt").read_text().split())
    return looks.total() - len(looks)


KILLED = """
import os, sys
from pathlib import Path
from anyprefer.graph.runs.ledger import Ledger
from tests.applications.test_image_run import play
left, write = int(sys.argv[3]), Ledger._write_rows
def killed(self, rows):
    global left
    left -= len(rows)
    if left < 0:
        os._exit(9)
    write(self, rows)
Ledger._write_rows = killed
play(Path(sys.argv[1]), sys.argv[2], int(sys.argv[4]), 1)
"""
"""Kills itself before it notes a row: folder, server, rows to keep, tasks."""


def test_images_arrive_whole_and_once_and_a_resumed_run_looks_and_asks_for_nothing_again(tmp_path):
    count = 12
    with OpenAIServer() as server:
        assert python(KILLED, tmp_path, server.url, 5, count).returncode == 9
        assert 5 < len((tmp_path / "looks.txt").read_text().split()) < count
        rows = play(tmp_path, server.url, count, 4)
        check_requests(server, tmp_path)
        assert (asked_again(server), looked_again(tmp_path)) == (0, 0)
    assert len({row.id for row in rows} | {row.id for row in read_rows(tmp_path / "run")}) == count
    assert all(row.outcome != "failed" for row in read_rows(tmp_path / "run"))
    kept = b"".join(file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file())
    sent = [base64.b64encode((tmp_path / f"{number}.img").read_bytes())[-60:] for number in range(count)]
    assert not [one for one in sent if one in kept]


def main(count):
    """The run with SIGKILLs at random moments; what was repeated is held against what was in flight."""
    concurrency, kills, chosen = 16, 5, random.Random(0)
    code = "import sys; from pathlib import Path; from tests.applications.test_image_run import play; "
    code += "play(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))"
    with tempfile.TemporaryDirectory() as name, OpenAIServer() as server:
        begun, folder = time.time(), Path(name)
        for left in range(kills, -1, -1):
            seen = len(server.requests)
            process = subprocess.Popen(
                [sys.executable, "-c", code, name, server.url, str(count), str(concurrency)], cwd=ROOT
            )
            while left and process.poll() is None and len(server.requests) < seen + 20:
                time.sleep(0.02)
            if left:
                time.sleep(chosen.uniform(0, 2))
                process.send_signal(signal.SIGKILL)
            process.wait()
        check_requests(server, folder)
        rows = list(read_rows(folder / "run"))
        print(
            f"{len(rows)} rows, {Counter(row.outcome for row in rows)}, {time.time() - begun:.0f} s, {kills} kills at most"
        )
        print(
            f"requests {len(server.requests)}, of them again {asked_again(server)}; looks again {looked_again(folder)}"
        )
        print(
            f"images received {sum(len(request['images']) for request in server.requests)}, each whole and once a request"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]))
