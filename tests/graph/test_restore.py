"""A ledger that is lost, older or damaged costs no row, and what a run did not write stays as it is."""

import json
import os
import random
import shutil
import sqlite3
from contextlib import suppress

import pytest

from anyprefer.core.errors import RunFolderError
from anyprefer.graph import RunSettings, Task, read_rows
from anyprefer.graph.runs.finished import finished_ids
from anyprefer.training.pair_data.read import load_pairs
from tests.folder import IDS, TASKS, always_broken, check, lines, mixed, note, run

PAGE = 4096
MANY = [Task(id=f"{n:03}", prompt=f"Wie heißt {n}?") for n in range(60)]


def whole():
    return mixed(broken=False)


def flipped(file, seed, times=60):
    data, draw = bytearray(file.read_bytes()), random.Random(seed)
    for _ in range(times):
        data[draw.randrange(100, len(data))] ^= 0xFF
    file.write_bytes(bytes(data))


def zeroed(file, page):
    data = bytearray(file.read_bytes())
    data[PAGE * page : PAGE * (page + 1)] = bytes(PAGE)
    file.write_bytes(bytes(data))


def one_id_changed(file):
    """Valid SQLite, another content."""
    with sqlite3.connect(file) as db:
        db.execute("UPDATE tasks SET id = 'x' WHERE id = '007'")
    db.close()


def no_text(file):
    with sqlite3.connect(file) as db:
        db.execute("UPDATE tasks SET reason = CAST(x'62ff' AS TEXT) WHERE id = '007'")
    db.close()


