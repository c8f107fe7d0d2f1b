"""What the tests of the command line share: sums to play, and a way to type commands."""

import json
import re
import sys
from pathlib import Path

from typer.testing import CliRunner

from anyprefer.cli import app

SUMS = [{"question": f"What is {n} + {2 * n}?", "gold": str(3 * n)} for n in range(10, 18)]
PAIR = {
    "prompt": [{"role": "user", "content": "2 + 2?"}],
    "chosen": [{"role": "assistant", "content": "4"}],
    "rejected": [{"role": "assistant", "content": "5"}],
}
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
ANYPREFER = [sys.executable, "-c", "from anyprefer.cli import main; main()"]


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
