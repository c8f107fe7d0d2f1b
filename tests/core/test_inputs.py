import datetime
import math

import datasets
import numpy
import pandas
import pyarrow
import pytest

from anyprefer.core.errors import InputError
from anyprefer.core.input_rows import BadRow
from anyprefer.graph import Task, read_tasks


def the_bad_row(row, **columns):
    """The one bad row between two good ones, which are read all the same."""
    first, bad, last = read_tasks([{"prompt": "a"}, row, {"prompt": "b"}], columns)
    assert isinstance(first, Task)
    assert isinstance(last, Task)
    assert isinstance(bad, BadRow)
    return bad


def test_prompts_mappings_and_tasks_may_be_mixed():
    given = Task(id="own", prompt="c")
    assert list(read_tasks(["a", {"id": 7, "prompt": "b"}, given])) == [
        Task(id="row-000001", prompt="a"),
        Task(id="7", prompt="b"),
        given,
    ]


def test_rows_are_read_as_they_are_needed():
    def endless():
        while True:
            yield "again"

    tasks = read_tasks(endless())
    assert [next(tasks).id for _ in range(3)] == ["row-000001", "row-000002", "row-000003"]


def test_other_columns_are_carried_as_json():
    row = {
        "prompt": "a",
        "when": datetime.date(2024, 5, 1),
        "n": math.nan,
        "k": {"deep": (1, math.inf)},
        "meta": {"m": 1},
    }
    [task] = read_tasks([row])
    assert task.meta == {"when": "2024-05-01", "n": None, "k": {"deep": [1, None]}, "m": 1}


def test_integers_that_readers_of_json_round_are_kept_as_text():
    rows = [{"prompt": "a", "reference": 2**70, "n": 2**62, "deep": {"m": [-(2**70)]}}, {"prompt": "a", "id": 2**64}]
    first, second = read_tasks(rows)
    assert (first.reference, first.meta) == (str(2**70), {"n": 2**62, "deep": {"m": [str(-(2**70))]}})
    assert second.id == str(2**64)


def test_columns_are_mapped():
    row = {"question": "a", "gold": "b", "pictures": ["c.png"], "prompt": "not this", "source": "web"}
    [task] = read_tasks([row], {"prompt": "question", "reference": "gold", "images": "pictures"})
    assert task == Task(id="row-000001", prompt="a", reference="b", images=("c.png",), meta={"source": "web"})


def test_only_task_fields_can_be_mapped():
    with pytest.raises(InputError, match="'promt' is no task field; they are id, prompt"):
        list(read_tasks(["a"], {"promt": "question"}))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"question": "a", "x": 1}, "no column 'prompt'; it has: question, x"),
        ({}, "no column 'prompt'; it has: none"),
        ({"prompt": ""}, "empty or no text"),
        ({"prompt": " \n"}, "empty or no text"),
        ({"prompt": None}, "empty or no text"),
        ({"prompt": 3}, "empty or no text"),
        ({"prompt": "a", "images": ["a.png", 3]}, "image 2 of 2 is of type int"),
        ({"prompt": "a", "odd": {(1, 2): 3}}, "keys must be"),
        ({"prompt": "\ud800"}, "surrogates not allowed"),
        ({"prompt": "a", "id": "\ud800"}, "surrogates not allowed"),
        ("", "empty or no text"),
        (3, "must be an object with a prompt, not int"),
        (None, "not NoneType"),
        (["a"], "not list"),
    ],
)
def test_a_bad_row_is_named_with_its_place_and_the_others_are_read(row, words):
    bad = the_bad_row(row)
    assert bad.error.startswith("input, row 2: ")
    assert words in bad.error


def test_a_row_that_contains_itself_is_bad():
    row = {"prompt": "a"}
    row["self"] = row
    assert "Circular" in the_bad_row(row).error


def test_a_mapped_column_that_is_missing_names_what_there_is():
    tasks = list(read_tasks([{"a": 1, "q": "x"}, {"b": 2}], {"prompt": "q"}))
    assert tasks[1].error == "input, row 2: no column 'q'; it has: b (map one with prompt=COLUMN)"


def test_an_id_that_occurs_again_is_a_bad_row_of_its_own():
    tasks = list(read_tasks([{"id": "x", "prompt": p} for p in "abc"]))
    assert [task.id for task in tasks] == ["x", "x (again, input, row 2)", "x (again, input, row 3)"]
    assert "id 'x' occurs twice" in tasks[2].error


@pytest.mark.parametrize(
    ("given", "read"),
    [(None, "row-000001"), ("", "row-000001"), (" ", "row-000001"), (float("nan"), "row-000001"), (0, "0"),
     (numpy.array([1, 2]), "[1 2]")],
)  # fmt: skip
def test_rows_without_an_id_are_numbered(given, read):
    assert [task.id for task in read_tasks([{"id": given, "prompt": "a"}])] == [read]


def test_empty_cells_are_no_values():
    for images in (None, "", " ", [""]):
        [task] = read_tasks([{"prompt": "a", "reference": "", "system": "", "images": images}])
        assert task == Task(id="row-000001", prompt="a")


