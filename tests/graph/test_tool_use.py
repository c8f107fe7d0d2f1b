import json

import pytest

from anyprefer.graph import synth
from anyprefer.graph.runs.tool_use import ToolUse
from anyprefer.tools import Finding, tool
from tests.command_line import run
from tests.scripted import Scripted


@tool
def offline(query: str) -> str:
    """Looks on the web."""
    raise OSError("no network")


@tool
def measured(candidate) -> Finding:
    """Measures."""
    return Finding("x", verdict=0.5, seconds=1.5)


def test_run_json_counts_uses_failures_verdicts_and_seconds_over_all_calls(tmp_path):
    model = Scripted(select_tools='["offline", "measured"]')
    game = {"target": model, "judge": model, "tools": [offline, measured], "candidates": 3, "folder": tmp_path / "run"}
    for tasks in (["a"], ["a", "b"]):
        list(synth(tasks, **game))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["tools"] == {
        "measured": {"uses": 6, "failures": 0, "sides": 6, "seconds": 9.0},
        "offline": {"uses": 2, "failures": 2, "sides": 0, "seconds": 0.0},
    }


ODD_SECONDS = '{"tools": {"a": {"uses": 1, "failures": 0, "sides": 0, "seconds": "x"}}}'


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"tools": 5}', '{"tools": {"a": 1}}', ODD_SECONDS])
def test_a_note_that_cannot_be_read_counts_from_nothing(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    assert ToolUse.noted_in(tmp_path / "run.json").said() == {}


def test_the_summary_names_a_tool_that_always_fails(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        'from anyprefer.tools import tool\n@tool\ndef offline(candidate) -> str:\n    "Looks."\n    raise OSError("no network")\n'
        "class Target:\n    name = 'mine'\n    def sample(self, task, prompt, seeds):\n        return ['4', '5', '6'][: len(seeds)]\n"
    )
    (tmp_path / "tasks.jsonl").write_text('{"prompt": "What is 2 + 2? Answer with the number only."}\n')
    result = run(
        "synth", "tasks.jsonl", "--out", "run", "--target", "./mine.py:Target", "--judge", "evidence",
        "--tools", "calculator,./mine.py", "--candidates", 3, "--max-rounds", 1,
    )  # fmt: skip
    lines = [line.split() for line in result.stdout.splitlines()]
    assert next(line for line in lines if "offline" in line and "3" in line)[:4] == ["offline", "3", "3", "0"], (
        result.stdout
    )
    assert next(line for line in lines if line[:1] == ["calculator"])[:4] == ["calculator", "3", "0", "3"], (
        result.stdout
    )
