"""The other commands as a user types them."""

import io
import json
import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from anyprefer.cli import summary
from anyprefer.cli.count import count_rows
from anyprefer.cli.progress import progress
from anyprefer.cli.synth import default_folder
from anyprefer.core.errors import TrainingError
from anyprefer.graph.runs.reasons import Reasons
from tests.command_line import PAIR, refused, run, write
from tests.server import OpenAIServer

pytestmark = pytest.mark.usefixtures("here")


def test_graph_draws_the_game():
    result = run("graph")
    assert result.exit_code == 0
    assert "reward -.-> update_prompts;" in result.stdout
    assert "mermaid.live" in result.stderr
    assert run("graph", "--out", "game.mmd").stdout == ""
    assert Path("game.mmd").read_text() == result.stdout
    assert "cannot be written" in refused(run("graph", "--out", "no/such/folder.mmd"))


def test_train_passes_preset_and_flags(monkeypatch, tiny):
    seen = {}

    def fake(pairs, base, output, settings, form):
        seen.update(pairs=pairs, base=base, output=output, settings=settings)
        told = {"trained": 4, "losses": [0.693, 0.5], "metrics": {"rewards/margins": 0.25, "loss": 1}, "seconds": 2.0}
        output.mkdir(parents=True)
        (output / "anyprefer.json").write_text(json.dumps(told))

    monkeypatch.setattr("anyprefer.training.trainers.dpo.train", fake)
    write("pairs.jsonl", [PAIR])
    result = run("train", "pairs.jsonl", "--base", f"hf:{tiny}", "--out", "models/a", "--beta", "0.3")
    assert result.exit_code == 0, result.output
    assert (seen["pairs"], seen["base"], seen["output"]) == ([Path("pairs.jsonl")], str(tiny), Path("models/a"))
    assert (seen["settings"].beta, seen["settings"].lora_r) == (0.3, 128)
    assert "0.693 → 0.500" in result.stdout
    assert "rewards/margins" in result.stdout
    assert "--target hf:models/a" in result.stdout
    run("train", "pairs.jsonl", "--base", "smollm2", "--out", "models/b")
    assert seen["settings"].lora_r == 16
    two = ("--loss-type", "sigmoid,sft", "--loss-weights", "1,0.5")
    run("train", "pairs.jsonl", "--base", "smollm2", "--out", "models/c", "--preset", "paper", *two)
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

    monkeypatch.setattr("anyprefer.training.trainers.dpo.train", diverging)
    write("pairs.jsonl", [PAIR])
    result = run("train", "pairs.jsonl", "--base", "smollm2", "--out", "models/a")
    assert refused(result, code=1).startswith("the loss is no longer a number")


def test_ctrl_c_is_exit_code_130(monkeypatch):
    def interrupted(*arguments, **values):
        raise KeyboardInterrupt

    monkeypatch.setattr("anyprefer.training.trainers.dpo.train", interrupted)
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
    assert [len(file.read_text().splitlines()) for file in Path("answers").glob("*.jsonl")] == [6, 6]


def test_a_budget_holds_for_all_that_evaluate_asks():
    with OpenAIServer() as server:
        model = f"openai:any@{server.url}"
        command = ("evaluate", "sums", "facts", "--model", model, "--limit", 4, "--answers", "kept")
        stopped = run(*command, "--max-calls", 6)
        assert stopped.exit_code == 1
        assert "the budget of 6 calls is spent" in stopped.stderr
        assert server.calls.total() == 6
        assert run(*command).exit_code == 0
        assert server.calls.total() == 8
        refusal = refused(run("evaluate", "arc_easy", "--model", model, "--max-tokens", 9))
    assert "which keeps no budget; leave one of them out" in refusal


def test_a_budget_holds_for_the_judge_of_analyse():
    write("mine.jsonl", [{"prompt": f"{n}?", "chosen": f"a{n}", "rejected": f"b{n}"} for n in range(4)])
    with OpenAIServer() as server:
        command = ("analyse", "mine.jsonl", "--out", "report", "--judge", f"openai:any@{server.url}")
        stopped = run(*command, "--components", 1, "--max-calls", 2)
        assert "the budget of 2 calls is spent" in stopped.stderr
        assert server.calls.total() == 2


