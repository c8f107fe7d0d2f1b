import gzip
import json

import pyarrow
import pyarrow.parquet
import pytest

from anyprefer.graph import Task, read_tasks
from anyprefer.graph.errors import InputError
from anyprefer.graph.inputs import BadRow

ROWS = [{"id": "1", "prompt": "ä"}, {"id": "2", "prompt": "b", "level": 3}]
TASKS = [Task(id="1", prompt="ä"), Task(id="2", prompt="b", meta={"level": 3})]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


def write(path, data):
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", LINES),
        ("a.ndjson", LINES.rstrip()),
        ("bom.jsonl", "\ufeff" + LINES),
        ("a.b.jsonl", LINES.replace("\n", "\r\n")),
        ("a.jsonl.gz", gzip.compress(LINES.encode())),
        ("a.json", json.dumps(ROWS)),
        ("bom.json", "\ufeff" + json.dumps(ROWS)),
    ],
)
def test_json_files(tmp_path, name, data):
    path = write(tmp_path / name, data)
    assert list(read_tasks(path)) == TASKS
    assert list(read_tasks(str(path))) == TASKS


def test_csv(tmp_path):
    path = write(tmp_path / "a.csv", '\ufeffprompt,reference,level\r\n"a, ""b""\nc",4,x\r\nd,,\r\n')
    assert list(read_tasks(path)) == [
        Task(id="row-000001", prompt='a, "b"\nc', reference="4", meta={"level": "x"}),
        Task(id="row-000002", prompt="d", meta={"level": ""}),
    ]


def test_parquet(tmp_path):
    pyarrow.parquet.write_table(
        pyarrow.Table.from_pylist([{**ROWS[0], "level": None}, ROWS[1]]), tmp_path / "a.parquet"
    )
    assert list(read_tasks(tmp_path / "a.parquet")) == [
        Task(id="1", prompt="ä", meta={"level": None}),
        TASKS[1],
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{broken", "not JSON"),
        (b"", "the line is empty"),
        (b"[" * 100_000, "not JSON"),
        (b'"just text, which is a prompt"', None),
        (b"3", "not int"),
        (b'{"prompt": "\xff"}', "not UTF-8"),
    ],
)
def test_the_good_lines_of_a_partly_bad_file_are_read(tmp_path, line, words):
    path = write(tmp_path / "a.jsonl", b'{"prompt": "a"}\n' + line + b'\n{"prompt": "b"}\n')
    first, second, third = read_tasks(path)
    assert (first.prompt, third.prompt) == ("a", "b")
    if words is None:
        assert second.prompt.startswith("just text")
    else:
        assert isinstance(second, BadRow)
        assert second.id == "row-000002"
        assert second.error.startswith(f"{path}, line 2: ")
        assert words in second.error


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.jsonl", "", "holds no rows"),
        ("a.csv", "prompt\n", "holds no rows"),
        ("a.json", "[]", "holds no rows"),
        ("a.json", '{"prompt": "a"}', "one object, not a list"),
        ("a.json", "[1,", "cannot be read"),
        ("a.json", "[" * 100_000, "cannot be read"),
        ("a.csv", b"prompt\n\xff\xfe\n", "cannot be read"),
        ("a.csv", "prompt\n" + "x" * 200_000, "cannot be read"),
        ("a.parquet", "not parquet", "cannot be read"),
        ("a.jsonl.gz", "not gzip", "cannot be read"),
        ("a.jsonl.gz", gzip.compress(LINES.encode())[:-12], "cannot be read"),
        ("a.txt", "a", "unknown kind '.txt'"),
        ("a.json.gz", "a", "unknown kind '.json.gz'"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, data, words):
    path = write(tmp_path / name, data)
    with pytest.raises(InputError) as caught:
        list(read_tasks(path))
    assert str(path) in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["gone.jsonl", "."])
def test_a_file_that_is_not_there_is_named(tmp_path, name):
    with pytest.raises(InputError, match="is not a file; a data set on a hub is written hub:ID"):
        list(read_tasks(tmp_path / name))


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        ("hub:gsm8k", ("gsm8k", None, "train")),
        ("hub:org/set:test", ("org/set", None, "test")),
        ("hub:gsm8k:main:test", ("gsm8k", "main", "test")),
    ],
)
def test_a_hub_data_set_is_streamed(monkeypatch, source, asked):
    def load(identifier, config, split, streaming):
        assert streaming
        assert (identifier, config, split) == asked
        return ROWS

    monkeypatch.setattr("datasets.load_dataset", load)
    assert list(read_tasks(source)) == TASKS


def test_a_hub_data_set_that_cannot_be_loaded_is_named(monkeypatch):
    def load(*args, **kwargs):
        raise ConnectionError("no network")

    monkeypatch.setattr("datasets.load_dataset", load)
    with pytest.raises(InputError, match=r"hub data set 'x' \(split 'train'\) cannot be loaded: no network"):
        list(read_tasks("hub:x"))
