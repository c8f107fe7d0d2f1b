import json
import sys

import datasets
import pytest

from anyprefer.core.errors import RunFolderError
from anyprefer.graph import Task
from anyprefer.graph.runs.row_files import read_rows
from anyprefer.graph.runs.shards import Shards
from anyprefer.training.pair_data.read import load_pairs
from tests.folder import IDS, KILL, TASKS, check, lines, mixed, note, python, run
from tests.pixels import URL
from tests.scripted import Scripted

PARQUET = {"format": "parquet:2"}


def files(path, stream):
    return sorted(file.name for file in path.glob(f"{stream}*"))


def whole():
    return mixed(broken=False)


def test_a_stream_goes_on_in_a_new_file_after_so_many_rows(tmp_path):
    run(tmp_path, whole(), format="jsonl:2")
    assert files(tmp_path, "rows") == [f"rows-0000{n}.jsonl" for n in range(3)]
    assert [len(lines(tmp_path, name)) for name in files(tmp_path, "rows")] == [2, 2, 2]
    assert [len(lines(tmp_path, name)) for name in files(tmp_path, "pairs")] == [2, 2, 1]
    assert [row.id for row in check(tmp_path)] == IDS


def test_many_rows_of_one_commit_are_parted_over_shards(tmp_path):
    shards = Shards(tmp_path, 3)
    with shards.appending([{"rows": b"%d\n" % n} for n in range(8)]):
        pass
    assert [(name, rows, closed) for name, _, rows, closed in sorted(shards.changed())] == [
        ("rows-00000.jsonl", 3, 1),
        ("rows-00001.jsonl", 3, 1),
        ("rows-00002.jsonl", 2, 0),
    ]
    assert b"".join((tmp_path / name).read_bytes() for name in files(tmp_path, "rows")) == b"0\n1\n2\n3\n4\n5\n6\n7\n"


@pytest.mark.parametrize("values", [{"format": "jsonl:4"}, {"format": "parquet:4"}, {"format": "parquet"}])
@pytest.mark.parametrize("first", [1, 4, 5])
def test_a_run_is_gone_on_with_in_the_middle_of_a_shard(tmp_path, values, first):
    run(tmp_path, whole(), TASKS[:first], **values)
    run(tmp_path, whole(), TASKS, **values)
    assert [row.id for row in check(tmp_path)] == IDS
    assert [prompt[-1]["content"] for prompt in load_pairs(tmp_path)["prompt"]] == [
        f"Wie heißt {n}?" for n in (0, 1, 2, 4, 5)
    ]


@pytest.mark.parametrize("after", [1, 2, 5])
@pytest.mark.parametrize("values", [{"format": "jsonl:2"}, PARQUET])
def test_a_kill_while_shards_fill_is_mended(tmp_path, values, after):
    assert python(KILL, tmp_path, after, json.dumps(values)).returncode == 9
    assert [row.id for row in run(tmp_path, whole(), **values)] == IDS[after + 1 :]
    assert [row.id for row in check(tmp_path)] == IDS


def test_parquet_shards_hold_what_jsonl_holds(tmp_path):
    run(tmp_path / "jsonl", mixed())
    run(tmp_path / "parquet", mixed(), **PARQUET)
    path = tmp_path / "parquet"
    assert files(path, "rows") == [f"rows-0000{n}.parquet" for n in range(3)]
    assert files(path, "failed") == ["failed-00000.jsonl"]
    assert check(path) == list(read_rows(tmp_path / "jsonl"))


def test_failed_rows_of_shards_are_played_again(tmp_path):
    run(tmp_path, mixed(), **PARQUET)
    assert [row.id for row in run(tmp_path, whole(), **PARQUET)] == ["4"]
    assert note(tmp_path)["counts"]["failed"] == 0
    assert sorted(row.id for row in check(tmp_path)) == IDS


def test_parquet_pairs_load_as_a_data_set_over_all_shards(tmp_path):
    run(tmp_path / "run", whole(), **PARQUET)
    loaded = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "run" / "pairs-*.parquet"), split="train", cache_dir=str(tmp_path / "c")
    )
    assert loaded["id"][:] == ["0", "1", "2", "4", "5"]
    assert loaded[0]["chosen"][0]["role"] == "assistant"


