"""The commands as a user types them, against a local server that plays every role."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from typer.testing import CliRunner

from anyprefer.graph.cli import app, summary
from anyprefer.graph.cli.count import count_rows
from anyprefer.graph.cli.progress import progress
from anyprefer.graph.cli.synth import default_folder
from anyprefer.graph.errors import RunFolderError, TrainingError
from tests.server import OpenAIServer

SUMS = [{"question": f"What is {n} + {2 * n}?", "gold": str(3 * n)} for n in range(10, 18)]
PAIR = {
    "prompt": [{"role": "user", "content": "2 + 2?"}],
    "chosen": [{"role": "assistant", "content": "4"}],
    "rejected": [{"role": "assistant", "content": "5"}],
}
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
ANYPREFER = [sys.executable, "-c", "from anyprefer.graph.cli import main; main()"]


@pytest.fixture(scope="module")
def model():
    with OpenAIServer() as server:
        yield f"openai:any@{server.url}"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    write("sums.jsonl", SUMS)


def write(name, rows):
    Path(name).write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def synth(model, *arguments, source="sums.jsonl"):
    players = ("--target", model, "--judge", model, "--tools", "calculator", "--candidates", 3, "--max-rounds", 2)
    return run("synth", source, "--column", "prompt=question", *players, *arguments)


def counts(folder):
    return json.loads((Path(folder) / "run.json").read_text())["counts"]


def refused(result, code=2):
    """The one line a command ended with."""
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("error: ").strip()


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
    for name in ("pairs.jsonl", "failures.jsonl", "rows.jsonl"):
        assert f"runs/sums/{name}" in result.stdout
        assert Path("runs/sums", name).exists()
    assert not CONTROL.search(result.stdout)


def test_a_run_folder_is_never_overwritten_and_resumed_on_request(model):
    assert synth(model, "--limit", 3, "--out", "runs/r").exit_code == 0
    before = Path("runs/r/rows.jsonl").read_text()
    assert "run folder runs/r exists; continue it with --resume" in refused(synth(model, "--out", "runs/r"))
    assert Path("runs/r/rows.jsonl").read_text() == before
    changed = refused(synth(model, "--out", "runs/r", "--resume", "--threshold", 7))
    assert "made with other settings: threshold (8.0 then, 7.0 now)" in changed
    result = synth(model, "--out", "runs/r", "--resume")
    assert result.exit_code == 0
    assert "8 rows, 3 finished before" in result.stdout
    assert Path("runs/r/rows.jsonl").read_text().startswith(before)
    assert sum(counts("runs/r").values()) == 8
    assert "holds no run to resume" in refused(synth(model, "--out", "runs/new", "--resume"))


def test_a_partly_bad_file_is_played_and_says_so(model):
    write("bad.jsonl", [*SUMS, "not json", {"q": "?"}])
    result = synth(model, source="bad.jsonl")
    assert result.exit_code == 0
    assert counts("runs/bad")["failed"] == 2
    assert "bad.jsonl, line 9: not JSON" in result.stdout
    assert "no column 'question'; it has: q" in result.stdout
    assert "2 failed: mend what the reasons name" in result.stdout
    write("bad.jsonl", [*SUMS, {"question": "What is 1 + 2?"}, {"question": "What is 5 + 5?"}])
    assert synth(model, "--resume", source="bad.jsonl").exit_code == 0
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
        (["--target", "nonsense"], "unknown model 'nonsense'; use openai:NAME"),
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
    from anyprefer.graph.folder import RunFolder

    def full(self, row):
        raise RunFolderError("the disk is full;\nmend it")

    monkeypatch.setattr(RunFolder, "write", full)
    assert refused(synth(model), code=1) == "the disk is full; mend it"


def test_usage_errors_are_exit_code_2():
    assert run("synth").exit_code == 2
    assert run("synth", "sums.jsonl", "--limit", "0").exit_code == 2
    assert run("synth", "sums.jsonl", "--candidates", "many").exit_code == 2
    assert run("sinth").exit_code == 2
    assert run().exit_code == 2


def test_an_interrupted_run_says_what_is_safe_and_goes_on(model):
    write("many.jsonl", [{"prompt": f"What is {n} + 5?"} for n in range(2000)])
    command = [*ANYPREFER, "synth", "many.jsonl", "--target", model, "--judge", model, "--tools", "calculator"]
    environment = {**os.environ, "NO_COLOR": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        until = time.monotonic() + 60
        while not Path("runs/many/rows.jsonl").exists() and time.monotonic() < until:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == (
        "stopped: the rows finished so far are safe in runs/many; go on with the same command and --resume\n"
    )
    assert not CONTROL.search(output)
    kept = len(Path("runs/many/rows.jsonl").read_text().splitlines())
    assert sum(counts("runs/many").values()) == kept > 0
    again = subprocess.run(
        [*command, "--resume", "--limit", str(kept + 3)], capture_output=True, text=True, timeout=120
    )
    assert again.returncode == 0, again.stderr
    assert "finished before" in again.stdout


def test_tools_lists_all_with_their_origin():
    rows = {row["name"]: row for row in json.loads(run("tools", "--json").stdout)}
    search = rows["knowledge_search"]
    assert search["looks_at"] == "task"
    assert search["arguments"] == {"query": None}
    assert search["options"] == {"corpus": "", "k": 3}
    assert search["from"] == "tools/knowledge_search.py"
    assert rows["calculator"]["looks_at"] == "candidate"
    assert rows["calculator"]["what"].endswith(".")
    shown = run("tools").stdout
    for row in rows.values():
        assert row["name"] in shown
        assert row["what"] in shown


def test_a_tool_from_another_package_names_its_entry_point(monkeypatch):
    from langchain_core.tools import tool

    @tool
    def shout(query: str) -> str:
        """Says it louder. And louder."""
        return query.upper()

    point = SimpleNamespace(name="shout", value="other_package:shout", load=lambda: shout)
    monkeypatch.setattr("anyprefer.graph.cli.show.entry_points", lambda group: [point])
    monkeypatch.setattr("anyprefer.tools.registry.entry_points", lambda group: [point])
    rows = {row["name"]: row for row in json.loads(run("tools", "--json").stdout)}
    assert rows["shout"]["from"] == "other_package:shout"
    assert rows["shout"]["what"] == "Says it louder."
    assert rows["calculator"]["from"] == "tools/calculator.py"


def test_graph_draws_the_game():
    result = run("graph")
    assert result.exit_code == 0
    assert "reward -.-> update_prompts;" in result.stdout
    assert "mermaid.live" in result.stderr
    assert run("graph", "--out", "game.mmd").stdout == ""
    assert Path("game.mmd").read_text() == result.stdout
    assert "cannot be written" in refused(run("graph", "--out", "no/such/folder.mmd"))


def test_train_passes_preset_and_flags(monkeypatch):
    seen = {}

    def fake(pairs, base, output, settings):
        seen.update(pairs=pairs, base=base, output=output, settings=settings)
        return SimpleNamespace(
            trained=4,
            losses=(0.693, 0.5),
            metrics={"rewards/margins": 0.25, "loss": 1},
            seconds=2.0,
            adapter=str(output),
        )

    monkeypatch.setattr("anyprefer.training.dpo.train", fake)
    write("pairs.jsonl", [PAIR])
    result = run("train", "pairs.jsonl", "--base", "hf:org/model", "--out", "models/a", "--beta", "0.3")
    assert result.exit_code == 0, result.output
    assert (seen["pairs"], seen["base"], seen["output"]) == (["pairs.jsonl"], "org/model", Path("models/a"))
    assert (seen["settings"].beta, seen["settings"].lora_r) == (0.3, 128)
    assert "0.693 → 0.500" in result.stdout
    assert "rewards/margins" in result.stdout
    assert "--target hf:models/a" in result.stdout
    run("train", "pairs.jsonl", "--base", "smollm2", "--out", "models/b")
    assert seen["settings"].lora_r == 16
    two = ("--loss-type", "sigmoid,sft", "--loss-weights", "1,0.5")
    run("train", "pairs.jsonl", "--base", "smollm2", "--out", "models/b", "--preset", "paper", *two)
    assert (seen["settings"].loss_type, seen["settings"].loss_weights) == (("sigmoid", "sft"), (1.0, 0.5))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["sums.jsonl"], "sums.jsonl, line 1"),
        (["pairs.jsonl", "--out", "taken"], "taken exists; choose another folder with --out"),
        (["pairs.jsonl", "--preset", "papr"], "unknown preset 'papr'"),
        (["pairs.jsonl", "--beta", "0"], "training setting 'beta'"),
    ],
)
def test_train_refuses_in_one_line(arguments, said):
    write("pairs.jsonl", [PAIR])
    Path("taken").mkdir()
    Path("taken/file").touch()
    assert said in refused(run("train", "--out", "models/a", *arguments, "--base", "smollm2"))


def test_a_training_that_diverges_is_exit_code_1(monkeypatch):
    def diverging(*arguments, **values):
        raise TrainingError("the loss is no longer a number; lower the learning rate")

    monkeypatch.setattr("anyprefer.training.dpo.train", diverging)
    write("pairs.jsonl", [PAIR])
    result = run("train", "pairs.jsonl", "--base", "smollm2", "--out", "models/a")
    assert refused(result, code=1).startswith("the loss is no longer a number")


def test_ctrl_c_is_exit_code_130(monkeypatch):
    def interrupted(*arguments, **values):
        raise KeyboardInterrupt

    monkeypatch.setattr("anyprefer.training.dpo.train", interrupted)
    write("pairs.jsonl", [PAIR])
    result = run("train", "pairs.jsonl", "--base", "smollm2", "--out", "models/a")
    assert result.exit_code == 130
    assert result.stderr == "stopped: nothing was saved in models/a; the same command starts again\n"


def test_evaluate_compares_models(model):
    files = ("--column", "prompt=question", "--column", "reference=gold")
    result = run("evaluate", "sums", "sums.jsonl", "--model", model, *files, "--limit", 6, "--answers", "answers")
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines() if model in line]
    assert [row[0] for row in rows] == ["sums", "sums.jsonl"]
    assert all(int(row[3]) == 6 for row in rows)
    assert all(len(file.read_text().splitlines()) == 6 for file in Path("answers").iterdir())
    assert len(list(Path("answers").iterdir())) == 2


def test_evaluate_without_any_answer_is_exit_code_1(model):
    with OpenAIServer(0, "401") as refusing:
        result = run("evaluate", "sums", "--model", f"openai:x@{refusing.url}", "--limit", 2)
    assert result.exit_code == 1
    assert "unscored: openai:x" in result.stdout
    assert "unknown model 'gpt-4o'" in refused(run("evaluate", "sums", "--model", model, "--model", "gpt-4o"))
    assert "no reference" in refused(run("evaluate", "sums.jsonl", "--model", model, "--column", "prompt=question"))


def test_rows_are_counted_where_they_can_be():
    write("blank.jsonl", ["{}", "", "{}"])
    Path("torn.jsonl").write_text('{"a": 1}\n{"a"')
    Path("list.json").write_text("[1, 2, 3]")
    Path("rows.csv").write_text('q,a\n"two\nlines",1\n3,4\n')
    Path("broken.parquet").write_text("no")
    found = {name: count_rows(name) for name in ("blank.jsonl", "torn.jsonl", "list.json", "rows.csv")}
    assert found == {"blank.jsonl": 3, "torn.jsonl": 2, "list.json": 3, "rows.csv": 2}
    assert count_rows("broken.parquet") is count_rows("missing.jsonl") is count_rows("hub:a/b") is None
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"q": [1, 2]}), "rows.parquet")
    assert count_rows("rows.parquet") == 2


def test_the_default_folder_is_named_after_the_input():
    assert default_folder("data/sums.v2.jsonl") == Path("runs/sums.v2")
    assert default_folder("sums.jsonl.gz") == Path("runs/sums")
    assert default_folder("hub:openai/gsm8k:main:test") == Path("runs/gsm8k-main-test")
    assert default_folder("hub:squad") == Path("runs/squad")


def test_plain_progress_is_lines_and_live_progress_is_a_bar():
    rows = [SimpleNamespace(outcome=outcome) for outcome in ("accepted", "rejected", "failed")]
    plain = Console(file=io.StringIO(), width=200)
    with progress(plain, rows=10, kept=4, every=0) as on_row:
        for row in rows:
            on_row(row)
    first, *_, last = plain.file.getvalue().splitlines()
    assert first == "10 rows, 4 finished before"
    assert re.fullmatch(r"7 of 10: 1 accepted, 1 rejected, 1 failed; \S+ rows/s, 0 min left", last)
    for total, shown in ((10, "3/10"), (None, "3 rows")):
        live = Console(file=io.StringIO(), force_terminal=True, width=100)
        with progress(live, rows=total) as on_row:
            for row in rows:
                on_row(row)
        assert shown in live.file.getvalue()


def test_reasons_that_differ_in_numbers_are_one():
    reasons = summary.Reasons()
    for score in (3, 4.5, 6):
        reasons.add("rejected", f"reward {score} below 8 after 3 rounds")
    for number in range(8):
        reasons.add("failed", f"{'x' * number} broke; the model said: 'whatever {number}'")
    assert reasons.counts.most_common(1) == [(("rejected", "reward … below … after … rounds"), 3)]
    table = reasons.shown("Why", "outcome")
    assert table.row_count == summary.MOST + 1
    console = Console(file=io.StringIO(), width=100)
    console.print(table)
    text = console.file.getvalue()
    assert "3  rejected  reward 3 below 8 after 3 rounds" in text
    assert re.search(r"^ +3 +other reasons", text, re.MULTILINE)
    assert "said" not in text
    assert Counter(text.split())["broke"] == 5
