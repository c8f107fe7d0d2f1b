"""Runs the benchmarks that need a model server, engines in turn.

    python -m benchmarks.run game single --repeats 3     # names: game single peers peers_64 faults limits kill million
    eval "$(benchmarks/peers.sh)"                        # before the peers, and for curator's line in `single`
    python -m benchmarks.run game --repeats 1 --scale 0.1

Every result is a JSON file in --out and a section of the page that `python -m benchmarks.report` makes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.process import Engine, measure
from benchmarks.report import FOLDER, ROOT, save

PEERS = ("curator", "data_designer", "distilabel")


def peer(name: str, steps: int, tasks: int, *options: str) -> list[Engine]:
    """The peer's program with its own Python; none where NAME_PYTHON is not set."""
    python = os.environ.get(f"{name.upper()}_PYTHON")
    if not python:
        print(f"{name} is left out: {name.upper()}_PYTHON is not set, see benchmarks/peers.sh", file=sys.stderr)
        return []
    title = f"{name.replace('_', '-')}, {'generate' if steps == 1 else 'generate, judge'}"
    return [Engine(title, f"peer_{name}.py", tasks, ("--steps", str(steps), *options), python)]


def game(transport: str, tasks: int, *options: str, name: str = "", server: Sequence[str] = ()) -> Engine:
    """64 tasks in flight, and room for the calls of all of them."""
    wide = ("--concurrency", "64", "--connections", "320", "--transport", transport)
    return Engine(name or transport, "game.py", tasks, (*wide, *options), server=tuple(server))


def single(client: str, tasks: int) -> Engine:
    return Engine(client, "single.py", tasks, ("--client", client))


def games() -> list[Engine]:
    """The strings' transport also against a server that knows no `n`, as the objects see it in any case."""
    lone = game("ours", 300, name="ours, server without n", server=("--n", "ignore"))
    return [game("ours", 300), lone, game("chatopenai-aiohttp", 300), game("chatopenai", 300)]


def singles() -> list[Engine]:
    ours = [single(client, 5000) for client in ("ours", "aiohttp", "chatopenai-aiohttp", "chatopenai")]
    return [*ours, *peer("curator", 1, 5000)]


