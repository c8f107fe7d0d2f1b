"""`anyprefer apps`, benchmarks of an evaluation, and --app: an application given as TOML alone is played end to end."""

import json
from pathlib import Path

import pytest

from anyprefer.training.evaluation.benchmarks import BenchmarkResult
from tests import sample_data
from tests.command_line import refused, run
from tests.server import OpenAIServer

pytestmark = pytest.mark.usefixtures("here")

SUMS = [{"question": f"What is {n} + {2 * n}?", "gold": str(3 * n)} for n in range(10, 22)]


def write(target, judge):
    """A TOML file and its tasks."""
    Path("sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in SUMS))
    Path("mine.toml").write_text(f"""
name = "mine"
title = "Sums of mine"
tools = ["calculator"]
benchmarks = ["sums"]
[scales.tiny]
target = "{target}"
judge = "{judge}"
iterations = 2
preset = "embedded"
settings = {{ candidates = 3, max_new_tokens = 16, threshold = 1.0, max_rounds = 1 }}
training = {{ epochs = 1, batch_size = 2, lora_r = 2, max_length = 64 }}
[[scales.tiny.sources]]
name = "mine"
source = "sums.jsonl"
columns = {{ prompt = "question", reference = "gold" }}
tasks = 4
""")


def test_an_application_of_toml_alone_is_played_trained_measured_and_played_on(tiny_player):
    with OpenAIServer() as server:
        write(f"hf:{tiny_player}", f"openai:any@{server.url}")
        given = run("iterate", "--app", "mine.toml")
    assert given.exit_code == 0, given.output
    folder = Path("runs/mine-tiny-iterations")
    played = [
        [
            json.loads(line)
            for line in (folder / f"iteration-{n}" / "pairs" / "rows.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        for n in (1, 2)
    ]
    assert [len(rows) for rows in played] == [4, 4]
    assert not {row["id"] for row in played[0]} & {row["id"] for row in played[1]}
    assert {row["models"]["target"] for row in played[1]} == {str(folder / "iteration-1" / "adapter")}
    for home in ("base", "iteration-1", "iteration-2"):
        assert json.loads((folder / home / "evaluation.json").read_text(encoding="utf-8"))["sums"]["n"] == 200
    report = json.loads((folder / "iteration-2" / "adapter" / "anyprefer.json").read_text(encoding="utf-8"))
    assert (report["settings"]["lora_r"], report["base"]) == (2, str(folder / "iteration-1" / "adapter"))


def test_synth_plays_the_first_iteration_and_flags_win():
    with OpenAIServer() as server:
        write(f"openai:any@{server.url}", f"openai:any@{server.url}")
        given = run("synth", "--app", "mine.toml:tiny", "--candidates", 4, "--limit", 2)
    assert given.exit_code == 0, given.output
    folder = Path("runs/mine-tiny")
    assert json.loads((folder / "settings.json").read_text(encoding="utf-8"))["candidates"] == 4
    note = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert sum(note["counts"].values()) == 2
    assert note["models"]["target"] == "any"


def test_an_input_can_be_played_with_an_applications_players():
    with OpenAIServer() as server:
        write(f"openai:any@{server.url}", f"openai:any@{server.url}")
        given = run("synth", "sums.jsonl", "--column", "prompt=question", "--app", "mine.toml")
    assert given.exit_code == 0, given.output
    assert sum(json.loads(Path("runs/sums/run.json").read_text(encoding="utf-8"))["counts"].values()) == 12


def test_config_says_what_the_application_set():
    write("smollm2", "evidence")
    Path("more.toml").write_text("seed = 7\nthreshold = 9\n")
    given = run("config", "--app", "mine.toml", "--config", "more.toml", "--max-rounds", 2)
    lines = {line.split(" = ")[0]: line for line in given.output.splitlines() if " = " in line}
    assert "# app;" in lines["candidates"]
    assert lines["candidates"].startswith("candidates = 3")
    assert lines["threshold"].startswith("threshold = 9.0 # file;")
    assert lines["max_rounds"].startswith("max_rounds = 2 # flag;")
    assert "# default;" in lines["temperature"]


def test_a_tool_option_as_a_flag_joins_the_applications():
    given = run("config", "--app", "natural-language:paper", "--tool-option", "web_search.max_results=3")
    line = next(line for line in given.output.splitlines() if line.startswith("tool_options"))
    assert "FsfairX" in line
    assert "max_results = 3" in line


def test_apps_lists_them_and_prints_one_that_can_be_played():
    listed = run("apps").output
    for word in ("natural-language", "embedded: smollm2", "openai:gpt-4o", "web_search, reward_model", "alpaca_eval"):
        assert word in listed
    Path("copy.toml").write_text(run("apps", "natural-language").output, encoding="utf-8")
    assert "SmolLM2" in run("apps", "copy.toml").output
    assert "did you mean 'natural-language'" in refused(run("apps", "natural-langage"))


def test_neither_input_nor_application_is_refused():
    assert "give a file" in refused(run("synth"))
    assert "give a file" in refused(run("iterate", "--heldout", "sums"))
    write("smollm2", "evidence")
    assert "--heldout" in refused(run("iterate", "sums.jsonl", "--column", "prompt=question"))
    assert "did you mean 'paper'" in refused(run("synth", "--app", "natural-language:papr"))


def test_data_files_are_inputs(tmp_path, monkeypatch):
    monkeypatch.setenv("ANYPREFER_DATA", str(sample_data.make(tmp_path / "data")))
    with OpenAIServer() as server:
        given = run("synth", "data:gsm8k/train.jsonl", "--column", "prompt=question", "--limit", 3, "--max-rounds", 1,
                    "--target", f"openai:any@{server.url}", "--judge", f"openai:any@{server.url}")  # fmt: skip
    assert given.exit_code == 0, given.output
    assert Path("runs/train/run.json").is_file()
    assert "has no file gsm8k/nothing.jsonl" in refused(run("synth", "data:gsm8k/nothing.jsonl"))
    monkeypatch.delenv("ANYPREFER_DATA")
    assert "ANYPREFER_DATA names none" in refused(run("synth", "data:gsm8k/train.jsonl"))


@pytest.fixture
def measured(monkeypatch):
    """What `measure` is asked; it answers half of it right."""
    asked = []

    def measure(name, model, limit=None, seed=0, folder=None, judge="", **answering):
        asked.append((name, model, limit, seed, folder, judge))
        values = {"benchmark": name, "model": model, "seed": seed, "temperature": 0.0, "max_tokens": 1}
        marks = {str(number): number < 5 for number in range(10)}
        return BenchmarkResult(n=10, correct=5, marks=marks, figures={"acc_norm": 0.25}, judge=judge, **values)

    for place in ("evaluation.benchmarks", "evaluation.heldout"):
        monkeypatch.setattr(f"anyprefer.training.{place}.measure", measure)
    return asked


def test_evaluate_measures_benchmarks_beside_families(measured, tiny_player):
    given = run("evaluate", "arc_easy", "sums", "alpaca_eval", "--model", f"hf:{tiny_player}", "--limit", 2, "--seed", 3,
                "--judge", "openai:j", "--answers", "kept")  # fmt: skip
    assert given.exit_code == 0, given.output
    assert [(name, model, limit, seed, judge) for name, model, limit, seed, _, judge in measured] == [
        (name, f"hf:{tiny_player}", 2, 3, "openai:j") for name in ("arc_easy", "alpaca_eval")
    ]
    assert measured[0][4].parent == Path("kept")
    assert "50.0%" in given.output
    assert f"arc_easy on hf:{tiny_player}: acc_norm 25.0%" in given.output
    assert "judge openai:j" in given.output


def test_iterate_measures_benchmarks_with_each_iterations_model(measured, tiny_player):
    with OpenAIServer() as server:
        write(f"hf:{tiny_player}", f"openai:any@{server.url}")
        given = run("iterate", "--app", "mine.toml", "--iterations", 1, "--heldout", "arc_easy", "--out", "loop")
    assert given.exit_code == 0, given.output
    assert [model for _, model, *_ in measured] == [f"hf:{tiny_player}", "hf:loop/iteration-1/adapter"]
    assert json.loads(Path("loop/iteration-1/evaluation.json").read_text(encoding="utf-8"))["arc_easy"]["correct"] == 5


def test_lm_evals_command_is_printed(tiny_player):
    def told(*given):
        return run("evaluate", *given, "--print-command").output

    command = told("gsm8k", "--model", f"hf:{tiny_player}", "--limit", 5)
    for words in (f"pretrained={tiny_player}", "--tasks anyprefer_gsm8k", "--apply_chat_template", "--limit 5"):
        assert words in command
    assert "--apply_chat_template" not in told("arc_easy", "--model", f"hf:{tiny_player}")
    assert "base_url=http://x/v1/chat/completions" in told("gsm8k", "--model", "openai:m@http://x/v1")
    assert "sums is not measured by lm-eval" in refused(
        run("evaluate", "sums", "--model", "smollm2", "--print-command")
    )
