"""Runs that are cut and gone on with: nothing is lost, nothing is doubled, nothing is asked twice."""

import asyncio
import errno
import os
import re
import signal
import sqlite3
import subprocess
import time
from collections import Counter

import pytest

from anyprefer.core.errors import ModelSetupError, RunFolderError
from anyprefer.core.records import Usage
from anyprefer.graph import Task, asynth
from anyprefer.graph.runs import shards
from anyprefer.graph.runs.ledger import Ledger
from anyprefer.graph.runs.ledger_tables import Tasks
from anyprefer.graph.runs.shards import Shards
from anyprefer.models.calls import Spending
from tests.command_line import ANYPREFER, write
from tests.folder import IDS, KILL, TASKS, begin, check, lines, mixed, note, python, run
from tests.scripted import Scripted, scores
from tests.server import OpenAIServer


def sound(**script):
    """Answers that depend on the question alone, so that questions can be compared between runs."""
    return Scripted(**{"sample": lambda call: str(call.seed), **script})


def questions(*models):
    """How often each question was asked."""
    return Counter((c.role, c.user, str(c.settings)) for model in models for c in model.calls)


def test_a_run_cut_by_an_error_asks_no_question_again(tmp_path):
    def reward(call):
        if "3?" in call.user:
            raise ModelSetupError("the weights are gone")
        return "9/10"

    cut, model = sound(reward=reward), sound()
    with pytest.raises(ModelSetupError):
        run(tmp_path, cut)
    assert sorted(row.id for row in check(tmp_path, spent_on_rows_only=False)) == ["0", "1", "2"]
    assert [row.id for row in run(tmp_path, model)] == ["3", "4", "5"]
    assert [call.role for call in model.calls if "3?" in call.user] == ["reward"]
    assert sorted(row.id for row in check(tmp_path)) == IDS


def test_breaking_out_of_the_stream_loses_no_answer(tmp_path):
    cut, model = sound(), sound()
    rows = begin(tmp_path, cut, concurrency=3)
    first = next(rows)
    rows.close()
    again = run(tmp_path, model)
    assert first.id not in {row.id for row in again}
    asked_twice = sum(questions(cut, model).values()) - len(questions(cut, model))
    assert asked_twice <= 2 * 2  # at most what the two other tasks had in flight
    assert sorted(row.id for row in check(tmp_path)) == IDS


async def test_a_cancelled_run_asks_only_what_was_in_flight_again(tmp_path):
    stuck = []

    async def judge(call):
        stuck.append(call)
        await asyncio.Event().wait()

    async def rows(model):
        given = {"target": model, "judge": model, "tools": [], "candidates": 2, "max_rounds": 1, "concurrency": 4}
        return [row async for row in asynth(TASKS, folder=tmp_path, **given)]

    cut, model = sound(judge=judge), sound()
    cancelled = asyncio.create_task(rows(cut))
    while len(stuck) < 4:
        await asyncio.sleep(0.01)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert note(tmp_path)["counts"] == {"accepted": 0, "rejected": 0, "failed": 0}
    assert len(await rows(model)) == 6
    twice = [question[0] for question, times in questions(cut, model).items() if times > 1]
    assert twice == ["judge"] * 4
    check(tmp_path)


def test_a_killed_process_is_gone_on_with_and_asks_only_what_was_in_flight_again(tmp_path):
    write(tmp_path / "tasks.jsonl", [{"prompt": f"What is {n} + {n * 7 % 13}?"} for n in range(60)])
    path = tmp_path / "run"
    with OpenAIServer() as server:
        model = f"openai:any@{server.url}"
        players = ("--target", model, "--judge", model, "--tools", "calculator", "--candidates", 3, "--max-rounds", 2)
        values = ("--concurrency", 10, "--connections", 8, "--leave-out", "n")
        command = [*ANYPREFER, "synth", tmp_path / "tasks.jsonl", "--out", path, *players, *values]
        command = [str(part) for part in command]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            until = time.monotonic() + 60
            while not (path / "rows.jsonl").exists() and time.monotonic() < until:
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=100)
        asked = Counter((r["role"], r["user"], r["system"], r.get("seed")) for r in server.requests)
    assert sum(asked.values()) - len(asked) <= 8
    assert len(check(path)) == 60


