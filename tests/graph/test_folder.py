import json

import datasets
import pytest

from anyprefer.core.errors import RunFolderError, RunStopped
from anyprefer.core.records import Prompts, Round, Row
from anyprefer.graph.runs.row_files import pair_row, read_rows
from tests.folder import IDS, TASKS, always_broken, check, lines, mixed, note, python, run
from tests.scripted import Scripted

FILES = ["README.md", "failed.jsonl", "ledger.db", "pairs.jsonl", "rows.jsonl", "run.json", "settings.json"]


def test_a_run_folder_holds_every_row_and_what_was_run(tmp_path):
    rows = run(tmp_path / "deep" / "run", seed=4)
    path = tmp_path / "deep" / "run"
    assert sorted(file.name for file in path.iterdir()) == FILES
    assert check(path) == sorted(rows, key=lambda row: row.outcome == "failed")
    kept = note(path)
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


def test_the_same_call_skips_what_is_finished_and_plays_failed_rows_again(tmp_path):
    run(tmp_path, tasks=TASKS[:5])
    assert [row["id"] for row in lines(tmp_path, "failed.jsonl")] == ["4"]
    before = (tmp_path / "rows.jsonl").read_bytes()
    model = mixed(broken=False)
    again = run(tmp_path, model)
    assert [(row.id, row.outcome) for row in again] == [("4", "accepted"), ("5", "accepted")]
    assert {call.user for call in model.asked("sample")} == {"Wie heißt 4?", "Wie heißt 5?"}
    assert sorted(row.id for row in check(tmp_path)) == [task.id for task in TASKS]
    assert (tmp_path / "rows.jsonl").read_bytes().startswith(before)
    assert lines(tmp_path, "failed.jsonl") == []


@pytest.mark.parametrize("values", [{}, {"format": "jsonl:1"}, {"format": "parquet"}])
def test_a_failed_row_stays_until_a_new_one_takes_its_place(tmp_path, values):
    run(tmp_path, always_broken("1", "4"), **values)
    assert run(tmp_path, tasks=TASKS[:1], **values) == []  # does not come to the failed tasks
    assert [row.id for row in check(tmp_path) if row.outcome == "failed"] == ["1", "4"]
    run(tmp_path, always_broken("4"), **values)
    assert [row.id for row in check(tmp_path) if row.outcome == "failed"] == ["4"]
    assert sorted(row.id for row in check(tmp_path)) == IDS


KILLS = {
    "before the failed row goes": "from anyprefer.graph.runs.ledger import Ledger; Ledger.close = lambda ledger: os._exit(9)",
    "before the file is replaced": """
from pathlib import Path
replace = Path.replace
Path.replace = lambda path, to: os._exit(9) if path.name.startswith("failed") else replace(path, to)""",
}


@pytest.mark.parametrize("when", KILLS)
def test_a_kill_while_a_failed_row_is_replaced_leaves_one_row_a_task(tmp_path, when):
    run(tmp_path, always_broken("1", "4"))
    killed = "from tests.folder import TASKS, always_broken, run; run(sys.argv[1], always_broken('4'), TASKS[:2])"
    assert python(f"import os, sys\n{KILLS[when]}\n{killed}", tmp_path).returncode == 9
    run(tmp_path, tasks=TASKS[:1])
    rows = {row.id: row.outcome for row in check(tmp_path)}
    assert rows == {name: {"4": "failed", "3": "rejected"}.get(name, "accepted") for name in IDS}


def test_a_finished_run_plays_nothing(tmp_path):
    run(tmp_path, mixed(broken=False))
    before = (tmp_path / "rows.jsonl").read_bytes()
    model = mixed(broken=False)
    assert run(tmp_path, model) == []
    assert model.calls == []
    assert (tmp_path / "rows.jsonl").read_bytes() == before
    assert note(tmp_path)["counts"] == {"accepted": 5, "rejected": 1, "failed": 0}


def test_a_damaged_line_is_named(tmp_path):
    run(tmp_path, tasks=TASKS[:3])
    data = (tmp_path / "rows.jsonl").read_bytes().split(b"\n")
    (tmp_path / "rows.jsonl").write_bytes(b"\n".join([data[0], b"{}".ljust(len(data[1])), data[2], b""]))
    with pytest.raises(RunFolderError, match=r"rows\.jsonl, line 2 is no row"):
        list(read_rows(tmp_path))


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
        run(tmp_path, **values)


def test_another_player_in_the_same_folder_is_refused(tmp_path):
    class Other(Scripted):
        pass

    run(tmp_path)
    with pytest.raises(RunFolderError, match=r"target's model \('Scripted' then, 'Other' now\)"):
        run(tmp_path, target=Other())


def test_settings_that_decide_nothing_may_change(tmp_path):
    run(tmp_path, tasks=TASKS[:2])
    assert len(run(tmp_path, tasks=TASKS[:3], concurrency=5, retries=1)) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("settings.json", "{"),
        ("settings.json", '{"old": 1}'),
        ("run.json", "{}"),
        ("run.json", '{"models": {}, "source": "", "seconds": null}'),
        ("run.json", '{"models": {}, "source": "", "started": 3}'),
    ],
)
def test_a_folder_of_another_version_is_refused(tmp_path, name, text):
    run(tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(RunFolderError, match="not of this version or damaged"):
        run(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="Not a directory"):
        run(tmp_path / "file" / "run")


def test_a_pair_needs_a_task():
    prompts = Prompts(target="", judge="", tools={})
    with pytest.raises(RunFolderError, match="without a task"):
        pair_row(Row(id="1", outcome="accepted", rounds=[Round(number=1, prompts=prompts)]))


def test_a_folder_without_a_row_can_be_used_again_with_other_settings(tmp_path):
    refusing = Scripted(sample=RunStopped("the key is refused"))
    with pytest.raises(RunStopped, match="the key is refused"):
        run(tmp_path, refusing)
    assert len(run(tmp_path, mixed(), threshold=7)) == len(TASKS)
    assert json.loads((tmp_path / "settings.json").read_text())["threshold"] == 7
