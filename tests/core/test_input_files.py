import gzip
import io
import json

import datasets
import pyarrow
import pyarrow.parquet
import pytest

from anyprefer.core.errors import InputError
from anyprefer.core.input_rows import BadRow
from anyprefer.graph import Task, read_tasks

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
        ("a.json", "[1,", "not JSON"),
        ("a.json", '{"prompt": "a"}\n{"prompt": "b"}\n', "name a file of one object a line .jsonl"),
        ("a.csv", "prompt,n,n\na,1,2\n", "the column 'n' twice; rename one"),
        ("a.json", "[" * 100_000, "cannot be read"),
        ("a.csv", 'prompt,"x\n', "the header has a quote that is never closed"),
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


def csv_rows(tmp_path, data, name="a.csv", **columns):
    """(prompt or error) of each row; errors without the file's name."""
    path = write(tmp_path / name, data)
    rows = list(read_tasks(path, columns))
    return [row.error.removeprefix(f"{path}, ") if isinstance(row, BadRow) else row.prompt for row in rows]


def test_a_quote_that_is_never_closed_costs_its_row_alone(tmp_path):
    a, bad, *rest = csv_rows(tmp_path, 'prompt\nA\n"He said: ok\nC\nD\n')
    assert (a, rest) == ("A", ["C", "D"])
    assert bad == 'line 3: the row has a quote that is never closed; write a quote within a quoted field twice ("")'


def test_a_quote_that_a_later_field_seems_to_close_costs_its_row_alone(tmp_path):
    rows = csv_rows(tmp_path, 'prompt,n\nA,1\n"He said: ok,2\n"a ""b"" c",3\n"d\ne",4\n"f" g,5\nh,6\n')
    assert rows[0] == "A"
    assert rows[1].startswith("line 3: the row has a quote in the middle of a quoted field, before 'a ")
    assert rows[2:4] == ['a "b" c', "d\ne"]
    assert rows[4].startswith("line 7: the row has a quote in the middle")
    assert rows[5:] == ["h"]


def test_long_fields_and_other_encodings_of_csv(tmp_path):
    assert csv_rows(tmp_path, "prompt\nA\n" + "x" * 200_000 + "\nC\n") == ["A", "x" * 200_000, "C"]
    a, bad, c = csv_rows(tmp_path, "prompt\nA\ncaf\u00e9\nC\n".encode("cp1252"))
    assert (a, bad, c) == ("A", "line 3: the row is not UTF-8; write the file as UTF-8", "C")
    assert csv_rows(tmp_path, "prompt\n\u00e4\n".encode("utf-16")) == ["\u00e4"]


def test_a_field_too_many_is_told(tmp_path):
    rows = csv_rows(tmp_path, "prompt,n\nWhat is 3, or 4?,1\nb\n")
    assert rows == ["line 2: the row has 3 fields and the header 2; put a text that holds ',' in quotes", "b"]


def test_lines_of_text_files_end_where_their_format_says(tmp_path):
    odd = "a\u2028b\u0085c\x0bd\x1ce"
    path = write(tmp_path / "a.jsonl", json.dumps({"prompt": odd}, ensure_ascii=False) + "\n" + LINES)
    assert [task.prompt for task in read_tasks(path)] == [odd, "\u00e4", "b"]
    assert csv_rows(tmp_path, f'prompt\r\n{odd}\r\n\r\n"x\r\ny"\r\n') == [odd, "x\r\ny"]


def test_one_row_of_very_many_lines_is_read_in_linear_time(tmp_path):
    text = "line\n" * 50_000
    assert csv_rows(tmp_path, f'prompt\n"{text}"\nB\n') == [text, "B"]
    rows = csv_rows(tmp_path, f'prompt\n"{text}')
    assert len(rows) == 50_000
    assert rows[0].startswith("line 2: the row has a quote that is never closed")


def test_tabs_and_semicolons(tmp_path):
    assert csv_rows(tmp_path, "id\tprompt\n1\ta, b\n", "a.tsv") == ["a, b"]
    assert csv_rows(tmp_path, "id;prompt\n1;a, b\n") == ["a, b"]
    assert csv_rows(tmp_path, "\n\nid;prompt\n1;a, b\n") == ["a, b"]
    assert csv_rows(tmp_path, "id,prompt\n1,a\n", "A.CSV") == ["a"]
    assert csv_rows(tmp_path, gzip.compress(b"id\tprompt\n1\ta\n"), "a.tsv.gz") == ["a"]


def test_a_saved_data_set(tmp_path):
    data = datasets.Dataset.from_list([{"prompt": "a"}, {"prompt": "b"}])
    data.save_to_disk(tmp_path / "one")
    datasets.DatasetDict(train=data, test=data).save_to_disk(tmp_path / "two")
    assert [task.prompt for task in read_tasks(tmp_path / "one")] == ["a", "b"]
    assert [task.prompt for task in read_tasks(str(tmp_path / "two" / "test"))] == ["a", "b"]
    with pytest.raises(InputError, match=r"has several splits; give one of them: .*two/train"):
        next(read_tasks(tmp_path / "two"))


def test_standard_input_is_jsonl(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(LINES.encode() + b"{broken\n")))
    *tasks, bad = read_tasks("-")
    assert tasks == TASKS
    assert bad.error.startswith("standard input, line 3: not JSON")


def test_a_line_that_is_too_long_costs_its_row_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("anyprefer.core.input_files.LONGEST_LINE", 30)
    monkeypatch.setattr("anyprefer.core.input_files._SKIPPED", 7)
    lines = [json.dumps({"prompt": "x" * size}) for size in (1, 30, 18, 200, 14)]
    lines[2] = lines[2].ljust(30)[:30]
    assert len(lines[2]) == 30
    path = write(tmp_path / "a.jsonl", "\n".join(lines))
    read = [getattr(task, "prompt", None) or task.error.removeprefix(f"{path}, ") for task in read_tasks(path)]
    long = "the line is longer than 30 characters; make it shorter"
    assert read == ["x", f"line 2: {long}", f"line 3: {long}", f"line 4: {long}", "x" * 14]