@pytest.mark.parametrize("after", [0, 2, 5])
def test_a_kill_between_the_row_files_and_the_commit_is_mended(tmp_path, after):
    assert python(KILL, tmp_path, after, "{}").returncode == 9
    assert len(lines(tmp_path, "rows.jsonl")) == after + 1  # the last line is not committed
    again = run(tmp_path, mixed(broken=False))
    assert [row.id for row in again] == IDS[after + 1 :]  # which is taken in
    assert [row.id for row in check(tmp_path)] == IDS


def test_a_commit_that_fails_leaves_the_files_as_they_were(tmp_path, monkeypatch):
    write_rows = Ledger._write_rows

    def failing(self, rows):
        if any(row.id == "2" for row in rows):
            raise sqlite3.OperationalError("disk I/O error")
        write_rows(self, rows)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "_write_rows", failing)
        with pytest.raises(RunFolderError, match="cannot be written: disk I/O error; rows and answers kept so far"):
            run(tmp_path, mixed(broken=False))
    assert [row["id"] for row in lines(tmp_path, "rows.jsonl")] == ["0", "1"]
    assert [row.id for row in run(tmp_path, mixed(broken=False))] == IDS[2:]
    assert [row.id for row in check(tmp_path)] == IDS


async def test_an_item_that_cannot_be_kept_fails_alone(tmp_path):
    ledger = Ledger(tmp_path / "ledger.db", Shards(tmp_path), str)
    spent = [Spending("sample", 1, Usage(calls=1, input_tokens=tokens)) for tokens in (1, 2**63, 3)]
    kept = [ledger.keep_act("t", str(number), b"x", one) for number, one in enumerate(spent)]
    assert [type(result) for result in await asyncio.gather(*kept, return_exceptions=True)] == [
        type(None), OverflowError, type(None)
    ]  # fmt: skip
    assert (sorted(ledger.known("t")), ledger.total().input_tokens) == (["0", "2"], 4)
    ledger.settle()
    ledger.close()


def test_row_files_are_on_the_disk_before_the_commit_that_names_them(tmp_path, monkeypatch):
    sync, put, seen = os.fsync, Tasks.put, []
    monkeypatch.setattr(shards.os, "fsync", lambda file: (seen.append(os.fstat(file).st_size), sync(file)))
    monkeypatch.setattr(Tasks, "put", lambda tasks, rows: (seen.extend(row.id for row in rows), put(tasks, rows)))
    run(tmp_path, mixed(broken=False), TASKS[:1])
    assert seen.index("0") > seen.index((tmp_path / "rows.jsonl").stat().st_size)
    assert seen.index("0") > seen.index((tmp_path / "pairs.jsonl").stat().st_size)


@pytest.mark.parametrize("tail", [b'{"id": "2", "outc', b"\xc3", b'{"id": "9"}\n' * 3])
def test_bytes_that_were_not_committed_are_cut_off(tmp_path, tail):
    run(tmp_path, tasks=TASKS[:3])
    for name in ("rows.jsonl", "pairs.jsonl"):
        with (tmp_path / name).open("ab") as file:
            file.write(tail)
    model = mixed()
    assert [row.id for row in begin(tmp_path, model, TASKS[:3])] == ["0", "1", "2"]
    assert model.calls == []
    assert [row.id for row in check(tmp_path)] == ["0", "1", "2"]


@pytest.mark.parametrize("name", ["rows.jsonl", "pairs.jsonl"])
@pytest.mark.parametrize("removed", [True, False])
def test_a_file_shorter_than_committed_is_refused_by_name(tmp_path, name, removed):
    run(tmp_path, tasks=TASKS[:3])
    file = tmp_path / name
    if removed:
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(RunFolderError, match=rf"{re.escape(name)} is shorter than the ledger says"):
        run(tmp_path, tasks=TASKS[:3])


@pytest.mark.parametrize(("version", "mend"), [(99, "update Anyprefer"), (0, "use the Anyprefer that made it")])
def test_a_ledger_of_another_version_is_refused(tmp_path, version, mend):
    run(tmp_path, tasks=TASKS[:1])
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute("UPDATE meta SET value = ? WHERE name = 'version'", (version,))
    db.close()
    for _ in range(2):  # the first refusal does not hold the file
        with pytest.raises(RunFolderError, match=f"has schema version {version}.*{mend}"):
            run(tmp_path)


