"""Flags, TOML and keywords are one object; what the commands say about themselves."""

import json
import os
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from anyprefer.cli import app, console, flags
from anyprefer.cli.help import BRIEF
from anyprefer.cli.train import PANELS as TRAIN_PANELS
from anyprefer.graph import RunSettings, Settings, load_settings
from anyprefer.training.evaluation.task_sets import task_set
from anyprefer.training.trainers.settings import TrainSettings

OTHER = {
    "target": "hf:a/b",
    "judge": "openai:j",
    "reward": "openai:r",
    "engine": "openai:e",
    "task_field": "medicine",
    "system": "Be brief, and [kind].",
    "examples": "none",
    "candidates": 7,
    "temperature": 0.5,
    "top_p": 0.9,
    "image_noise": 0.25,
    "max_new_tokens": 64,
    "tools": ("calculator", "reference"),
    "tool_timeout": 1.5,
    "image_roots": ("pictures", "more pictures"),
    "tool_options": {"knowledge_search": {"corpus": "my facts.jsonl", "k": 2}},
    "judge_form": "pointwise",
    "judge_passes": 3,
    "judge_max_new_tokens": 99,
    "pair": "ranks(1,3)",
    "min_margin": 0.25,
    "threshold": 7.5,
    "max_rounds": 2,
    "feedback": ("judge",),
    "feedback_mode": "independent",
    "prompt_scope": "dataset",
    "seed": 4,
    "concurrency": 3,
    "record": "tape.jsonl",
    "trace": "otlp=http://127.0.0.1:4318",
    "trace_share": 0.25,
    "accept": 5,
    "format": "parquet:1000",
    "workers": 2,
    "ray": "auto",
    "api_key_file": "key.txt",
    "key_env": "GROQ_API_KEY",
    "leave_out": ("seed", "n"),
    "connections": 8,
    "rpm": 600,
    "tpm": 9000,
    "image_side": 1024,
    "timeout": 2.5,
    "retries": 1,
    "patience": 5.5,
    "max_calls": 10,
    "max_tokens": 20,
    "max_cost": 1.5,
    "prices": "prices.toml",
}


