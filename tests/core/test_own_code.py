"""The user's own code, named on the command line, in settings and as plain Python objects."""

import json
from pathlib import Path

import pytest

from anyprefer.core.errors import ModelSetupError, SettingsError, ToolError
from anyprefer.core.own_code import is_own_code, own_object
from anyprefer.graph import synth
from anyprefer.tools import load_tools
from tests.command_line import run
from tests.scripted import Scripted

MINE = '''
from anyprefer.core.records import Judgment, PreferencePair, Reward
from anyprefer.tools import Finding, tool

@tool
def length(candidate, *, most: int = 3) -> Finding:
    """How long is it?"""
    return Finding("measured", verdict=float(len(candidate.text) <= most))

def shape(candidate) -> str:
    """What shape has it?"""
    return "round"

class Target:
    name = "mine"
    def sample(self, task, prompt, seeds):
        return ["a" * (1 + place) for place, _ in enumerate(seeds)]

class Judge:
    name = "mine too"
    async def select(self, state, tools):
        return []
    def aggregate(self, state):
        return ""
    def score(self, state):
        return [Judgment(candidate=one.index, score=10 - one.index) for one in state["candidates"]]

class Rates:
    name = "rates"
    def rate(self, state, pair):
        return Reward(score=9)

def second(state):
    return PreferencePair(chosen=state["candidates"][1].content, rejected=state["candidates"][0].content)

def none(state):
    return None

def wrong(state):
    return 5

broken = 1
'''


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "tasks.jsonl").write_text(json.dumps({"prompt": "Say a."}) + "\n")
    return str(tmp_path / "mine.py")


def test_everything_can_be_ones_own_from_the_command_line(mine):
    result = run(
        "synth", "tasks.jsonl", "--out", "run", "--target", "./mine.py:Target", "--judge", "evidence",
        "--tools", "./mine.py", "--tool-option", "length.most=2", "--candidates", 4, "--max-rounds", 1,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    [row] = [json.loads(line) for line in Path("run/rows.jsonl").read_text().splitlines()]
    assert (row["pair"]["chosen"], row["pair"]["rejected"]) == ("a", "aaaa")
    result = run(
        "synth", "tasks.jsonl", "--out", "other", "--target", "./mine.py:Target", "--judge", f"{mine}:Judge",
        "--reward", "./mine.py:Rates", "--tools", "", "--pair", "./mine.py:second", "--candidates", 3,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    [row] = [json.loads(line) for line in Path("other/rows.jsonl").read_text().splitlines()]
    assert (row["pair"]["chosen"], row["reward"]) == ("aa", 9)
    assert row["models"]["judge"] == "mine too"


def test_players_with_plain_functions_play(mine):
    target, judge, reward = (own_object(f"{mine}:{name}")() for name in ("Target", "Judge", "Rates"))
    [row] = synth(["Say a."], target=target, judge=judge, reward=reward, tools="calculator", candidates=3)
    assert (row.outcome, row.pair.chosen) == ("accepted", "a")


def test_a_module_in_this_folder_is_found(mine):
    assert [one.name for one in load_tools(["mine:shape", "calculator"])] == ["shape", "calculator"]


@pytest.mark.parametrize(
    ("name", "reason"), [("none", "formed no pair"), ("wrong", "TypeError: the pair builder returned int")]
)
def test_what_a_builder_may_return(mine, name, reason):
    model = Scripted()
    [row] = synth(["Say a."], target=model, judge=model, tools=[], pair=f"{mine}:{name}", max_rounds=1)
    assert reason in row.reason


@pytest.mark.parametrize(
    ("tools", "words"),
    [
        ("./nowhere.py", "there is no file ./nowhere.py"),
        (["./mine.py:lenght"], "did you mean 'length'"),
        (["./mine.py:broken"], "1 is no tool"),
        (lambda query: query, "docstring"),
        (7, "is no tool"),
        ("./fails.py", "fails.py cannot be loaded: SystemExit: bye"),
        ("./empty.py", "put @tool above a function"),
    ],
)
def test_what_cannot_be_a_tool_is_named(mine, tmp_path, tools, words):
    (tmp_path / "fails.py").write_text("raise SystemExit('bye')\n")
    (tmp_path / "empty.py").write_text("x = 1\n")
    with pytest.raises((ToolError, SettingsError), match=words):
        load_tools(tools)


def test_a_model_string_is_never_taken_for_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for spec in (
        "openai:gpt",
        "hf:models",
        "replay:tape",
        "smollm2",
        "evidence",
        "nowhere:gpt",
        "openai:m@http://x/v1",
        "",
    ):
        assert not is_own_code(spec)
    with pytest.raises(SettingsError, match=r"names a file; say which object"):
        own_object("mine.py")
    with pytest.raises(ModelSetupError, match=r"FILE\.py:NAME"):
        list(synth(["x"], target="nowhere:gpt", judge="evidence"))


def test_a_file_of_the_same_name_in_another_folder_is_another_module(tmp_path, monkeypatch):
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "same.py").write_text(f"NUMBER = {number}\n")
        monkeypatch.chdir(folder)
        assert own_object("./same.py:NUMBER") == number
