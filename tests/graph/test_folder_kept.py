"""What a run folder keeps for those who read it, and what it notices while a run writes."""

import errno
import json
import shutil
from datetime import datetime, timedelta

import datasets
import pytest

from anyprefer.core.disk import check_locks
from anyprefer.core.errors import RunFolderError
from anyprefer.graph import Task, players, read_rows, synth
from anyprefer.graph.players import parted
from anyprefer.nodes.pair_builders.ranks import ranks
from anyprefer.tools import tool
from tests.folder import IDS, TASKS, begin, check, lines, mixed, note, run
from tests.scripted import Scripted

MANY = [Task(id=f"{n:03}", prompt=f"Wie heißt {n}?") for n in range(24)]


def whole():
    return mixed(broken=False)


REMOVED = {
    "rows.jsonl": lambda path: (path / "rows.jsonl").unlink(),
    "pairs.jsonl": lambda path: (path / "pairs.jsonl").write_text("mine\n"),
    "ledger.db": lambda path: (path / "ledger.db").unlink(),
    "the folder": shutil.rmtree,
    "the folder moved": lambda path: path.rename(path.with_name("moved")),
}


@pytest.mark.parametrize("what", REMOVED)
def test_files_removed_while_a_run_writes_are_noticed_at_once(tmp_path, what):
    path = tmp_path / "run"
    rows = begin(path, whole())
    next(rows)
    REMOVED[what](path)
    with pytest.raises(RunFolderError, match=r"removed|cannot be written"):
        list(rows)
    assert not (what.startswith("the folder") and path.exists())
    if what == "the folder moved":
        run(path.with_name("moved"), whole())
        assert [row.id for row in check(path.with_name("moved"))] == IDS
    if what == "ledger.db":
        run(path, whole())
        assert [row.id for row in check(path, spent_on_rows_only=False)] == IDS


def test_a_finished_run_gives_its_rows_back_without_its_models(tmp_path, monkeypatch):
    rows = run(tmp_path, whole())
    model = whole()
    assert sorted(begin(tmp_path, model), key=lambda row: row.id) == rows
    assert model.calls == []
    assert [row.id for row in begin(tmp_path, whole(), TASKS[1:3])] == ["1", "2"]


def test_a_finished_run_of_named_models_loads_none(tmp_path, monkeypatch):
    tasks = ["What is 2 + 2?", "What is 3 + 5?"]
    values = {"target": "openai:any@http://127.0.0.1:9/v1", "judge": "evidence", "tools": ["calculator"]}
    _, objects = parted(None, {name: values[name] for name in ("target", "judge")}, {}, values["tools"])
    assert objects == {}
    target = Scripted(sample=lambda call: f"{call.seed}")
    monkeypatch.setattr(players, "load_model", lambda *given, **more: target)
    first = list(synth(tasks, folder=tmp_path, **values))
    monkeypatch.setattr(players, "load_model", lambda *given, **more: pytest.fail("a model is loaded"))
    assert list(synth(tasks, folder=tmp_path, **values)) == first
    assert list(read_rows(tmp_path)) == list(read_rows(tmp_path / "rows.jsonl")) == first


def test_tools_and_builders_given_as_objects_are_part_of_the_experiment(tmp_path):
    @tool
    def mine(task: Task) -> str:
        """Looks something up."""
        return "found"

    run(tmp_path, whole(), TASKS[:1], tools=["calculator", mine], build_pair=ranks(1, 2))
    said = json.loads((tmp_path / "settings.json").read_text())
    assert said["tools"][0] == "calculator"
    assert said["tools"][1].startswith("mine@")
    assert said["pair"] == "ranks(1,2)"
    assert len(run(tmp_path, whole(), TASKS[:2], tools=["calculator", mine], pair="ranks(1,2)")) == 1
    for others in (
        {"tools": []},
        {"tools": ["calculator", mine]},
        {"tools": ["calculator"], "build_pair": ranks(1, 2)},
    ):
        with pytest.raises(RunFolderError, match=r"other settings: (tools|pair)"):
            run(tmp_path, whole(), **others)


def test_own_columns_are_kept_in_pairs_and_the_folder_loads_as_a_data_set(tmp_path):
    rows = [{"prompt": f"Wie heißt {n}?", "topic": "names", "level": n, "reward": "mine"} for n in range(3)]
    run(tmp_path / "run", whole(), rows)
    [first, *_] = lines(tmp_path / "run", "pairs.jsonl")
    assert (first["topic"], first["level"], first["reward"]) == ("names", 0, 9)
    (tmp_path / "run" / "pairs.dedup.jsonl").write_text('{"other": 1}\n')
    loaded = datasets.load_dataset(str(tmp_path / "run"), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded["level"][:] == [0, 1, 2]
    (tmp_path / "run" / "README.md").write_text("my own words")
    run(tmp_path / "run", whole(), [*rows, {"prompt": "one more"}])
    assert (tmp_path / "run" / "README.md").read_text() == "my own words"
    (tmp_path / "run" / "README.md").unlink()
    (tmp_path / "run" / "README.md").mkdir()
    assert len(run(tmp_path / "run", whole(), [*rows, {"prompt": "one more"}, {"prompt": "and another"}])) == 1


def test_run_json_says_when_and_how_long(tmp_path):
    run(tmp_path, whole(), TASKS[:2])
    first = note(tmp_path)
    run(tmp_path, whole())
    then = note(tmp_path)
    assert first["started"] == then["started"] <= first["ended"] <= then["ended"]
    assert datetime.fromisoformat(then["ended"]).utcoffset() == timedelta(0)
    assert then["seconds"] >= first["seconds"] >= 0


def test_a_row_without_json_form_does_not_count_towards_accept(tmp_path):
    class Target:
        name = "policy"

        async def sample(self, task, prompt, seeds):
            return [("\ud800" if task.id == "1" else "") + str(seed) for seed in seeds]

    rows = run(tmp_path, whole(), target=Target(), accept=3)
    assert [row.outcome for row in rows].count("accepted") == len(lines(tmp_path, "pairs.jsonl")) == 3
    assert [row.id for row in rows if row.outcome == "failed"] == ["1"]


def test_a_name_that_is_too_long_is_said(tmp_path):
    with pytest.raises(RunFolderError, match=r"File name too long.*shorter name"):
        list(begin(tmp_path / ("n" * 300), whole()))


def test_locks_that_do_not_hold_are_the_reason(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr("fcntl.fcntl", lambda *given: calls.append(given))
    with pytest.raises(RunFolderError, match="grants the same lock twice"):
        check_locks(tmp_path)
    monkeypatch.setattr(
        "fcntl.fcntl", lambda *given: (_ for _ in ()).throw(OSError(errno.ENOLCK, "No locks available"))
    )
    with pytest.raises(RunFolderError, match=r"refuses locks \(No locks available\)"):
        check_locks(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("values", [{"format": "jsonl:2"}, {"format": "parquet:2"}])
def test_after_a_change_of_form_shards_fill_up(tmp_path, values):
    run(tmp_path, whole(), MANY[:12])
    run(tmp_path, whole(), MANY[:20], **values)
    assert len(list(tmp_path.glob("rows-*"))) == 4
    run(tmp_path, whole(), MANY[:24])
    assert sorted(row.id for row in check(tmp_path)) == [task.id for task in MANY[:24]]