def test_evaluate_without_any_answer_is_exit_code_1(model):
    with OpenAIServer(0, "401") as refusing:
        result = run("evaluate", "sums", "--model", f"openai:x@{refusing.url}", "--limit", 2)
    assert result.exit_code == 1
    assert "refuses every call" in result.stderr
    assert "stopped: nothing was kept of the evaluation" in result.stderr
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
    reasons = Reasons()
    for score in (3, 4.5, 6):
        reasons.add("rejected", f"reward {score} below 8 after 3 rounds")
    for number in range(8):
        reasons.add("failed", f"{'x' * number} broke; the model said: 'whatever {number}'")
    assert reasons.counts.most_common(1) == [(("rejected", "reward … below … after … rounds"), 3)]
    table = summary.reasons_table(reasons, "Why", "outcome")
    assert table.row_count == summary.MOST + 1
    console = Console(file=io.StringIO(), width=100)
    console.print(table)
    text = console.file.getvalue()
    assert "3  rejected  reward 3 below 8 after 3 rounds" in text
    assert re.search(r"^ +3 +other reasons", text, re.MULTILINE)
    assert "said" not in text
    assert Counter(text.split())["broke"] == 5


def test_judge_eval_compares_judges_and_goes_on():
    rows = [
        {"id": str(n), "prompt": f"What is {n} + {n}?", "candidates": [f"It is {2 * n}", f"It is {2 * n + 1}"],
         "correct": [True, False]}
        for n in range(20, 26)
    ]  # fmt: skip
    write("gold.jsonl", rows)
    with OpenAIServer() as server:
        judges = ("--judge", f"openai:any@{server.url}", "--judge", "evidence", "--tools", "calculator")
        result = run("judge-eval", "gold.jsonl", *judges, "--out", "eval", "--limit", 5)
        assert result.exit_code == 0, result.output
        assert server.calls["judge"] == 10
        run("judge-eval", "gold.jsonl", *judges, "--out", "eval")
        assert server.calls["judge"] == 12
    kept = [json.loads(file.read_text()) for file in Path("eval").glob("*/result.json")]
    assert {one["judge_form"]: (one["n"], one["pairs"], one["accuracy"], one["consistency"]) for one in kept} == {
        "listwise": (6, 6, 1, 1),
        "": (6, 6, 1, None),
    }
    assert "any listwise" in result.stdout
    [verdicts] = Path("eval").glob("evidence*/verdicts.jsonl")
    assert len(verdicts.read_text().splitlines()) == 6


def test_judge_eval_says_what_was_not_scored(model):
    write("gold.jsonl", [{"prompt": "Why?", "chosen": "Because.", "rejected": "No."}])
    result = run("judge-eval", "gold.jsonl", "--judge", "evidence", "--tools", "calculator", "--out", "eval")
    assert result.exit_code == 1
    assert "unscored by evidence" in result.stdout
    assert "no tool took a side" in result.stdout
    assert "nan" not in result.stdout
    [file] = Path("eval").glob("*/result.json")
    kept = json.loads(file.read_text())
    assert (kept["n"], kept["accuracy"], kept["top1"], kept["top1_chance"]) == (0, None, None, None)


def test_judge_eval_refuses_what_it_cannot_judge(model):
    write("gold.jsonl", [{"prompt": "Why?"}])
    write("good.jsonl", [{"prompt": "Why?", "chosen": "Because.", "rejected": "No."}])
    assert "gold.jsonl, line 1: a pair needs columns chosen and rejected" in refused(
        run("judge-eval", "gold.jsonl", "--judge", model)
    )
    assert "unknown judge 'evidnce'; did you mean 'evidence'" in refused(
        run("judge-eval", "good.jsonl", "--judge", "evidnce")
    )
