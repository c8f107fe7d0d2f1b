"""Two workers on a Ray cluster of two nodes against one, and against themselves when one is killed.

    python -m benchmarks.cluster --tasks 2000            # takes a quarter of an hour

Both nodes are on this machine. The server's latency and a small concurrency per worker make waiting, not
CPU, what a run is made of, as it is with nodes of their own. Seconds are the server's, from its first
request to its last answer, so starting Ray and the workers is left out; it is a column of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anyprefer.graph.runs.workers.driver import QUIET
from benchmarks.engines.measure import question
from benchmarks.kill import compare, rows
from benchmarks.process import ServerProcess
from benchmarks.report import FOLDER, save

CALLS = 5
"""Of a task: tools are chosen, candidates sampled, knowledge aggregated, answers judged, the pair rated."""


@contextmanager
def two_nodes() -> Iterator[str]:
    """The address of a cluster of two nodes on this machine, each with room for one worker."""
    os.environ.update(QUIET)
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes.add_node(num_cpus=1)
    try:
        yield nodes.address
    finally:
        nodes.shutdown()


async def play(chosen: argparse.Namespace, url: str, folder: Path, workers: int, address: str, kill: bool) -> float:
    """One run. With `kill`, one of its workers ends by SIGKILL when half of the rows are there. Seconds until the first row."""
    from anyprefer.graph import asynth

    model, done, start, first = f"openai:any@{url}", 0, time.perf_counter(), 0.0
    tasks = [{"id": f"t{n:06}", "prompt": question(n)} for n in range(chosen.tasks)]
    settings = {"concurrency": workers * chosen.concurrency, "workers": workers, "ray": address, "max_rounds": 1}
    async for _ in asynth(tasks, folder=folder, target=model, judge=model, tools=["answer_form"], **settings):
        first = first or time.perf_counter() - start
        done += 1
        if kill and done == chosen.tasks // 2:
            os.kill(next(worker_processes()), signal.SIGKILL)
    return first


def worker_processes() -> Iterator[int]:
    """Workers of this process's cluster: their parent is a node's raylet, which is our child."""
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{process}/cmdline").read_text()
            if command.startswith("ray::Worker") and _parent(_parent(process)) == os.getpid():
                yield int(process)
        except OSError:
            continue


def _parent(process: str | int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()[1])


def measure(chosen: argparse.Namespace, place: Path) -> dict[str, dict[str, Any]]:
    """What became of each run, by its name; the first is what the others' rows are compared with."""
    found: dict[str, dict[str, Any]] = {}
    wanted: list[dict[str, Any]] = []
    with two_nodes() as address:
        for name, workers, kill in (
            ("1 worker", 1, False),
            ("2 workers", 2, False),
            ("2 workers, one killed", 2, True),
        ):
            with ServerProcess("--latency", str(chosen.latency)) as server:
                first = asyncio.run(play(chosen, server.url, place / name, workers, address, kill))
                asked = server.stats()
            got = rows(place / name)
            wanted = wanted or got
            counted = {key: asked[key] for key in ("calls", "peak", "seconds", "abandoned", "asked_again", "repeated")}
            found[name] = {**counted, **compare(wanted, got), "rows": len(got), "first_row": round(first, 1)}
            print(f"{name}: {found[name]}", flush=True)
    return found


def shown(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    columns = [
        "run",
        "tasks/s",
        "1 worker = 1",
        "calls in flight at most",
        "rows lost",
        "rows doubled",
        "rows that differ",
    ]
    columns += ["calls in flight at the kill", "calls asked again", "seconds to the first row"]
    alone = found["1 worker"]["rows"] / found["1 worker"]["seconds"]
    lines = []
    for name, one in found.items():
        rate = one["rows"] / one["seconds"]
        told = [one[key] for key in ("peak", "lost", "doubled", "different", "abandoned", "asked_again", "first_row")]
        lines.append([name, f"{rate:.2f}", f"{rate / alone:.2f}", *told])
    return {"columns": columns, "rows": lines}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--latency", type=float, default=1.0, help="seconds until the server answers")
    parser.add_argument("--concurrency", type=int, default=32, help="tasks in flight, of each worker")
    parser.add_argument("--scale", type=float, default=1.0, help="of --tasks")
    parser.add_argument("--json", type=Path, default=FOLDER / "cluster.json")
    chosen = parser.parse_args()
    chosen.tasks = max(10, round(chosen.tasks * chosen.scale))
    with tempfile.TemporaryDirectory() as place:
        found = measure(chosen, Path(place))
    notes = (
        f"{chosen.tasks} tasks of {CALLS} calls, {chosen.concurrency} in flight a worker, answers after "
        f"{chosen.latency:g} s; two nodes on one machine. The killed worker's tasks are resumed in a new one."
    )
    command = f"python -m benchmarks.cluster --tasks {chosen.tasks} --latency {chosen.latency:g} --concurrency {chosen.concurrency}"
    save(chosen.json, "Workers on a Ray cluster", command, [shown(found)], notes, found)


if __name__ == "__main__":
    main()
