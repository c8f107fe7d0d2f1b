import errno
import json
from pathlib import Path

import datasets
import pytest

from anyprefer.graph import Task, synth
from anyprefer.graph.errors import RunFolderError
from anyprefer.graph.folder import pair_row, read_rows
from anyprefer.graph.state import Prompts, Round, Row
from tests.scripted import Scripted

TASKS = [Task(id=str(n), prompt=f"Wie heißt {n}?", system="Kurz." if n == 0 else None) for n in range(6)]
FILES = ["failures.jsonl", "pairs.jsonl", "rows.jsonl", "run.json", "settings.json"]


def lines(path, name):
    return [json.loads(line) for line in (path / name).read_text(encoding="utf-8").splitlines()]


def mixed(broken=True):
    """Task 4 fails while `broken`, task 3 is rejected, the others are accepted."""

    def sample(call):
        if broken and "4?" in call.user:
            raise RuntimeError("out of order")
        return f"ü{call.seed}"

    return Scripted(sample=sample, reward=lambda call: "2/10" if "3?" in call.user else "9/10")


def run(path, model=None, tasks=TASKS, **values):
    model = model or mixed()
    given = {"target": model, "judge": model, "tools": [], "candidates": 2, "max_rounds": 1, "concurrency": 1, **values}
    return list(synth(tasks, folder=path, **given))


def check_files_agree(path):
    rows = list(read_rows(path))
    assert [row["id"] for row in lines(path, "pairs.jsonl")] == [row.id for row in rows if row.outcome == "accepted"]
    assert [(row["id"], row["outcome"], row["reason"]) for row in lines(path, "failures.jsonl")] == [
        (row.id, row.outcome, row.reason) for row in rows if row.outcome != "accepted"
    ]
    kept = json.loads((path / "run.json").read_text())
    for outcome, count in kept["counts"].items():
        assert count == sum(row.outcome == outcome for row in rows)
    assert kept["usage"]["sample"]["calls"] == sum(row.usage["sample"].calls for row in rows if "sample" in row.usage)
    return rows


def test_a_run_folder_holds_every_row_and_what_was_run(tmp_path):
    rows = run(tmp_path / "deep" / "run", seed=4)
    path = tmp_path / "deep" / "run"
    assert sorted(file.name for file in path.iterdir()) == FILES
    assert check_files_agree(path) == rows
    kept = json.loads((path / "run.json").read_text())
    assert kept["counts"] == {"accepted": 4, "rejected": 1, "failed": 1}
    assert kept["models"]["target"] == "Scripted"
    assert kept["seed"] == 4
    assert set(kept["versions"]) >= {"python", "anyprefer", "langgraph"}
    assert json.loads((path / "settings.json").read_text())["seed"] == 4


def test_a_pair_is_a_row_in_trls_conversational_form(tmp_path):
    rows = {row.id: row for row in run(tmp_path)}
    [first, *_] = lines(tmp_path, "pairs.jsonl")
    pair = rows["0"].pair
    assert first["prompt"] == [{"role": "system", "content": "Kurz."}, {"role": "user", "content": "Wie heißt 0?"}]
    assert first["chosen"] == [{"role": "assistant", "content": pair.chosen}]
    assert first["rejected"] == [{"role": "assistant", "content": pair.rejected}]
    assert (first["reward"], first["chosen_score"], first["rejected_score"], first["rounds"]) == (9, 2, 1, 1)
    assert first["prompt_version"] == rows["0"].rounds[-1].prompts.version
    assert first["target"] == first["judge"] == "Scripted"