DAMAGE = {
    "deleted": lambda file: file.unlink(),
    "empty": lambda file: file.write_bytes(b""),
    "another file": lambda file: file.write_bytes(b"mine, all mine" * 1000),
    "half of it": lambda file: os.truncate(file, file.stat().st_size // 2 // PAGE * PAGE),
    "not whole pages": lambda file: os.truncate(file, file.stat().st_size - 1000),
    "first page": lambda file: zeroed(file, 0),
    "second page": lambda file: zeroed(file, 1),
    "last page": lambda file: zeroed(file, file.stat().st_size // PAGE - 1),
    "noise 1": lambda file: flipped(file, 1),
    "noise 2": lambda file: flipped(file, 2),
    "noise 3": lambda file: flipped(file, 3, 5),
    "an id": one_id_changed,
    "text": no_text,
    "no tables": lambda file: (file.unlink(), sqlite3.connect(file).close()),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of 60 rows by what its row files are."""
    folder = tmp_path_factory.mktemp("finished")
    for name, values in (
        ("lines", {}),
        ("shards", {"format": "jsonl:7"}),
        ("parquet", {"format": "parquet:7"}),
    ):
        run(folder / name, whole(), MANY, concurrency=8, **values)
    return folder


def test_pairs_with_columns_named_as_rows_have_them_are_taken_in_again(tmp_path):
    tasks = [task.model_copy(update={"meta": {"models": "own", "usage": "[1]"}}) for task in TASKS]
    values = {"format": "parquet:2"}
    run(tmp_path, whole(), tasks, **values)
    before = {file.name: file.read_bytes() for file in tmp_path.glob("pairs*")}
    (tmp_path / "ledger.db").unlink()
    assert run(tmp_path, whole(), tasks, **values) == []
    assert {file.name: file.read_bytes() for file in tmp_path.glob("pairs*")} == before


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize(
    ("form", "values"),
    [("lines", {}), ("shards", {"format": "jsonl:7"}), ("parquet", {"format": "parquet:7"})],
)
def test_a_damaged_ledger_is_made_anew_from_the_rows(tmp_path, finished, form, values, damage):
    path = tmp_path / "run"
    shutil.copytree(finished / form, path)
    before = {file.name: file.read_bytes() for file in path.iterdir() if file.suffix in (".jsonl", ".parquet")}
    DAMAGE[damage](path / "ledger.db")
    model = whole()
    assert run(path, model, MANY[:5], **values) == []
    assert model.calls == []
    assert sorted(row.id for row in check(path)) == [task.id for task in MANY]
    assert {name: (path / name).read_bytes() for name in before} == before
    assert run(path, model, MANY, **values) == []


def test_a_damaged_ledger_of_a_finished_run_is_not_taken_for_whole(tmp_path, finished):
    settings, source = RunSettings(**json.loads((finished / "lines" / "settings.json").read_text())), ""
    assert finished_ids(finished / "lines", settings, source, MANY) == {task.id for task in MANY}
    for name in ("deleted", "empty", "another file", "half of it", "an id", "text", "no tables"):
        path = tmp_path / name
        shutil.copytree(finished / "lines", path)
        DAMAGE[name](path / "ledger.db")
        assert finished_ids(path, settings, source, MANY) is None, name


@pytest.mark.parametrize("form", [{}, {"format": "jsonl:4"}, {"format": "parquet:4"}])
def test_an_older_ledger_takes_in_the_rows_it_does_not_know(tmp_path, form):
    path = tmp_path / "run"
    run(path, mixed(), TASKS[:3], **form)
    older = (path / "ledger.db").read_bytes()
    run(path, mixed(), **form)
    (path / "ledger.db").write_bytes(older)
    model = whole()
    assert [row.id for row in run(path, model, **form)] == ["4"]  # which failed
    assert sorted(row.id for row in check(path)) == IDS


def test_a_lost_ledger_knows_what_the_rows_cost_and_which_input_they_are_of(tmp_path):
    run(tmp_path, mixed(), TASKS)
    spent = note(tmp_path)["usage"]
    (tmp_path / "ledger.db").unlink()
    run(tmp_path, whole(), TASKS[:2])
    assert note(tmp_path)["usage"] == spent
    with pytest.raises(RunFolderError, match="task '1' is not the one"):
        run(tmp_path, whole(), [TASKS[1].model_copy(update={"prompt": "Another?"})])


def test_pairs_that_a_kill_left_unwritten_are_made_of_the_rows(tmp_path):
    run(tmp_path, whole())
    pairs = (tmp_path / "pairs.jsonl").read_bytes()
    (tmp_path / "ledger.db").unlink()
    os.truncate(tmp_path / "pairs.jsonl", len(pairs) // 2)
    run(tmp_path, whole())
    assert sorted((tmp_path / "pairs.jsonl").read_bytes().splitlines()) == sorted(pairs.splitlines())
    check(tmp_path)


def test_lines_of_others_behind_the_rows_are_kept_in_a_file_of_their_own(tmp_path):
    run(tmp_path, whole(), TASKS[:3])
    with (tmp_path / "rows.jsonl").open("ab") as file:
        file.write(b'{"id": "mine"}\n' * 2)
    assert [row.id for row in run(tmp_path, whole())] == ["3", "4", "5"]
    assert (tmp_path / "rows.jsonl.aside").read_bytes() == b'{"id": "mine"}\n' * 2
    assert [row.id for row in check(tmp_path)] == IDS


OTHERS = ("pairs.dedup.jsonl", "rows_filtered.jsonl", "rows-backup.jsonl", "pairs_clean.jsonl", "failed-notes.jsonl",
          "pairs-00000.jsonl", "rows-00000.jsonl", "failed-analysis.parquet", "rows.parquet", "notes.txt")  # fmt: skip


@pytest.mark.parametrize("form", [{}, {"format": "jsonl:2"}, {"format": "parquet"}])
@pytest.mark.parametrize("lost", [False, True])
def test_files_the_run_did_not_write_stay_and_are_not_read(tmp_path, form, lost):
    run(tmp_path, whole(), TASKS[:3])
    mine = dict.fromkeys(OTHERS, b'{"precious": "work of hours"}\n')
    mine["rows-00000.jsonl"] = (tmp_path / "rows.jsonl").read_bytes()
    mine["pairs.dedup.jsonl"] = (tmp_path / "pairs.jsonl").read_bytes()
    for name, data in mine.items():
        (tmp_path / name).write_bytes(data)
    assert len(load_pairs(tmp_path)) == len(list(read_rows(tmp_path))) == 3
    if lost:
        (tmp_path / "ledger.db").unlink()
    run(tmp_path, whole(), TASKS, **form)
    run(tmp_path, whole(), TASKS)
    left = {name: (tmp_path / name) for name in mine}
    left["rows.parquet"] = next((file for file in tmp_path.glob("rows.parquet.aside*")), left["rows.parquet"])
    assert {name: file.read_bytes() for name, file in left.items()} == mine
    assert sorted(row.id for row in read_rows(tmp_path)) == IDS
    assert len(load_pairs(tmp_path)) == 5


@pytest.mark.parametrize(
    "name", ["rows.jsonl", "pairs.jsonl", "ledger.db", "settings.json", "run.json", "failed.jsonl"]
)
@pytest.mark.parametrize("begun", [True, False])
def test_a_link_out_of_the_folder_is_not_followed(tmp_path, name, begun):
    path, outside = tmp_path / "run", tmp_path / "outside"
    outside.write_text("precious")
    if begun:
        run(path, mixed(), TASKS[:5])
        (path / name).unlink()
    else:
        path.mkdir()
        (path / "settings.json").write_text("{}")
        (path / name).unlink(missing_ok=True)
    (path / name).symlink_to(outside)
    with pytest.raises(RunFolderError, match="link") if begun else suppress(RunFolderError):
        run(path, mixed(), TASKS)
    assert outside.read_text() == "precious"


@pytest.mark.parametrize("name", ["rows.jsonl", "pairs.jsonl"])
@pytest.mark.parametrize("damage", ["gone", "short", "torn", "zeros"])
def test_damaged_row_files_are_refused_and_repaired(tmp_path, name, damage):
    run(tmp_path, whole())
    file = tmp_path / name
    data = file.read_bytes()
    whole_lines = data.splitlines(keepends=True)
    changed = {
        "short": b"".join(whole_lines[:-2]),
        "torn": data[: -len(whole_lines[-1]) // 2],
        "zeros": whole_lines[0] + bytes(len(whole_lines[1])) + b"".join(whole_lines[2:]),
    }
    file.unlink() if damage == "gone" else file.write_bytes(changed[damage])
    with pytest.raises(RunFolderError, match=rf"{name} is (shorter|damaged).*--repair"):
        run(tmp_path, whole())
    again = run(tmp_path, whole(), repair=True)
    lost = {"gone": 6, "short": 2, "torn": 1, "zeros": 2}[damage] if name == "rows.jsonl" else 0
    assert len(again) == lost
    assert sorted(row.id for row in check(tmp_path, spent_on_rows_only=False)) == IDS
    assert run(tmp_path, whole()) == []


@pytest.mark.parametrize("values", [{}, {"format": "parquet:2"}])
def test_repair_of_a_sound_folder_changes_nothing(tmp_path, values):
    run(tmp_path, mixed(), **values)
    rows, usage = list(read_rows(tmp_path)), note(tmp_path)["usage"]
    assert run(tmp_path, mixed(), TASKS[:4], repair=True, **values) == []
    assert list(read_rows(tmp_path)) == rows
    assert note(tmp_path)["usage"] == usage
    check(tmp_path)
    assert list(tmp_path.glob("*.aside*")) == []


@pytest.mark.parametrize(
    ("name", "text"), [("settings.json", "{"), ("settings.json", None), ("run.json", "[1]"), ("run.json", "{}")]
)
def test_settings_that_cannot_be_read_are_taken_from_the_command_when_asked(tmp_path, name, text):
    run(tmp_path, whole(), TASKS[:3])
    (tmp_path / name).unlink() if text is None else (tmp_path / name).write_text(text)
    with pytest.raises(RunFolderError, match="--repair"):
        run(tmp_path, whole())
    assert [row.id for row in run(tmp_path, whole(), repair=True)] == ["3", "4", "5"]
    assert [row.id for row in check(tmp_path)] == IDS


def test_a_failed_row_stays_until_the_task_is_played_to_an_end(tmp_path):
    run(tmp_path, mixed())
    run(tmp_path, mixed(), TASKS[:2])
    assert [row["id"] for row in lines(tmp_path, "failed.jsonl")] == ["4"]
    run(tmp_path, mixed())
    assert [row["id"] for row in lines(tmp_path, "failed.jsonl")] == ["4"]
    run(tmp_path, whole())
    assert lines(tmp_path, "failed.jsonl") == []
    assert note(tmp_path)["counts"] == {"accepted": 5, "rejected": 1, "failed": 0}


def test_a_first_command_of_which_every_row_failed_does_not_stand_in_the_way(tmp_path):
    assert {row.outcome for row in run(tmp_path, always_broken(*IDS), threshold=3)} == {"failed"}
    assert len(run(tmp_path, whole(), TASKS[:3], threshold=7)) == 3
    assert len(check(tmp_path, spent_on_rows_only=False)) == 3
    [aside] = tmp_path.glob("failed.jsonl.aside")
    assert len(aside.read_bytes().splitlines()) == 6
