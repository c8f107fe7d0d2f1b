"""Tool uses and rollouts of a run that is cut: kept like answers, and not made again."""

import random
import sqlite3
from collections import Counter
from contextlib import closing

import pytest

from anyprefer.core.errors import RunStopped
from anyprefer.core.roles import Judge
from anyprefer.graph import Judgment, Task, asynth
from anyprefer.graph.runs.row_files import read_rows
from anyprefer.models.answer import Answer
from anyprefer.tools import Finding, ToolFailure, tool
from tests.folder import python
from tests.scripted import Scripted

KILL = """
import asyncio, os, sys
from pathlib import Path
from anyprefer.graph.runs.ledger import Ledger
from tests.graph import test_acts
folder, left, write = Path(sys.argv[1]), int(sys.argv[2]), Ledger._write_acts
def killed(self, acts):
    global left
    left -= len(acts)
    if left < 0:
        os._exit(9)
    write(self, acts)
if left:
    Ledger._write_acts = killed
test_acts.USES = test_acts.Lines(folder.with_suffix(".acts"))
asyncio.run(test_acts.played(folder, test_acts.Policy(), concurrency=2))
"""
"""Kills itself in the commit of an act: folder, acts to keep (0: all)."""
TASKS = [Task(id=str(number), prompt=f"{number}?") for number in range(4)]
USES: Counter[str] = Counter()


class Lines(Counter):
    """Uses as lines of a file, for processes that are killed."""

    def __init__(self, file):
        super().__init__()
        self.file = file

    def __setitem__(self, name, count):
        with self.file.open("a") as lines:
            lines.write(name + "\n")


@tool
def look(task: Task, query: str) -> Finding:
    """Looks things up."""
    USES["look " + task.id] += 1
    return Finding(f"seen {query}", data={"box": (1, 2)})


@tool
def weigh(candidate, *, scale: float = 1.0) -> Finding:
    """Weighs an answer."""
    USES[f"weigh {candidate.text}"] += 1
    return Finding("weighed", verdict=min(1.0, scale * len(candidate.text) / 10))


@tool
def shaky(task: Task) -> str:
    """Is away the first time."""
    USES["shaky " + task.id] += 1
    if USES["shaky " + task.id] == 1:
        raise ToolFailure("the site is away")
    return "there"


class Policy:
    """A target that is no language model."""

    name = "policy"

    async def sample(self, task, prompt, seeds):
        USES["rollouts " + task.id] += len(seeds)
        return [{"task": task.id, "path": ["x"] * (1 + number)} for number, _ in enumerate(seeds)]


class Writer(Policy):
    """One that gives texts with how they ended."""

    async def sample(self, task, prompt, seeds):
        USES["rollouts " + task.id] += len(seeds)
        return [Answer(f"{task.id} " + "x" * number, "stop", thoughts="hm") for number, _ in enumerate(seeds)]


class Longest(Judge):
    """Cut once, by `cut`."""

    name = "longest"
    cut = False

    async def score(self, state):
        if self.cut:
            raise RunStopped("cut")
        return [Judgment(candidate=one.index, score=float(len(one.text))) for one in state["candidates"]]


async def played(folder, target, cut=False, tools=(look, weigh), **values):
    judge = Longest()
    judge.cut = cut
    given = {"judge": judge, "reward": "accept", "engine": "evidence", "candidates": 3, "max_rounds": 1}
    try:
        rows = asynth(TASKS, target=target, tools=list(tools), folder=folder, **given, **values)
        return {row.id: row async for row in rows}
    except RunStopped:
        return None


def timeless(row):
    return row.model_dump(exclude={"rounds": {"__all__": {"knowledge": {"__all__": {"seconds"}}}}})


