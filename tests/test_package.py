"""examples/package, installed where it disturbs nobody: one file of each kind, listed, named, played and misspelt."""

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from anyprefer.core.naming import stable_name
from anyprefer.graph import load_settings
from anyprefer.graph.players import assemble
from tests.command_line import refused, run, write
from tests.server import OpenAIServer

ROOT = Path(__file__).parents[1]
OFFERED = {
    "tools": ("word_limit", "brevity.word_limit:word_limit"),
    "judges": ("brief", "brevity.brief:BriefJudge"),
    "rewards": ("shorter", "brevity.shorter:ShorterReward"),
    "pair_builders": ("extremes", "brevity.extremes:extremes"),
    "targets": ("canned", "brevity.canned:CannedTarget"),
    "trainers": ("picks", "brevity.picks:Picks"),
    "benchmarks": ("short_sums", "brevity.short_sums:ShortSums"),
}
TROUBLE = """
[project.entry-points."anyprefer.engines"]
broken = "brevity.nowhere:Engine"
"""
MEASURED = """
from anyprefer.core.results import EvalResult

def evaluate(target, iteration, folder):
    return {"short": EvalResult.of(target.name, {line: len(line) < 6 for line in target.lines})}
"""
ANSWERS = ["Lima.", "It is Lima.", "The capital of that country is, of course, the city of Lima on the coast."]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder that the package, with one entry point that cannot be loaded, is built and installed into."""
    place = tmp_path_factory.mktemp("package")
    shutil.copytree(ROOT / "examples" / "package", place / "source")
    project = place / "source" / "pyproject.toml"
    project.write_text(project.read_text().replace("[tool.setuptools]", f"{TROUBLE}\n[tool.setuptools]", 1))
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    subprocess.run([*command, "--target", place / "site", place / "source"], check=True, capture_output=True)
    return place / "site"


@pytest.fixture
def package(here, installed, monkeypatch):
    """The package on the path, not imported yet, and a file of answers for its target."""
    monkeypatch.syspath_prepend(str(installed))
    importlib.invalidate_caches()
    _forget()
    Path("answers.txt").write_text("\n".join(ANSWERS) + "\n")
    write("tasks.jsonl", [{"id": "peru", "prompt": "What is the capital of Peru?"}])
    yield
    _forget()


def _forget():
    for name in [name for name in sys.modules if name.partition(".")[0] == "brevity"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def server():
    with OpenAIServer() as started:
        yield started


@pytest.mark.usefixtures("package")
def test_everything_is_listed_and_nothing_is_loaded_for_it():
    rows = json.loads(run("list", "--json").stdout)
    ours = {row["kind"]: (row["name"], row["from"]) for row in rows if "anyprefer-brevity" in row["from"]}
    origin = "package anyprefer-brevity 0.1.0"
    wanted = {kind: (name, f"{origin} ({where})") for kind, (name, where) in OFFERED.items()}
    assert ours == {**wanted, "engines": ("broken", f"{origin} (brevity.nowhere:Engine)")}
    assert "brevity" not in sys.modules
    shown = run("list", "tools", "word_limit").stdout
    for words in ("Counts an answer's words", "looks at: candidate", "options: most=12", origin):
        assert words in shown


@pytest.mark.usefixtures("package")
def test_all_are_named_in_settings_and_play(server):
    model = f"openai:any@{server.url}"
    Path("brief.toml").write_text(
        f'target = "canned:answers.txt"\njudge = "{model}"\njudge_form = "brief"\nreward = "shorter"\n'
        'pair = "extremes"\ntools = ["word_limit"]\ncandidates = 3\nmax_rounds = 1\n'
        "[tool_options.word_limit]\nmost = 4\n"
    )
    played = run("synth", "tasks.jsonl", "--config", "brief.toml", "--out", "run")
    assert played.exit_code == 0, played.output
    [row] = [json.loads(line) for line in Path("run/rows.jsonl").read_text().splitlines()]
    assert row["outcome"] == "accepted", row["reason"]
    assert (row["pair"]["chosen"], row["pair"]["rejected"]) == (ANSWERS[0], ANSWERS[2])
    assert row["models"] == {
        "target": "canned (answers.txt)", "judge": "any", "reward": "shorter (a rule, no model)", "engine": "any",
    }  # fmt: skip
    verdicts = {item["text"]: item["verdict"] for item in row["rounds"][0]["knowledge"]}
    assert verdicts[f"{len(ANSWERS[2].split())} words, at most 4 are wanted."] == 0
    asked = server.asked("judge")
    assert len(asked) == 3
    assert all("does it hold what was asked for, and nothing else?" in request["user"] for request in asked)


@pytest.mark.usefixtures("package")
def test_the_trainer_trains_the_target_and_the_loop_iterates_it(server):
    model = f"openai:any@{server.url}"
    players = ("--target", "canned:answers.txt", "--judge", model, "--judge-form", "brief", "--reward", "shorter")
    round_of = (*players, "--pair", "extremes", "--tools", "word_limit", "--candidates", 3, "--max-rounds", 1)
    assert run("synth", "tasks.jsonl", *round_of, "--out", "run").exit_code == 0
    trained = run("train", "run", "--base", "answers.txt", "--trainer", "picks", "--out", "trained")
    assert trained.exit_code == 0, trained.output
    assert Path("trained/answers.txt").read_text() == ANSWERS[0] + "\n"
    Path("mine.py").write_text(MEASURED)
    loop = ("--trainer", "picks", "--heldout", "./mine.py:evaluate", "--iterations", 1, "--out", "loop")
    done = run("iterate", "tasks.jsonl", *round_of, *loop)
    assert done.exit_code == 0, done.output
    assert "model: canned:loop/iteration-1/checkpoint/answers.txt" in done.stdout
    assert Path("loop/iteration-1/checkpoint/answers.txt").read_text() == ANSWERS[0] + "\n"


@pytest.mark.usefixtures("package")
def test_the_benchmark_measures(server):
    done = run("evaluate", "short_sums", "--model", f"openai:any@{server.url}", "--limit", 4)
    assert done.exit_code == 0, done.output
    assert "short_sums" in done.stdout
    assert "0.0%" in done.stdout  # the server's answers are sentences


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("synth", "tasks.jsonl", "--target", "caned:answers.txt"), "unknown target 'caned:answers.txt'; did you mean 'canned'"),
        (("synth", "tasks.jsonl", "--target", "canned:nowhere.txt"), "canned:nowhere.txt: there is no such file"),
        (("synth", "tasks.jsonl", "--judge", "openai:m@http://x/v1", "--judge-form", "breif"), "unknown judge 'breif'; did you mean 'brief'"),
        (("synth", "tasks.jsonl", "--reward", "shortr"), "unknown reward 'shortr'; did you mean 'shorter'"),
        (("synth", "tasks.jsonl", "--pair", "extreme"), "unknown pair builder 'extreme'; did you mean 'extremes'"),
        (("synth", "tasks.jsonl", "--tools", "word_limt"), "unknown tool 'word_limt'; did you mean 'word_limit'"),
        (("synth", "tasks.jsonl", "--engine", "broken"), "engine 'broken' of package anyprefer-brevity 0.1.0 (brevity.nowhere:Engine) cannot be loaded: ModuleNotFoundError"),
        (("train", "tasks.jsonl", "--base", "answers.txt", "--trainer", "pick", "--out", "x"), "unknown trainer 'pick'; did you mean 'picks'"),
        (("evaluate", "short_sum", "--model", "smollm2"), "did you mean 'short_sums'"),
    ],
)  # fmt: skip
def test_a_misspelt_name_is_told_the_near_one(command, words):
    assert words in refused(run(*command))


@pytest.mark.usefixtures("package")
def test_an_object_of_the_package_is_named_the_same_in_every_process():
    extremes = importlib.import_module("brevity.extremes").extremes
    word_limit = importlib.import_module("brevity.word_limit").word_limit
    assert stable_name(extremes) == "extremes@brevity.extremes:extremes"
    assert stable_name(word_limit.with_options(most=4)) == 'word_limit@brevity.word_limit:word_limit({"most": 4})'
    players = assemble(load_settings(target="canned:answers.txt", tools=("word_limit",), pair="extremes")[0])
    assert players.recorded(load_settings(pair="extremes")[0]).pair == "extremes"