def test_pairs_load_as_a_data_set(tmp_path):
    run(tmp_path / "run")
    loaded = datasets.load_dataset(
        "json", data_files=str(tmp_path / "run" / "pairs.jsonl"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert loaded["id"][:] == ["0", "1", "2", "5"]
    assert loaded[0]["chosen"][0]["role"] == "assistant"


def test_nothing_is_overwritten(tmp_path):
    run(tmp_path)
    before = (tmp_path / "rows.jsonl").read_bytes()
    with pytest.raises(RunFolderError, match="exists; continue it with --resume"):
        run(tmp_path)
    assert (tmp_path / "rows.jsonl").read_bytes() == before


def test_resume_skips_what_is_finished_and_plays_failed_rows_again(tmp_path):
    run(tmp_path, tasks=TASKS[:5])
    model = mixed(broken=False)
    again = run(tmp_path, model, resume=True)
    assert [(row.id, row.outcome) for row in again] == [("4", "accepted"), ("5", "accepted")]
    assert {call.user for call in model.asked("sample")} == {"Wie heißt 4?", "Wie heißt 5?"}
    rows = check_files_agree(tmp_path)
    assert sorted(row.id for row in rows) == [task.id for task in TASKS]
    assert sorted(file.name for file in tmp_path.iterdir()) == FILES


def test_a_finished_run_resumed_plays_nothing(tmp_path):
    run(tmp_path, mixed(broken=False))
    before = (tmp_path / "rows.jsonl").read_bytes()
    model = mixed(broken=False)
    assert run(tmp_path, model, resume=True) == []
    assert model.calls == []
    assert (tmp_path / "rows.jsonl").read_bytes() == before


@pytest.mark.parametrize("cut", [1, 5, "ü"])
def test_a_line_torn_by_a_kill_is_dropped_and_its_task_played_again(tmp_path, cut):
    run(tmp_path, tasks=TASKS[:3])
    data = (tmp_path / "rows.jsonl").read_bytes()
    torn = data[: data.rindex("ü".encode()) + 1] if cut == "ü" else data[: -cut - 1]
    (tmp_path / "rows.jsonl").write_bytes(torn)
    again = run(tmp_path, tasks=TASKS[:3], resume=True)
    assert [row.id for row in again] == ["2"]
    assert [row.id for row in check_files_agree(tmp_path)] == ["0", "1", "2"]


def test_a_kill_between_two_files_is_mended(tmp_path):
    run(tmp_path, tasks=TASKS[:3])
    (tmp_path / "pairs.jsonl").unlink()
    run(tmp_path, tasks=TASKS[:3], resume=True)
    assert [row["id"] for row in lines(tmp_path, "pairs.jsonl")] == ["0", "1", "2"]


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    run(tmp_path, tasks=TASKS[:3])
    data = (tmp_path / "rows.jsonl").read_bytes().split(b"\n")
    (tmp_path / "rows.jsonl").write_bytes(b"\n".join([data[0], b"{}", data[2], b""]))
    with pytest.raises(RunFolderError, match=r"rows\.jsonl, line 2 is no row"):
        run(tmp_path, resume=True)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"threshold": 7}, r"threshold \(8.0 then, 7.0 now\)"),
        ({"seed": 1}, r"seed \(0 then, 1 now\)"),
        ({"judge": "evidence"}, "judge's model"),
    ],
)
def test_another_experiment_in_the_same_folder_is_refused(tmp_path, values, words):
    run(tmp_path)
    with pytest.raises(RunFolderError, match=words):
        run(tmp_path, resume=True, **values)


def test_another_player_in_the_same_folder_is_refused(tmp_path):
    class Other(Scripted):
        pass

    run(tmp_path)
    with pytest.raises(RunFolderError, match=r"target's model \('Scripted' then, 'Other' now\)"):
        run(tmp_path, resume=True, target=Other())


def test_settings_that_decide_nothing_may_change_on_resume(tmp_path):
    run(tmp_path, tasks=TASKS[:2])
    assert len(run(tmp_path, tasks=TASKS[:3], resume=True, concurrency=5)) == 1


def test_there_must_be_something_to_resume(tmp_path):
    with pytest.raises(RunFolderError, match="holds no run to resume; leave out --resume"):
        run(tmp_path / "new", resume=True)


@pytest.mark.parametrize(
    ("name", "text"), [("settings.json", "{"), ("settings.json", '{"old": 1}'), ("run.json", "{}")]
)
def test_a_folder_of_another_version_is_refused(tmp_path, name, text):
    run(tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(RunFolderError, match="not of this version or damaged"):
        run(tmp_path, resume=True)


class FullDisk:
    """Lets some writes to run folders pass and then says what a full disk says."""

    def __init__(self, monkeypatch, writes):
        self.left = writes
        self.open = Path.open
        monkeypatch.setattr(Path, "open", lambda path, *args, **kwargs: self.opened(path, *args, **kwargs))

    def opened(self, path, mode="r", *args, **kwargs):
        if mode == "ab":
            self.left -= 1
            if self.left < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
        return self.open(path, mode, *args, **kwargs)


@pytest.mark.parametrize("writes", [4, 5])
def test_a_full_disk_stops_the_run_and_resume_loses_nothing(tmp_path, monkeypatch, writes):
    with monkeypatch.context() as patch:
        FullDisk(patch, writes)
        with pytest.raises(RunFolderError, match="No space left on device; rows written so far are safe"):
            run(tmp_path, mixed(broken=False))
    run(tmp_path, mixed(broken=False), resume=True)
    assert [row.id for row in check_files_agree(tmp_path)] == [task.id for task in TASKS]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="Not a directory"):
        run(tmp_path / "file" / "run")


def test_a_pair_needs_a_task():
    prompts = Prompts(target="", judge="", tools={})
    with pytest.raises(RunFolderError, match="without a task"):
        pair_row(Row(id="1", outcome="accepted", rounds=[Round(number=1, prompts=prompts)]))
