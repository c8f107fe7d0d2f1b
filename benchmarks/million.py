"""A million tasks with players that answer at once: memory and rate of the engine itself, rows on disk.

    python -m benchmarks.million --tasks 1000000         # some GB of disk; --place DIR says where

No model and no tools, C = 2, one round. The run, and then the same call on the finished folder, are each a
process of their own; every few seconds the rows so far and the resident memory are written down.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.engines.measure import cpu, question
from benchmarks.report import FOLDER, ROOT, save

PAGE = 4096
EVERY = 5.0
"""Seconds between samples."""


def memory() -> float:
    """Resident MiB now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 2**20


def tasks(count: int) -> Iterator[dict[str, str]]:
    return ({"id": f"t{n:07}", "prompt": question(n)} for n in range(count))


def players() -> dict[str, Any]:
    """Target, judge and reward that answer at once and hold nothing."""
    from anyprefer.graph import Judge, Judgment, Reward

    class Instant:
        name = "instant"

        async def sample(self, task: Any, prompt: str, seeds: Sequence[int]) -> list[str]:
            return [f"{seed} is what came out." for seed in seeds]

        async def rate(self, state: Any, pair: Any) -> Any:
            return Reward(score=9, analysis="One is better.")

    class ByPlace(Judge):
        name = "by place"

        async def score(self, state: Any) -> list[Any]:
            return [Judgment(candidate=one.index, score=9 - one.index) for one in state["candidates"]]

    return {"target": Instant(), "judge": ByPlace(), "reward": Instant(), "tools": ()}


async def play(count: int, folder: Path, resume: bool, concurrency: int) -> dict[str, Any]:
    """One pass; the rows it gave out, and (seconds, rows, MiB) every few seconds."""
    from anyprefer.graph import asynth

    more = {"resume": resume} if "resume" in inspect.signature(asynth).parameters else {}
    start, given = time.perf_counter(), 0
    samples: list[tuple[float, int, float]] = []

    async def watch() -> None:
        while True:
            samples.append((round(time.perf_counter() - start, 1), given, round(memory(), 1)))
            await asyncio.sleep(EVERY)

    watcher = asyncio.create_task(watch())
    stream = asynth(
        tasks(count), folder=folder, candidates=2, max_rounds=1, concurrency=concurrency, **players(), **more
    )
    async for _ in stream:
        given += 1
    watcher.cancel()
    seconds = time.perf_counter() - start
    samples.append((round(seconds, 1), given, round(memory(), 1)))
    most = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    return {"given": given, "seconds": round(seconds, 2), "cpu": round(cpu(), 2), "most_mib": most, "samples": samples}


def part(name: str, chosen: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """`play` in a process of its own."""
    options = ["--tasks", str(chosen.tasks), "--concurrency", str(chosen.concurrency), "--place", str(folder)]
    command = [sys.executable, "-m", "benchmarks.million", "--part", name, *options]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def lines(folder: Path) -> int:
    """Rows on disk."""
    count = 0
    for file in [*folder.glob("rows*.jsonl"), *folder.glob("failed.jsonl")]:
        with file.open("rb") as opened:
            count += sum(1 for _ in opened)
    return count


def over_time(samples: list[list[float]], parts: int = 10) -> dict[str, Any]:
    """Rate and memory by tenths of the run."""
    step = max(1, len(samples) // parts)
    kept = samples[::step] if samples[::step][-1] == samples[-1] else [*samples[::step], samples[-1]]
    table = [
        [f"{now:.0f}", int(rows), round((rows - before) / (now - then)) if now > then else "", round(mib)]
        for (then, before, _), (now, rows, mib) in pairwise(kept)
    ]
    return {"columns": ["seconds", "rows", "rows/s since the line before", "resident MiB"], "rows": table}


def report(chosen: argparse.Namespace, folder: Path) -> None:
    first = part("play", chosen, folder)
    on_disk, size = lines(folder), sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    again = part("resume", chosen, folder)
    shown = {
        "tasks": chosen.tasks,
        "rows on disk": on_disk,
        "wall s": first["seconds"],
        "rows/s": round(first["given"] / first["seconds"]),
        "CPU ms a row": round(1000 * first["cpu"] / chosen.tasks, 3),
        "most resident MiB": first["most_mib"],
        "disk MiB": round(size / 2**20),
        "the same again, finished: wall s": again["seconds"],
        "the same again: rows given out": again["given"],
        "the same again: most resident MiB": again["most_mib"],
        "the same again: rows on disk": lines(folder),
    }
    total = {"columns": ["", ""], "rows": [[name, number] for name, number in shown.items()]}
    command = f"python -m benchmarks.million --tasks {chosen.tasks} --concurrency {chosen.concurrency}"
    notes = "Players that answer at once, C = 2, no tools, one round, every row written to the run folder."
    data = {"play": first, "resume": again}
    save(chosen.json, "Many tasks", command, [total, over_time(first["samples"])], notes, data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--place", type=Path, help="the run folder, kept; without it a temporary one")
    parser.add_argument("--scale", type=float, default=1.0, help="of --tasks")
    parser.add_argument("--json", type=Path, default=FOLDER / "million.json")
    parser.add_argument("--part", choices=("play", "resume"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    chosen.tasks = max(1, round(chosen.tasks * chosen.scale))
    if chosen.part:
        done = play(chosen.tasks, chosen.place, chosen.part == "resume", chosen.concurrency)
        print(json.dumps(asyncio.run(done)))
    elif chosen.place:
        report(chosen, chosen.place)
    else:
        with tempfile.TemporaryDirectory() as folder:
            report(chosen, Path(folder) / "run")


if __name__ == "__main__":
    main()
