"""`anyprefer synth` as a user types it, against a local server that plays every role."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from anyprefer.core.errors import RunFolderError
from tests.command_line import ANYPREFER, CONTROL, SUMS, counts, refused, run, synth, write
from tests.folder import check
from tests.server import OpenAIServer

pytestmark = pytest.mark.usefixtures("here")


def test_synth_plays_reports_and_says_what_comes_next(model):
    result = synth(model)
    assert result.exit_code == 0, result.output
    found = counts("runs/sums")
    assert sum(found.values()) == 8
    assert found["accepted"]
    assert found["rejected"]
    said = f"8 rows in runs/sums: {found['accepted']} accepted, {found['rejected']} rejected, 0 failed"
    assert said in result.stdout.splitlines()
    assert re.search(rf"{found['rejected']}  rejected  reward \d below 8 after 2 rounds", result.stdout)
    assert re.search(r"^sample +any +\d+ +[\d,]+ +[\d,]+", result.stdout, re.MULTILINE)
    assert "next: anyprefer train runs/sums --base hf:YOUR-MODEL --out models/sums" in result.stdout
    for name in ("pairs.jsonl", "rows.jsonl"):
        assert f"runs/sums/{name}" in result.stdout
        assert Path("runs/sums", name).exists()
    assert not CONTROL.search(result.stdout)


def test_the_same_command_goes_on_and_nothing_is_overwritten(model):
    assert synth(model, "--limit", 3, "--out", "runs/r").exit_code == 0
    before = Path("runs/r/rows.jsonl").read_text()
    changed = refused(synth(model, "--out", "runs/r", "--threshold", 7))
    assert "made with other settings: threshold (8.0 then, 7.0 now)" in changed
    write("others.jsonl", SUMS)
    other = refused(synth(model, "--out", "runs/r", source="others.jsonl"))
    assert "input ('sums.jsonl prompt=question' then, 'others.jsonl prompt=question' now)" in other
    assert Path("runs/r/rows.jsonl").read_text() == before
    result = synth(model, "--out", "runs/r")
    assert result.exit_code == 0
    assert "8 rows, 3 finished before" in result.stdout
    assert Path("runs/r/rows.jsonl").read_text().startswith(before)
    assert sum(counts("runs/r").values()) == 8


def test_resume_refuses_to_begin_anew(model):
    assert "holds no run to resume" in refused(synth(model, "--out", "runs/new", "--resume"))
    assert not Path("runs").exists()
    assert synth(model, "--limit", 1).exit_code == 0
    assert synth(model, "--limit", 2, "--resume").exit_code == 0
    assert sum(counts("runs/sums").values()) == 2


def test_a_partly_bad_file_is_played_and_says_so(model):
    write("bad.jsonl", [*SUMS, "not json", {"q": "?"}])
    result = synth(model, source="bad.jsonl")
    assert result.exit_code == 0
    assert counts("runs/bad")["failed"] == 2
    assert "bad.jsonl, line 9: not JSON" in result.stdout
    assert "no column 'question'; it has: q" in result.stdout
    assert "2 failed: fix what the reasons name" in result.stdout
    write("bad.jsonl", [*SUMS, {"question": "What is 1 + 2?"}, {"question": "What is 5 + 5?"}])
    assert synth(model, source="bad.jsonl").exit_code == 0
    assert counts("runs/bad")["failed"] == 0


def test_every_row_failed_is_exit_code_1(model):
    write("all.jsonl", ["nothing", "at all"])
    result = synth(model, source="all.jsonl")
    assert result.exit_code == 1
    assert "2 rows in runs/all: 0 accepted, 0 rejected, 2 failed" in result.stdout
    assert "next:" not in result.stdout


def test_no_pair_accepted_says_what_to_try(model):
    result = synth(model, "--threshold", 10, "--max-rounds", 1)
    assert result.exit_code == 0
    assert "no pair was accepted: try a lower --threshold" in result.stdout


def test_tools_that_fail_are_named(model):
    Path("corpus.jsonl").write_text("no json\n")
    option = ("--tools", "knowledge_search", "--tool-option", "knowledge_search.corpus=corpus.jsonl")
    result = synth(model, *option, "--limit", 2)
    text = result.stdout + result.stderr
    assert "corpus.jsonl, line 1" in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tools", "calculater"], "unknown tool 'calculater'; did you mean 'calculator'?"),
        (["--tool-option", "calculator.x=1"], "tool 'calculator' has no option 'x'"),
        (["--tool-option", "web_search.k=1"], "tool_options names 'web_search', which is not among the tools"),
        (["--target", "nonsense"], "unknown target 'nonsense'; there are: FILE.py:NAME"),
        (["--judge", "openai:gpt-4o"], "needs a key: set OPENAI_API_KEY"),
        (["--target", "replay:nowhere.jsonl"], "nowhere.jsonl"),
        (["--candidates", "1"], "setting 'candidates'"),
        (["--threshold", "10.5"], "setting 'threshold'"),
        (["--pair", "worst"], "worst"),
        (["--column", "question"], "--column 'question' must be FIELD=COLUMN"),
        (["--column", "promp=question"], "'promp' is no task field"),
    ],
)
def test_what_cannot_start_leaves_one_line_and_no_folder(model, arguments, said):
    assert said in refused(synth(model, *arguments))
    assert not Path("runs").exists()


def test_inputs_that_cannot_be_read(model):
    Path("empty.jsonl").touch()
    Path("sums.txt").touch()
    assert refused(synth(model, source="missing.jsonl")).startswith("input missing.jsonl is not a file")
    assert refused(synth(model, source="empty.jsonl")) == "empty.jsonl holds no rows"
    assert "unknown kind '.txt'" in refused(synth(model, source="sums.txt"))
    assert not Path("runs").exists()


def test_an_error_in_the_middle_of_a_run_is_exit_code_1(model, monkeypatch):
    from anyprefer.graph.runs.folder import RunFolder

    async def full(self, row, task, lines):
        raise RunFolderError("the disk is full;\nfix it")

    monkeypatch.setattr(RunFolder, "keep", full)
    assert refused(synth(model), code=1) == "the disk is full; fix it"


def test_a_folder_with_a_short_file_is_repaired_when_asked(model):
    assert synth(model).exit_code == 0
    rows = Path("runs/sums/rows.jsonl")
    rows.write_bytes(rows.read_bytes()[:-10])
    assert "rows.jsonl is shorter" in refused(synth(model))
    assert synth(model, "--repair").exit_code == 0
    assert len(check("runs/sums", spent_on_rows_only=False)) == 8


def test_usage_errors_are_exit_code_2():
    assert run("synth").exit_code == 2
    assert run("synth", "sums.jsonl", "--limit", "0").exit_code == 2
    assert run("synth", "sums.jsonl", "--candidates", "many").exit_code == 2
    assert run("sinth").exit_code == 2
    assert run().exit_code == 2


MANY = ["synth", "many.jsonl", "--tools", "calculator", "--candidates", "3", "--max-rounds", "1"]


def interrupted(model, ready, times):
    """A process that was sent so many Ctrl-Cs once it was `ready`: exit code, standard output, standard error."""
    write("many.jsonl", [{"prompt": f"What is {n} + 5?"} for n in range(5000)])
    command = [*ANYPREFER, *MANY, "--target", model, "--judge", model]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    ) as process:
        until = time.monotonic() + 60
        while not ready() and time.monotonic() < until:
            time.sleep(0.05)
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


def test_ctrl_c_lets_tasks_in_flight_finish_and_the_same_command_goes_on(model):
    path = Path("runs/many")
    code, output, errors = interrupted(model, (path / "rows.jsonl").exists, 1)
    assert code == 130
    heard = r"note: interrupted: \d+ tasks in flight are finished; Ctrl-C again stops at once\n"
    assert re.fullmatch(heard + "stopped: interrupted.*; the same command resumes\n", errors)
    assert not CONTROL.search(output)
    kept = len(check(path))  # every call made belongs to a row
    assert 0 < kept < 5000
    assert f"{kept} rows in runs/many" in output
    again = run(*MANY, "--target", model, "--judge", model, "--limit", kept + 3)
    assert again.exit_code == 0, again.output
    assert f"{kept} finished before" in again.stdout
    assert len(check(path)) == kept + 3


def test_a_second_ctrl_c_stops_at_once():
    with OpenAIServer() as server:
        server.slow_after = 400
        code, _, errors = interrupted(f"openai:any@{server.url}", lambda: len(server.requests) > 410, 2)
    assert code == 130
    assert errors.splitlines()[-1] == "stopped: what is finished is safe in runs/many, the same command resumes"
    assert check("runs/many", spent_on_rows_only=False)