@pytest.mark.parametrize("target", [Policy, Writer])
async def test_a_resumed_run_repeats_neither_tools_nor_rollouts(tmp_path, target):
    USES.clear()
    assert await played(tmp_path / "cut", target(), cut=True) is None
    made = USES.copy()
    assert made["rollouts 0"] == 3
    assert made["look 0"] == 1
    rows = await played(tmp_path / "cut", target())
    assert USES["look 0"] == 1
    assert {name: count for name, count in USES.items() if name in made} == made
    whole = await played(tmp_path / "whole", target())
    assert {name: timeless(row) for name, row in rows.items()} == {name: timeless(row) for name, row in whole.items()}
    assert {row.outcome for row in rows.values()} == {"accepted"}
    assert rows["0"].rounds[0].knowledge[0].data == {"box": [1, 2]}


async def test_a_tool_that_was_away_is_used_again_and_a_finding_is_not(tmp_path):
    USES.clear()
    await played(tmp_path, Policy(), cut=True, tools=(look, shaky))
    rows = await played(tmp_path, Policy(), tools=(look, shaky))
    found = [knowledge.text for knowledge in rows["0"].rounds[0].knowledge]
    assert found == ["seen 0?", "there"]
    assert (USES["look 0"], USES["shaky 0"]) == (1, 2)


async def test_another_option_is_another_use(tmp_path):
    keys = []
    for scale in (1.0, 2.0):
        USES.clear()
        folder = tmp_path / str(scale)
        await played(folder, Policy(), cut=True, tools=(weigh.with_options(scale=scale),))
        with closing(sqlite3.connect(folder / "ledger.db")) as ledger:
            keys.append({key for (key,) in ledger.execute("SELECT key FROM acts WHERE key LIKE 'tool:%'")})
    assert keys[0]
    assert not keys[0] & keys[1]


async def test_acts_of_finished_tasks_are_gone_and_of_calls_nothing_is_counted_anew(tmp_path):
    rows = await played(tmp_path, Scripted(), tools=(look, weigh))
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger:
        assert ledger.execute("SELECT * FROM acts").fetchall() == []
        assert {role for (role,) in ledger.execute("SELECT role FROM spend")} == {"sample"}
    assert {role for row in rows.values() for role in row.usage} == {"sample"}


async def test_a_folder_of_the_version_before_is_gone_on_with(tmp_path):
    judge = Scripted(judge=RunStopped("cut"))
    first = Scripted(sample=lambda call: str(call.seed))
    given = {"tools": [], "candidates": 2, "max_rounds": 1, "folder": tmp_path, "concurrency": 1}
    with pytest.raises(RunStopped):
        [row async for row in asynth(TASKS, target=first, judge=judge, **given)]
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger:  # as version 2 had it
        ledger.executescript(
            "ALTER TABLE acts DROP COLUMN called; ALTER TABLE acts RENAME COLUMN value TO answer;"
            "ALTER TABLE acts RENAME TO calls; UPDATE meta SET value = 2 WHERE name = 'version';"
        )
        [kept] = ledger.execute("SELECT COUNT(*) FROM calls").fetchone()
    assert kept == 2
    again = Scripted(sample=lambda call: str(call.seed))
    rows = [row async for row in asynth(TASKS, target=again, judge=again, **given)]
    assert {row.outcome for row in rows} == {"accepted"}
    assert [call.user for call in again.asked("sample")].count("0?") == 0
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger:
        assert ledger.execute("SELECT value FROM meta WHERE name = 'version'").fetchone() == (3,)


async def test_of_a_killed_run_at_most_the_acts_in_flight_are_repeated(tmp_path):
    USES.clear()
    whole = await played(tmp_path / "whole", Policy())
    draw, folder = random.Random(0), tmp_path / "killed"
    kills = [draw.randint(1, 10) for _ in range(3)]
    ended = [python(KILL, folder, str(left)).returncode for left in (*kills, 0)]
    assert ended == [9, 9, 9, 0]
    rows = list(read_rows(folder))
    assert sorted(row.id for row in rows) == [task.id for task in TASKS]
    assert {row.id: timeless(row) for row in rows} == {name: timeless(row) for name, row in whole.items()}
    used = Counter(folder.with_suffix(".acts").read_text().splitlines())
    assert used.keys() == USES.keys()
    assert 1 <= used.total() - len(used) <= len(kills) * 2 * 3  # two tasks at once, each with an act a candidate