def test_columns_that_only_some_rows_have_are_kept(tmp_path):
    """Also where a shard's first rows lack them, and data sets of all shards still load."""
    tasks = [TASKS[0], Task(id="seen", prompt="What is this?", images=(URL,)), *TASKS[1:4]]
    run(tmp_path, whole(), tasks, **PARQUET)
    assert {row.id: row.task.images for row in check(tmp_path)}["seen"] == (URL,)
    assert [list(images) for images in load_pairs(tmp_path)["images"]] == [[], [URL], [], []]


def test_scores_that_a_whole_shard_lacks_keep_their_type(tmp_path):
    tasks = [task.model_copy(update={"reference": "gold"}) for task in TASKS]
    run(tmp_path / "run", whole(), tasks, pair="reference_chosen", **PARQUET)
    run(tmp_path / "other", whole(), **PARQUET)
    every = [str(file) for name in ("run", "other") for file in sorted((tmp_path / name).glob("pairs*.parquet"))]
    loaded = datasets.load_dataset("parquet", data_files=every, split="train", cache_dir=str(tmp_path / "c"))
    assert loaded["chosen_score"][0] is None
    assert loaded["chosen_score"][-1] == 2


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"format": "jsonl:2"}),
        ({"format": "jsonl:2"}, {}),
        ({}, PARQUET),
        (PARQUET, {}),
        (PARQUET, {"format": "jsonl:3"}),
    ],
)
def test_the_form_of_the_files_may_change_when_a_run_is_gone_on_with(tmp_path, before, after):
    run(tmp_path, whole(), TASKS[:3], **before)
    run(tmp_path, whole(), TASKS, **after)
    assert sorted(row.id for row in check(tmp_path)) == IDS
    assert run(tmp_path, whole(), TASKS, **before) == []
    assert sorted(row.id for row in check(tmp_path)) == IDS


KILL_AT_PARQUET = """
import os, sys
from pathlib import Path
from anyprefer.graph.runs import shards
from tests.folder import run, mixed
left, step = int(sys.argv[2]), sys.argv[3]
def killed(function):
    def either(*args, **kwargs):
        global left
        left -= 1
        if left < 0:
            os._exit(9)
        return function(*args, **kwargs)
    return either
if step == "before":
    shards.to_parquet = killed(shards.to_parquet)
else:
    unlink = Path.unlink
    Path.unlink = killed(unlink)
run(sys.argv[1], mixed(broken=False), format="parquet:2")
"""


@pytest.mark.parametrize("step", ["before", "before the lines are removed"])
@pytest.mark.parametrize("after", [0, 2, 4])  # the last one is made when the run is closed
def test_a_kill_while_a_parquet_file_takes_the_lines_place_is_mended(tmp_path, after, step):
    assert python(KILL_AT_PARQUET, tmp_path, after, step).returncode == 9
    run(tmp_path, whole(), **PARQUET)
    assert [row.id for row in check(tmp_path)] == IDS
    assert list(tmp_path.glob("rows*.jsonl")) == list(tmp_path.glob("*.new")) == []


def test_values_of_several_kinds_survive(tmp_path):
    class Mixed:
        name = "mixed"

        async def sample(self, task, prompt, seeds):
            return [[1.5, seed] if seed % 2 else f"text {seed}" for seed in range(len(seeds))]

    run(tmp_path, whole(), target=Mixed(), candidates=3, **PARQUET)
    [first, *_] = check(tmp_path)
    assert (first.pair.chosen, first.pair.rejected) == ("text 0", "text 2")
    assert len(load_pairs(tmp_path)) == 5


def test_a_shard_that_is_gone_is_named(tmp_path):
    run(tmp_path, whole(), TASKS[:4], **PARQUET)
    (tmp_path / "rows-00001.parquet").unlink()
    with pytest.raises(RunFolderError, match=r"rows-00001"):
        run(tmp_path, whole(), TASKS, **PARQUET)


def test_lines_of_any_length_and_text_survive(tmp_path):
    texts = ["ü" * 100_000, "a\u2028 \x85 \r \x0b", json.dumps({"a": [1]})]
    model = Scripted(sample=lambda call: f"{texts[int(call.user)]}{call.seed}")
    tasks = [Task(id=str(n), prompt=str(n)) for n in range(3)]
    run(tmp_path, model, tasks, **PARQUET)
    assert [row.pair.chosen[:5] for row in check(tmp_path)] == [text[:5] for text in texts]


def test_pyarrow_is_not_needed_for_lines():
    code = "import sys, anyprefer.graph.runs.shards, anyprefer.graph.runs.folder; print('pyarrow' in sys.modules)"
    assert python(code).stdout == "False\n", sys.executable
