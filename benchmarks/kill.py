"""Kills `anyprefer synth` at random moments and runs the same command again until it ends, many times over.

    python -m benchmarks.kill --runs 100

Each run has a folder of its own and is killed (SIGKILL) up to --kills times; in every second one the target is no
model but rolls out (`kill_players.py`), and two slow tools look at task and answers. Afterwards it must hold every
task exactly once, with the same rows as a run that was never killed (`seconds` fields aside), and no more acts may
have been made again than were in flight at the kills. For the run an act is in flight until its value is in the
ledger: at most --connections calls; of a task, its rollouts and a tool use, or a tool use a candidate. The server, or
the tool, has answered some of these already. So acts made again are held against kills times that, run by run.
"""

from __future__ import annotations

import argparse
import json
import os
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
from benchmarks.kill_players import ACTS
from benchmarks.process import ServerProcess
from benchmarks.report import FOLDER, save

SYNTH = (sys.executable, "-c", "from anyprefer.cli import main; main()", "synth")
ROWS = ("rows*.jsonl", "failed.jsonl")
PLAYERS = Path(__file__).with_name("kill_players.py")
CANDIDATES = 5


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


@dataclass
class Game:
    """A command, and what a run of it that is never killed does."""

    target: str
    command: Command
    acts: Counter[str] = field(default_factory=Counter)
    """How often each tool use and rollout begins."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    """From start to end."""
    work: float = 0.0
    """From the first call to the last."""

    def play(self, server: ServerProcess, folder: Path, kills: Sequence[Moment]) -> tuple[int, dict[str, Any]]:
        """How many of `kills` met the run alive, and what the server saw."""
        server.reset()
        os.environ[ACTS] = str(folder.with_suffix(".acts"))
        return run(self.command, folder, kills, server), server.stats()

    def measure(self, server: ServerProcess, folder: Path) -> None:
        """Plays it once, unkilled."""
        begun = time.perf_counter()
        self.work = self.play(server, folder, [])[1]["seconds"]
        self.seconds = time.perf_counter() - begun
        self.acts, self.rows = begun_acts(folder), rows(folder)


def begun_acts(folder: Path) -> Counter[str]:
    lines = folder.with_suffix(".acts").read_text().splitlines()
    return Counter(line.removeprefix("begin ") for line in lines if line.startswith("begin "))


def trial(game: Game, server: ServerProcess, folder: Path, kills: Sequence[Moment]) -> dict[str, Any]:
    met, asked = game.play(server, folder, kills)
    counted = {name: asked[name] for name in ("calls", "abandoned", "asked_again", "repeated")}
    acts = begun_acts(folder)
    again = acts - game.acts
    return {
        "target": game.target,
        "kills": met,
        **compare(game.rows, rows(folder)),
        **counted,
        "tool_uses": sum(count for name, count in acts.items() if name.startswith("tool ")),
        "tools_again": sum(count for name, count in again.items() if name.startswith("tool ")),
        "rollouts": sum(count for name, count in acts.items() if name.startswith("rollout ")),
        "rollouts_again": sum(count for name, count in again.items() if name.startswith("rollout ")),
        "again_roles": asked["asked_again_roles"],
        "oldest": asked["asked_again_oldest"],
    }


def trials(chosen: argparse.Namespace, server: ServerProcess, place: Path) -> list[dict[str, Any]]:
    tasks = place / "tasks.jsonl"
    lines = (json.dumps({"id": f"t{n:04}", "prompt": question(n)}) for n in range(chosen.tasks))
    tasks.write_text("\n".join(lines) + "\n")
    model = f"openai:any@{server.url}"
    limits = ("--concurrency", str(chosen.concurrency), "--connections", str(chosen.connections))
    fixed = ("--judge", model, "--tools", str(PLAYERS), "--max-rounds", "2", *limits)
    games = [
        Game(kind, Command((str(tasks), "--target", target, *fixed)))
        for kind, target in (("model", model), ("rollouts", f"{PLAYERS}:Policy"))
    ]
    for game in games:
        game.measure(server, place / f"whole-{game.target}")
    draw, found = random.Random(chosen.seed), []
    for number in range(chosen.runs):
        game = games[number % 2]
        kills = moments(draw, chosen.kills, game.seconds - game.work, game.work * 0.8)
        found.append(trial(game, server, place / f"run{number}", kills))
        print(f"kill {number + 1}/{chosen.runs}: {found[-1]}", file=sys.stderr, flush=True)
    return found


def summary(found: list[dict[str, Any]], tasks: int, connections: int, concurrency: int) -> dict[str, Any]:
    total = Counter({"runs": len(found)})
    for one in found:
        total.update({name: value for name, value in one.items() if isinstance(value, int)})
    most = {"calls": connections, "tool uses": concurrency * CANDIDATES, "rollouts": concurrency}
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
        "tool uses": total["tool_uses"],
        "tool uses in flight at once, at most": most["tool uses"],
        "tool uses made again": total["tools_again"],
        "rollouts (a task's candidates together)": total["rollouts"],
        "rollouts in flight at once, at most": most["rollouts"],
        "rollouts made again": total["rollouts_again"],
        **{
            f"runs with more {name} made again than were in flight": sum(
                one[again] > one["kills"] * most[name] for one in found
            )
            for name, again in zip(most, ("asked_again", "tools_again", "rollouts_again"), strict=True)
        },
    }
    return {"columns": ["", ""], "rows": [[name, number] for name, number in shown.items()]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--kills", type=int, default=3, help="at most, in each run; at least one")
    parser.add_argument("--tasks", type=int, default=60)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--connections", type=int, default=16)
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
    save(
        chosen.json,
        "A run that is killed",
        command,
        [summary(found, chosen.tasks, chosen.connections, chosen.concurrency)],
        notes,
        found,
    )


if __name__ == "__main__":
    main()
