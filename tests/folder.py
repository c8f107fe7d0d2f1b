"""What the tests of run folders share: tasks, a run, and a look at whether everything in a folder agrees."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from anyprefer.core.errors import RunFolderError
from anyprefer.core.records import Usage
from anyprefer.graph import Task, synth
from anyprefer.graph.runs.row_files import read_rows
from tests.scripted import Scripted

ROOT = Path(__file__).parents[1]

TASKS = [Task(id=str(n), prompt=f"Wie heißt {n}?", system="Kurz." if n == 0 else None) for n in range(6)]
IDS = [task.id for task in TASKS]
KILL = """
import json, os, sys
from anyprefer.graph.runs.ledger import Ledger
from tests.folder import run, mixed
left, write = int(sys.argv[2]), Ledger._write_rows
def killed(self, rows):
    global left
    left -= len(rows)
    if left < 0:
        os._exit(9)
    write(self, rows)
Ledger._write_rows = killed
run(sys.argv[1], mixed(broken=False), **json.loads(sys.argv[3]))
"""
"""Kills itself between row files and commit: folder, rows to keep, settings as JSON."""


def lines(path, name):
    return [json.loads(line) for line in (path / name).read_text(encoding="utf-8").splitlines()]


def note(path):
    return json.loads((Path(path) / "run.json").read_text(encoding="utf-8"))


def mixed(broken=True):
    """Task 4 fails while `broken`, task 3 is rejected, the others are accepted."""

    def sample(call):
        if broken and "4?" in call.user:
            raise RuntimeError("out of order")
        return f"ü{call.seed}"

    return Scripted(sample=sample, reward=lambda call: "2/10" if "3?" in call.user else "9/10")


def always_broken(*ids):
    """These tasks fail, task 3 is rejected, the others are accepted."""

    def sample(call):
        if any(f"{name}?" in call.user for name in ids):
            raise RuntimeError("out of order")
        return f"ü{call.seed}"

    return Scripted(sample=sample, reward=lambda call: "2/10" if "3?" in call.user else "9/10")


def run(path, model=None, tasks=TASKS, **values):
    """The rows one call adds, with one model in every role, two candidates and one round."""
    before = _kept(Path(path))
    return [row for row in begin(path, model, tasks, **values) if row.id not in before]


def _kept(path):
    try:
        return {row.id for row in read_rows(path) if row.outcome != "failed"} if path.exists() else set()
    except RunFolderError:
        return set()


def begin(path, model=None, tasks=TASKS, **values):
    model = model or mixed()
    given = {"target": model, "judge": model, "tools": [], "candidates": 2, "max_rounds": 1, "concurrency": 1, **values}
    return synth(tasks, folder=path, **given)


def pairs_in(path):
    files = sorted(path.glob("pairs*.jsonl")) + sorted(path.glob("pairs*.parquet"))
    return [row for file in files for row in _read(file)]


def _read(file):
    if file.suffix == ".jsonl":
        return lines(file.parent, file.name)
    import pyarrow.parquet as parquet

    return parquet.read_table(file).to_pylist()


def in_all(used):
    """Calls, input and output tokens of usages added up."""
    total = sum(used, Usage())
    return total.calls, total.input_tokens, total.output_tokens


def check(path, spent_on_rows_only=True):
    """The rows of a closed folder, once rows, pairs, counts and usage are found to agree."""
    path = Path(path)
    rows = list(read_rows(path))
    assert max(Counter(row.id for row in rows).values(), default=1) == 1, "a row is there twice"
    assert sorted(row["id"] for row in pairs_in(path)) == sorted(row.id for row in rows if row.outcome == "accepted")
    said = note(path)
    assert said["counts"] == {name: sum(row.outcome == name for row in rows) for name in said["counts"]}
    per_round = [Usage(**{k: given[k] for k in Usage.model_fields}) for given in said["usage_by_round"]]
    assert in_all(per_round) == in_all(Usage(**given) for given in said["usage"].values())
    if spent_on_rows_only:
        assert in_all(used for row in rows for used in row.usage.values()) == in_all(per_round)
    return rows


def python(code, *arguments, **values):
    """Runs code that may use what the tests share."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, **values)