def as_flags(values):
    for name, value in values.items():
        dashed = "--" + name.replace("_", "-")
        if name == "tool_options":
            for tool, options in value.items():
                for option, setting in options.items():
                    yield from ("--tool-option", f"{tool}.{option}={setting}")
        elif isinstance(value, bool):
            yield dashed if value else f"--no-{dashed.removeprefix('--')}"
        else:
            yield from (dashed, ",".join(value) if isinstance(value, tuple) else str(value))


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def printed(*arguments):
    result = run("config", *arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def loaded(text, folder):
    file = folder / "settings.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file)[0]


def test_every_field_has_a_flag_that_fills_it(tmp_path):
    assert {*OTHER, "api_key", *flags.NO_FLAG} == set(RunSettings.model_fields)
    for name, value in OTHER.items():
        assert value != getattr(RunSettings(), name), f"{name} is at its default"
    assert loaded(printed(*as_flags(OTHER)), tmp_path) == RunSettings(**OTHER)


def test_a_key_is_taken_from_flag_file_and_keyword_and_never_shown(tmp_path):
    key = "a-key-nobody-must-see"
    file = tmp_path / "s.toml"
    file.write_text(f'api_key = "{key}"\n')
    for given in (("--api-key", key), ("--config", str(file))):
        assert re.search(r'^api_key = "" # (flag|file);', printed(*given), re.MULTILINE)
        assert key not in printed(*given)
    settings = load_settings(file)[0]
    assert settings.api_key == RunSettings(api_key=key).api_key == key
    assert key not in repr(settings) + settings.model_dump_json()
    file.write_text("api_key = 123456789\n")
    assert "123456789" not in run("config", "--config", str(file)).stderr


def test_toml_flags_and_keywords_fill_the_same_settings(tmp_path):
    file = tmp_path / "s.toml"
    file.write_text(
        'threshold = 6\ntools = ["calculator"]\ntrace = "mlflow"\n[tool_options.knowledge_search]\ncorpus = "x"\nk = 2\n'
    )
    from_flags = printed(
        *("--threshold", "6", "--tools", "calculator", "--trace", "mlflow"),
        *("--tool-option", "knowledge_search.corpus=x", "--tool-option", "knowledge_search.k=2"),
    )
    assert loaded(from_flags, tmp_path) == load_settings(file)[0]


def test_the_printed_settings_load_again_and_name_their_origin(tmp_path):
    file = tmp_path / "s.toml"
    odd = 'say "a" \\ b\nτ # no comment'
    file.write_text(f"threshold = 6\nsystem = {json.dumps(odd, ensure_ascii=False)}\n", encoding="utf-8")
    text = printed("--config", str(file), "--seed", "3", "--trace", "mlflow")
    assert re.search(r"^threshold = 6\.0 # file; τ", text, re.MULTILINE)
    assert re.search(r"^seed = 3 # flag; ", text, re.MULTILINE)
    assert re.search(r'^trace = "mlflow" # flag; ', text, re.MULTILINE)
    assert re.search(r"^top_p = 1\.0 # default; ", text, re.MULTILINE)
    assert loaded(text, tmp_path) == RunSettings(threshold=6, seed=3, system=odd, trace="mlflow")
    assert loaded(printed(), tmp_path) == RunSettings()


def test_all_settings_are_printed_by_type_and_no_secret_of_a_server(tmp_path):
    file = tmp_path / "s.toml"
    file.write_text(
        'headers = { X-A = "header-value" }\n[servers."http://gpu/v1"]\nrpm = 5\nextra_body = { k = "body-value" }\n'
    )
    text = printed("--config", str(file))
    by_type = re.split(r"^# .*\((.*)\)$", text, flags=re.MULTILINE)[1:]
    named = [
        (about, re.findall(r"^(\w+) =", lines, re.MULTILINE))
        for about, lines in zip(by_type[::2], by_type[1::2], strict=True)
    ]
    decide = {name for about, names in named if about == "decides a row" for name in names}
    assert decide == set(Settings.model_fields)
    assert {name for _, names in named for name in names} == set(RunSettings.model_fields)
    assert 'servers = {"http://gpu/v1" = {rpm = 5}}' in text
    assert "header-value" not in text
    assert "body-value" not in text


def test_lists_are_repeated_or_parted_by_commas_and_may_be_empty(tmp_path):
    text = printed("--tools", "calculator, reference", "--tools", "web_search", "--feedback", "")
    settings = loaded(text, tmp_path)
    assert settings.tools == ("calculator", "reference", "web_search")
    assert settings.feedback == ()


def test_tool_options_are_toml_or_text_and_join_the_files(tmp_path):
    file = tmp_path / "s.toml"
    file.write_text("[tool_options.knowledge_search]\ncorpus = 'a.jsonl'\nk = 2\n")
    given = (
        "knowledge_search.k=5",
        "web_search.backend=my engine",
        "web_search.flags=[1, true]",
        'fact_check.corpus="5"',
    )
    options = [part for text in given for part in ("--tool-option", text)]
    assert loaded(printed("--config", str(file), *options), tmp_path).tool_options == {
        "knowledge_search": {"corpus": "a.jsonl", "k": 5},
        "web_search": {"backend": "my engine", "flags": [1, True]},
        "fact_check": {"corpus": "5"},
    }


@pytest.mark.parametrize("text", ["k=3", "knowledge_search.k", ".k=3", "knowledge_search.=3"])
def test_a_tool_option_without_its_parts_is_refused(text):
    result = run("config", "--tool-option", text)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: --tool-option '{text}' must be TOOL.OPTION=VALUE")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--candidates", "1"], "setting 'candidates': Input should be greater than or equal to 2 (got 1)"),
        (["--threshold", "11"], "setting 'threshold': Input should be less than or equal to 10 (got 11.0)"),
        (["--threshold", "0.5"], "setting 'threshold': Input should be greater than or equal to 1 (got 0.5)"),
        (["--feedback", "target,everyone"], "setting 'feedback.1': Input should be 'target', 'judge' or 'tools'"),
        (["--config", "nowhere.toml"], "settings file nowhere.toml does not exist"),
    ],
)
def test_bad_settings_are_one_line(arguments, said):
    result = run("config", *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {said}")
    assert result.stderr.count("\n") == 1
    assert not result.stdout


def test_an_unknown_setting_in_a_file_names_the_near_one(tmp_path):
    file = tmp_path / "s.toml"
    file.write_text("treshold = 3\n")
    result = run("config", "--config", str(file))
    assert (result.exit_code, result.stderr) == (
        2,
        f"error: unknown setting 'treshold' in {file}; did you mean 'threshold'?\n",
    )
    file.write_text("threshold =\n")
    assert "cannot be read as TOML" in run("config", "--config", str(file)).stderr


def test_the_panels_name_every_field_once():
    for panels, model in ((flags.PANELS, RunSettings), (TRAIN_PANELS, TrainSettings)):
        names = [name for panel in panels.values() for name in panel]
        assert sorted(names) == sorted(model.model_fields)


def test_help_teaches(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    start = run("--help").stdout
    for command in ("synth", "train", "evaluate", "judge-eval", "list", "graph", "config"):
        assert f" {command} " in start
        text = run(command, "--help").stdout
        assert f"anyprefer {command}" in text, "no example"
        assert "Undefined" not in text
    text = " ".join(run("synth", "--help-all").stdout.split())
    for name, field in RunSettings.model_fields.items():
        if name in flags.NO_FLAG:
            continue
        assert flags._flag(name, flags._kind(field)) in text
    assert "N 2..64" in text
    assert "X >0..1" in text
    assert "[target|judge|tools; default:" in text


@pytest.mark.parametrize(("command", "most"), [("synth", 60), ("iterate", 50)])
def test_short_help_fits_a_screen_and_leaves_the_rarer_settings_to_help_all(command, most, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    short, whole = run(command, "--help").stdout, run(command, "--help-all").stdout
    assert short.count("\n") <= most
    assert "Judge model, π_j (evidence)" in short
    assert {name for name in BRIEF[command] if f"--{name.replace('_', '-')}" in short} >= BRIEF[command] - {
        "source",
        "to",
    }
    assert "--threshold" in short
    assert "--help-all" in short
    assert "--min-margin" not in short
    assert "--min-margin" in whole
    assert set(re.findall(r"^│ --[\w-]+", short, re.M)) < set(re.findall(r"^│ --[\w-]+", whole, re.M))


def test_two_classes_of_settings_can_share_a_command():
    seen = {}

    @flags.flags(RunSettings, into="values", panels={"Players": ("target", "seed")})
    @flags.flags(TrainSettings, into="training", panels={"Training": ("epochs", "seed")}, leave_out=("seed",))
    def both(*, values, training):
        seen.update(values=values, training=training)

    app_of_two = console.typer.Typer()
    app_of_two.command()(both)
    result = CliRunner().invoke(app_of_two, ["--seed", "3", "--epochs", "2"])
    assert result.exit_code == 0, result.output
    assert seen == {"values": {"seed": 3}, "training": {"epochs": 2.0}}


def test_help_and_version_are_quick_and_light():
    code = "import sys; from anyprefer.cli import main; sys.argv = ['anyprefer', '--help']\ntry: main()\nexcept SystemExit: pass\n"
    code += (
        "print([m for m in ('torch', 'transformers', 'langgraph', 'langchain_core', 'pyarrow') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert result.stdout.splitlines()[-1] == "[]"
    assert re.fullmatch(r"anyprefer \d+\.\d+\.\d+\n", run("--version").stdout)


def test_settings_go_to_files_as_utf_8_whatever_the_locale(tmp_path):
    code = "import sys; from anyprefer.cli import main; sys.argv[0] = 'anyprefer'; main()"
    environment = {**os.environ, "PYTHONUTF8": "1", "PYTHONIOENCODING": "latin-1"}
    command = [sys.executable, "-c", code, "config", "--system", "Réponds brièvement. 短く".encode()]
    result = subprocess.run(command, capture_output=True, env=environment)
    assert (result.returncode, result.stderr) == (0, b"")
    assert loaded(result.stdout.decode("utf-8"), tmp_path).system == "Réponds brièvement. 短く"


def test_a_target_may_be_another_one_with_each_seed():
    assert load_settings(target="scenes-{seed}", judge="hf:a/{seed}", seed=3)[0].target == "scenes-3"
    assert load_settings(app={"target": "scenes-{seed}"})[0].target == "scenes-0"


def test_task_sets_leave_nothing_out(tmp_path):
    file = tmp_path / "t.jsonl"
    file.write_text('{"q": "2 + 2?", "a": 4}\n{"q": "3 + 3?", "a": null}\n')
    columns = {"prompt": "q", "reference": "a"}
    tasks, is_correct, *_ = task_set(str(file), 1, 0, columns)
    assert is_correct(tasks[0], "It is 4.")
    assert not is_correct(tasks[0], "It is 5.")
    with pytest.raises(console.InputError, match="row-000002: no reference"):
        task_set(str(file), None, 0, columns)
    with pytest.raises(console.InputError, match="no column 'prompt'"):
        task_set(str(file), None, 0, {})
    assert len(task_set("sums", 7, 0, {})[0]) == 7
    with pytest.raises(console.InputError, match="gsm8 is neither a file nor a benchmark; did you mean 'gsm8k'"):
        task_set("gsm8", None, 0, {})