def peers() -> list[Engine]:
    found = [engine for steps in (1, 2) for name in PEERS for engine in peer(name, steps, 5000 // steps)]
    as_wide = ("--concurrency", "256", "--connections", "256")
    ours = [
        game("ours", 900, *as_wide, name="ours, the whole game"),
        replace(single("ours", 5000), name="ours, one call"),
    ]
    return [*ours, *found]


def peers_64() -> list[Engine]:
    """As many tasks in flight on both sides as `game` has."""
    found = [engine for name in PEERS for engine in peer(name, 2, 1000, "--concurrency", "64")]
    return [game("ours", 300, name="ours, the whole game"), *found]


def faults() -> list[Engine]:
    patient = ("--settings", '{"timeout": 10}')
    faulty = [game(transport, 500, *patient, server=("--faults",)) for transport in ("ours", "chatopenai-aiohttp")]
    away = game("ours", 500, name="ours, outage of 20 s", server=("--die-at", "1", "--dead-for", "20"))
    refused = game("ours", 500, name="ours, key refused", server=("--unauthorized",))
    return [*faulty, away, refused]


RPM, TPM = 600, 90_000


def limits() -> list[Engine]:
    """Each for well over two minutes, so that many windows of 60 s are seen."""
    rpm = game("ours", RPM * 3 // 9, "--settings", f'{{"rpm": {RPM}}}', name=f"rpm = {RPM}")
    tpm = game("ours", TPM * 3 // 1750, "--settings", f'{{"tpm": {TPM}}}', name=f"tpm = {TPM}")
    return [rpm, tpm]


Maker = Callable[[list[Engine], dict[str, list[dict[str, Any]]]], dict[str, Any]]


def speeds(engines: list[Engine], runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Answers a second and CPU an answer, with ratios to the first engine. A request with n = 5 has five answers."""
    columns = ["engine", "tasks", "requests", "answers", "tasks/s", "answers/s", "CPU ms an answer"]
    columns += ["answers/s, first = 1", "CPU, first = 1", "process: wall s", "process: CPU s", "peak in flight", "MiB"]
    rows, first = [], (0.0, 0.0)
    for engine in engines:
        good = [run for run in runs[engine.name] if "error" not in run]
        if not good:
            rows.append([engine.name, "failed", *[""] * (len(columns) - 2)])
            continue
        rate = [run["server"]["choices"] / run["wall"] for run in good]
        cost = [1000 * run["cpu"] / run["server"]["choices"] for run in good]
        middle = statistics.median(rate), statistics.median(cost)
        first = first if first[0] else middle
        rows.append(
            [
                engine.name,
                *(good[0]["tasks"], good[0]["server"]["ok"], good[0]["server"]["choices"]),
                spread([run["tasks"] / run["wall"] for run in good], 1),
                spread(rate, 0),
                spread(cost, 2),
                *(f"{mine / other:.2f}" for mine, other in zip(middle, first, strict=True)),
                spread([run["process_wall"] for run in good], 1),
                spread([run["process_cpu"] for run in good], 1),
                max(run["server"]["peak"] for run in good),
                round(statistics.median([run["rss_mib"] for run in good])),
            ]
        )
    return {"columns": columns, "rows": rows}


def survivals(engines: list[Engine], runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """How many rows failed, what the server did, and how often an answered request was sent again."""
    columns = ["engine", "tasks", "rows failed", "wall s", "requests", "429", "500", "half", "hang", "answered twice"]
    rows = []
    for engine in engines:
        for run in runs[engine.name]:
            asked, outcomes = run["server"], run.get("outcomes", {})
            hit = [asked["faults"].get(name, 0) for name in ("429", "500", "half", "hang")]
            failed = outcomes.get("failed", 0) if "error" not in run else "the run"
            wall = run.get("wall", run["process_wall"])
            rows.append([engine.name, engine.tasks, failed, wall, asked["calls"], *hit, asked["repeated"]])
    return {"columns": columns, "rows": rows}


def windows(engines: list[Engine], runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """The largest count in any 60 s beside the limit; needs a version with the setting."""
    columns = ["limit", "wall s", "calls", "most requests in 60 s", "most tokens in 60 s", "of the limit"]
    rows = []
    for engine in engines:
        for run in runs[engine.name]:
            asked, (kind, _, most) = run["server"], engine.name.partition(" = ")
            seen = asked["most_requests_in_60s"] if kind == "rpm" else asked["most_tokens_in_60s"]
            share = "no such setting" if kind in run.get("left_out", []) else f"{seen / int(most):.0%}"
            share = "failed" if "error" in run else share
            requests, tokens = asked["most_requests_in_60s"], asked["most_tokens_in_60s"]
            rows.append([engine.name, run.get("wall", "failed"), asked["calls"], requests, tokens, share])
    return {"columns": columns, "rows": rows}


def spread(values: list[float], digits: int) -> str:
    """`median (smallest to largest)`."""
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    middle = f"{statistics.median(values):.{digits}f}"
    return middle if len(values) == 1 else f"{middle} ({low} to {high})"


SUITES: dict[str, tuple[str, Callable[[], list[Engine]], Maker, str]] = {
    "game": (
        "The game over HTTP",
        games,
        speeds,
        "One round of the whole game (5 samples and select side by side, then aggregate, judge, reward: 9 calls), "
        "64 tasks in flight, C = 5, a server that answers in 0.2 s. CPU and rates are of the work, without imports.",
    ),
    "single": (
        "Single calls",
        singles,
        speeds,
        "256 calls in flight, a server that answers in 0.2 s (at most 1280 calls/s).\n",
    ),
    "peers": (
        "Beside other engines",
        peers,
        speeds,
        "Peers play what they are made for: one call a row, or generate then judge; ours plays its game. 256 calls in "
        "flight (distilabel: batches of 256, one a step, its steps in processes of their own), "
        "a server that answers in 0.2 s. Each engine's own set-up is part of its rates, imports are not.\n",
    ),
    "peers_64": (
        "Beside other engines, 64 tasks in flight",
        peers_64,
        speeds,
        "As above with 64 tasks in flight on every side (curator: requests; distilabel: batches of 64). Four answers of "
        "0.2 s in a row let 64 games have 720 answers/s at most.\n",
    ),
    "faults": (
        "A server that fails",
        faults,
        survivals,
        "20% 429 with Retry-After: 1, 5% 500, 2% half an answer, 0.5% hangs of 60 s; 10 s timeout, "
        "64 tasks in flight. Outage: the server closes its socket and all connections 1 s after the first call.",
    ),
    "limits": (
        "Limits a minute",
        limits,
        windows,
        "The largest sum in any 60 s, not in calendar minutes, seen by the server. Tokens count when they are answered.",
    ),
}


def run_suite(name: str, repeats: int, scale: float, out: Path) -> None:
    """Engines in turn, `repeats` times over."""
    title, make, summarise, notes = SUITES[name]
    engines = [replace(engine, tasks=max(2, round(engine.tasks * scale))) for engine in make()]
    repeats = 1 if name == "limits" else repeats
    runs: dict[str, list[dict[str, Any]]] = {engine.name: [] for engine in engines}
    for number in range(repeats):
        for engine in engines:
            result = measure(engine)
            runs[engine.name].append(result)
            told = result.get("error") or f"{result['wall']} s, {result['cpu']} s CPU, {result['server']['ok']} calls"
            print(f"{name} {number + 1}/{repeats} {engine.name}: {told}", file=sys.stderr, flush=True)
    command = f"python -m benchmarks.run {name} --repeats {repeats}" + (f" --scale {scale:g}" if scale != 1 else "")
    save(out / f"{name}.json", title, command, [summarise(engines, runs)], notes + peer_versions(engines, runs), runs)


def peer_versions(engines: list[Engine], runs: dict[str, list[dict[str, Any]]]) -> str:
    """What the peers' environments hold; ours is named at the end of the page."""
    theirs = [engine for engine in engines if engine.python != sys.executable]
    found = {", ".join(f"{n} {v}" for n, v in run.get("versions", {}).items()) for e in theirs for run in runs[e.name]}
    return "".join(f"\n- {one}" for one in sorted(found - {""}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=(*SUITES, "kill", "million"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of tasks, to try things out")
    parser.add_argument("--out", type=Path, default=FOLDER)
    chosen = parser.parse_args()
    for name in chosen.names:
        if name in SUITES:
            run_suite(name, chosen.repeats, chosen.scale, chosen.out)
        else:
            more = ["--json", str(chosen.out / f"{name}.json"), "--scale", str(chosen.scale)]
            subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *more], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