def test_texts_of_a_bad_row_can_always_be_written():
    bad = the_bad_row({"id": "\ud800", "\udc00": 1})
    assert "\\udc00" in bad.error
    bad.error.encode()
    bad.id.encode()


def test_a_data_set_is_read_row_by_row():
    data = datasets.Dataset.from_list([{"question": "a", "level": 1}, {"question": "b", "level": 2}])
    assert [(t.prompt, t.meta) for t in read_tasks(data, {"prompt": "question"})] == [
        ("a", {"level": 1}),
        ("b", {"level": 2}),
    ]


@pytest.mark.parametrize(
    "source",
    [
        {"prompt": "a"},
        Task(id="1", prompt="a"),
        datasets.DatasetDict(train=datasets.Dataset.from_list([{"prompt": "a"}])),
        3,
    ],
    ids=["dict", "task", "splits", "number"],
)
def test_what_would_be_read_as_something_else_is_refused(source):
    with pytest.raises(InputError, match="is no list of rows"):
        list(read_tasks(source))


@pytest.mark.parametrize("source", [[], iter(())])
def test_no_rows_at_all_is_an_error(source):
    with pytest.raises(InputError, match="the input holds no rows"):
        list(read_tasks(source))


def test_columns_named_like_fields_but_of_another_type_are_kept_in_meta_and_said_once(caplog):
    rows = [{"prompt": p, "meta": "web", "system": 3, "images": 2} for p in "ab"]
    tasks = list(read_tasks(rows))
    assert [(t.prompt, t.meta, t.system, t.images) for t in tasks] == [
        (p, {"meta": "web", "system": 3, "images": 2}, None, ()) for p in "ab"
    ]
    said = sorted(record.getMessage() for record in caplog.records)
    assert [one.split("'")[1] for one in said] == ["images", "meta", "system"]
    assert all("kept in meta" in one for one in said)


@pytest.mark.parametrize(("field", "value"), [("images", 3), ("system", 3), ("meta", "text")])
def test_a_mapped_column_of_another_type_is_a_bad_row(field, value):
    assert "column 'x'" in the_bad_row({"prompt": "a", "x": value}, **{field: "x"}).error


def test_a_mapped_column_that_no_row_has_is_an_error_that_names_the_near_one():
    with pytest.raises(InputError, match="input, row 1: no column 'quetsion'; did you mean 'question'"):
        next(read_tasks([{"question": "a"}, {"question": "b"}], {"prompt": "quetsion"}))
    with pytest.raises(InputError, match="no column 'gold'; there are: answer, prompt"):
        next(read_tasks([{"prompt": "a", "answer": 1}], {"reference": "gold"}))


def test_a_column_that_only_some_rows_have_may_be_mapped():
    tasks = read_tasks([{"prompt": "a"}, {"prompt": "b", "gold": "c"}], {"reference": "gold"})
    assert [task.reference for task in tasks] == [None, "c"]


def test_no_prompt_at_all_is_an_error_before_anything_is_played():
    with pytest.raises(InputError, match="no column 'prompt'; there are: question"):
        next(read_tasks([{"question": "a"}]))
    with pytest.raises(InputError, match="no column 'prompt'; there are: , question"):
        next(read_tasks([{"": 1, "question": "a"}]))


def test_a_data_frame_is_read_row_by_row():
    frame = pandas.DataFrame({"question": ["a", "b"], "n": [1, 2], "id": ["x", None]})
    assert [(t.id, t.prompt, t.meta) for t in read_tasks(frame, {"prompt": "question"})] == [
        ("x", "a", {"n": 1}), ("row-000002", "b", {"n": 2})
    ]  # fmt: skip
    dated = pandas.DataFrame({"prompt": ["a", "b"], "when": pandas.to_datetime(["2026-01-01", None])})
    assert [t.meta["when"] for t in read_tasks(dated)] == ["2026-01-01 00:00:00", None]


def test_an_arrow_table_is_read_row_by_row():
    assert [t.prompt for t in read_tasks(pyarrow.table({"prompt": ["a", "b"]}))] == ["a", "b"]


def test_several_splits_are_named():
    splits = datasets.DatasetDict(train=datasets.Dataset.from_list([{"prompt": "a"}]))
    with pytest.raises(InputError, match="pass one of them: train"):
        next(read_tasks(splits))


def test_an_id_that_looks_like_ours_for_a_doubled_row_doubles_none():
    rows = [
        {"id": name, "prompt": "2 + 2?"} for name in ("a (again, input, row 3)", "a", "a", "a (again, input, row 3)")
    ]
    ids = [task.id for task in read_tasks(rows)]
    assert len(set(ids)) == len(ids) == 4


def test_whatever_gives_named_rows_is_read_as_a_frame():
    class Frame:
        def iter_rows(self, named):
            assert named
            return iter([{"prompt": "a"}, {"prompt": "b"}])

    assert [task.prompt for task in read_tasks(Frame())] == ["a", "b"]