def test_a_second_process_on_the_same_folder_is_refused(tmp_path):
    rows = begin(tmp_path)
    next(rows)
    other = python("import sys; from tests.folder import run; run(sys.argv[1])", tmp_path)
    assert "is being written by another run; wait for it, or close its stream" in other.stderr
    assert 1 + len(list(rows)) == 6
    check(tmp_path)


LIMITED = """
import resource, sys
from tests.folder import run, mixed
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
run(sys.argv[1], mixed(broken=False), concurrency=2)
"""


@pytest.mark.parametrize("size", [3_000, 6_000, 20_000, 40_000])
def test_a_full_disk_stops_the_run_and_going_on_loses_nothing(tmp_path, size):
    full = python(LIMITED, tmp_path / "run", size)
    assert "cannot be written" in full.stderr, full.stderr
    assert "anyprefer.core.errors.RunFolderError: run folder" in full.stderr
    run(tmp_path / "run", mixed(broken=False))
    assert sorted(row.id for row in check(tmp_path / "run")) == IDS


def test_a_read_only_folder_ends_the_run_cleanly(tmp_path, monkeypatch):
    def read_only(*arguments, **more):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr(shards, "open_file", read_only)
        with pytest.raises(RunFolderError, match="cannot be written: Read-only file system"):
            run(tmp_path, mixed(broken=False))
    model = mixed(broken=False)
    assert len(run(tmp_path, model)) == 6
    assert model.asked("sample")[0].user == "Wie heißt 1?"  # the first task has all its answers
    assert len(check(tmp_path)) == 6


def test_another_row_under_a_known_id_is_refused(tmp_path):
    run(tmp_path, tasks=TASKS[:2])
    changed = [TASKS[0], TASKS[1].model_copy(update={"prompt": "Another?"})]
    with pytest.raises(RunFolderError, match=r"task '1' is not the one .* the input was changed since"):
        run(tmp_path, tasks=changed)
    changed[1] = TASKS[1].model_copy(update={"reference": "x"})
    with pytest.raises(RunFolderError, match="task '1' is not the one"):
        run(tmp_path, tasks=changed)
    assert run(tmp_path, tasks=TASKS[:2]) == []


def test_another_input_is_refused_by_name(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / f"{name}.jsonl", [{"prompt": "2 + 2?"}])
    run(tmp_path / "run", tasks=tmp_path / "a.jsonl")
    with pytest.raises(RunFolderError, match=r"input \('a.jsonl' then, 'b.jsonl' now\)"):
        run(tmp_path / "run", tasks=tmp_path / "b.jsonl")
    assert run(tmp_path / "run", tasks=tmp_path / "a.jsonl") == []


def test_a_failed_task_repeats_only_the_call_that_failed(tmp_path):
    def reward(call):
        if "1?" in call.user:
            raise RuntimeError("out")
        return "9/10"

    failing = sound(reward=reward)
    assert [row.outcome for row in run(tmp_path, failing, tasks=TASKS[:2])] == ["accepted", "failed"]
    model = sound()
    assert [row.outcome for row in run(tmp_path, model, tasks=TASKS[:2])] == ["accepted"]
    assert [call.role for call in model.calls] == ["reward"]
    [_, row] = check(tmp_path)
    assert {role: used.calls for role, used in row.usage.items()} == {"judge": 1, "reward": 1, "sample": 2}


def test_a_task_whose_answer_could_not_be_parsed_is_asked_anew(tmp_path):
    [row] = run(tmp_path, sound(judge="no scores"), tasks=TASKS[:1])
    assert (row.outcome, row.reason[:11]) == ("failed", "AnswerError")
    model = sound()
    assert [row.outcome for row in run(tmp_path, model, tasks=TASKS[:1])] == ["accepted"]
    assert len(model.asked("judge")) == 1
    check(tmp_path, spent_on_rows_only=False)


def test_answers_of_finished_tasks_are_not_kept(tmp_path):
    def judge(call):
        if "4?" in call.user:
            raise RuntimeError("out")
        return scores(9, 1)

    run(tmp_path, sound(judge=judge))
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        assert {task for (task,) in db.execute("SELECT task FROM acts")} == {"4"}
        assert db.execute("SELECT COUNT(*) FROM tasks").fetchone() == (6,)
    db.close()


def test_a_task_with_the_same_prompt_has_answers_of_its_own(tmp_path):
    same = [Task(id=name, prompt="2 + 2?") for name in ("a", "b")]
    model = sound()
    run(tmp_path, model, tasks=same)
    assert len(model.asked("judge")) == 2
