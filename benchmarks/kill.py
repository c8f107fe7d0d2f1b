"""Kills `anyprefer synth` at random moments and runs the same command again until it ends, many times over.

    python -m benchmarks.kill --runs 100

Each run has a folder of its own and is killed (SIGKILL) up to --kills times. Afterwards it must hold every
task exactly once, with the same rows as a run that was never killed (`seconds` fields aside), and the server
must not have been asked again for more than the calls that were in flight at the kills. For the client a call
is in flight until its answer is in the ledger, and it has at most --connections of them; the server has answered
some of these already. So calls asked again are held against kills times --connections, run by run.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.engines.measure import question
from benchmarks.process import ServerProcess
from benchmarks.report import FOLDER, save

SYNTH = (sys.executable, "-c", "from anyprefer.cli import main; main()", "synth")
ROWS = ("rows*.jsonl", "failed.jsonl")


@dataclass
class Command:
    """The one command; a version that needs --resume gets it once it has said so."""

    arguments: tuple[str, ...]
    resume: list[str] = field(default_factory=list)

    def start(self, folder: Path) -> subprocess.Popen[str]:
        again = self.resume if next(folder.glob("rows*.jsonl"), None) else []
        command = [*SYNTH, *self.arguments, "--out", str(folder), *again]
        return subprocess.Popen(
            command, cwd=folder.parent, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def needs_resume(self, told: str) -> bool:
        """Whether the refusal asks for --resume; from then on it is given."""
        if self.resume or "--resume" not in told:
            return False
        self.resume = ["--resume"]
        return True


@dataclass(frozen=True)
class Moment:
    """When to kill: `seconds` after the start, or after the first call the server sees from this start."""

    seconds: float
    at_work: bool


def run(command: Command, folder: Path, kills: Sequence[Moment], server: ServerProcess) -> int:
    """Starts the command until it ends by itself. Returns how many of `kills` met it alive."""
    met, waiting = 0, list(kills)
    while True:
        process = command.start(folder)
        if waiting and alive_at(process, waiting.pop(), server):
            process.kill()
            process.communicate()
            met += 1
            continue
        told = process.communicate()[1]
        if not process.returncode:
            return met
        if not command.needs_resume(told):
            raise RuntimeError(f"synth ended with {process.returncode} in {folder}: {told[-800:]}")


def alive_at(process: subprocess.Popen[str], moment: Moment, server: ServerProcess) -> bool:
    """Waits for the moment; False when the process ended before."""
    before = server.stats()["calls"]
    while moment.at_work and process.poll() is None and server.stats()["calls"] == before:
        time.sleep(0.02)
    try:
        process.wait(moment.seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def moments(draw: random.Random, most: int, setup: float, work: float) -> list[Moment]:
    """1 to `most` of them; one in five while the command starts, the others while it works."""
    starting = [draw.random() < 0.2 for _ in range(draw.randint(1, most))]
    return [Moment(draw.uniform(0, setup if early else work), not early) for early in starting]


def rows(folder: Path) -> list[dict[str, Any]]:
    """All rows of a finished run, whichever files they are in, sorted by id and without times."""
    files = [file for pattern in ROWS for file in folder.glob(pattern)]
    found = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return sorted((timeless(row) for row in found), key=lambda row: str(row["id"]))


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: timeless(item) for key, item in value.items() if key != "seconds"}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def compare(wanted: list[dict[str, Any]], got: list[dict[str, Any]]) -> dict[str, int]:
    """Rows lost, doubled, and different, by id."""
    right, there = {row["id"]: row for row in wanted}, Counter(row["id"] for row in got)
    different = sum(right.get(row["id"]) != row for row in got)
    lost = len(right.keys() - there.keys())
    return {"lost": lost, "doubled": there.total() - len(there), "different": different}


def trial(
    command: Command, server: ServerProcess, folder: Path, kills: Sequence[Moment], wanted: Any
) -> dict[str, Any]:
    server.reset()
    met = run(command, folder, kills, server)
    asked = server.stats()
    counted = {name: asked[name] for name in ("calls", "abandoned", "asked_again", "repeated")}
    return {
        "kills": met,
        **compare(wanted, rows(folder)),
        **counted,
        "again_roles": asked["asked_again_roles"],
        "oldest": asked["asked_again_oldest"],
    }


def trials(chosen: argparse.Namespace, server: ServerProcess, place: Path) -> list[dict[str, Any]]:
    tasks = place / "tasks.jsonl"
    lines = (json.dumps({"id": f"t{n:04}", "prompt": question(n)}) for n in range(chosen.tasks))
    tasks.write_text("\n".join(lines) + "\n")
    model = f"openai:any@{server.url}"
    fixed = ("--target", model, "--judge", model, "--tools", chosen.tools, "--max-rounds", "2")
    limits = ("--concurrency", str(chosen.concurrency), "--connections", str(chosen.connections))
    command = Command((str(tasks), *fixed, *limits))
    start = time.perf_counter()
    run(command, place / "whole", [], server)
    took = time.perf_counter() - start
    asked, wanted = server.stats(), rows(place / "whole")
    work = asked["seconds"]
    draw, found = random.Random(chosen.seed), []
    for number in range(chosen.runs):
        kills = moments(draw, chosen.kills, took - work, work * 0.8)
        found.append(trial(command, server, place / f"run{number}", kills, wanted))
        print(f"kill {number + 1}/{chosen.runs}: {found[-1]}", file=sys.stderr, flush=True)
    return found


def summary(found: list[dict[str, Any]], tasks: int, connections: int) -> dict[str, Any]:
    total = Counter({"runs": len(found)})
    for one in found:
        total.update({name: value for name, value in one.items() if isinstance(value, int)})
    over = sum(one["asked_again"] > one["kills"] * connections for one in found)
    most = max((one["asked_again"] / one["kills"] for one in found if one["kills"]), default=0.0)
    shown = {
        "runs killed": total["runs"],
        "kills": total["kills"],
        "tasks a run": tasks,
        "rows lost": total["lost"],
        "rows doubled": total["doubled"],
        "rows that differ from an unkilled run's": total["different"],
        "calls": total["calls"],
        "calls in flight at once, at most": connections,
        "calls the server had not answered at the kills": total["abandoned"],
        "calls asked again": total["asked_again"],
        "of these, calls the server had answered": total["repeated"],
        "calls asked again for each kill, most in a run": round(most, 1),
        "runs in which more calls were asked again than were in flight": over,
    }
    return {"columns": ["", ""], "rows": [[name, number] for name, number in shown.items()]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--kills", type=int, default=3, help="at most, in each run; at least one")
    parser.add_argument("--tasks", type=int, default=60)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--tools", default="answer_form", help="as for synth, such as FILE.py:NAME of a slow one")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--scale", type=float, default=1.0, help="of --runs")
    parser.add_argument("--json", type=Path, default=FOLDER / "kill.json")
    chosen = parser.parse_args()
    chosen.runs = max(1, round(chosen.runs * chosen.scale))
    options = ("--latency", "0.1", "--accept", "0.6")
    with tempfile.TemporaryDirectory() as place, ServerProcess(*options) as server:
        found = trials(chosen, server, Path(place))
    notes = "SIGKILL at random moments, four of five while calls are made; then the same command again, until it ends."
    command = f"python -m benchmarks.kill --runs {chosen.runs} --kills {chosen.kills} --tasks {chosen.tasks}"
    save(chosen.json, "A run that is killed", command, [summary(found, chosen.tasks, chosen.connections)], notes, found)


if __name__ == "__main__":
    main()
