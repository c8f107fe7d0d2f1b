"""The whole game through our graph, from `asynth`'s first row to its last.

    python benchmarks/engines/game.py --url http://127.0.0.1:8123/v1 --tasks 300 --concurrency 64 --transport ours

Transports, all behind the same graph: `ours` is the model string a user writes; `chatopenai` is the
LangChain object as it comes, `chatopenai-aiohttp` the same over aiohttp with enough connections.
All run on the event loop that `synth` and the command line have (uvloop where it is installed).
An accepted one-round task is 5 samples, select, aggregate, judge and reward: 9 calls.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

from measure import Clock, options, question

TRANSPORTS = ("ours", "chatopenai-aiohttp", "chatopenai")


def model(transport: str, url: str, connections: int) -> Any:
    """What is given as target and judge: a string or a chat model."""
    if transport == "ours":
        return f"openai:any@{url}"
    from langchain_openai import ChatOpenAI

    if transport == "chatopenai":
        return ChatOpenAI(model="any", base_url=url, api_key="none")
    import httpx
    from openai import DefaultAioHttpClient

    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    client = DefaultAioHttpClient(limits=limits)
    return ChatOpenAI(model="any", base_url=url, api_key="none", http_async_client=client)


async def close(given: Any) -> None:
    """Closes the client `model` made; aiohttp prints a long warning otherwise."""
    client = getattr(given, "http_async_client", None)
    if client:
        await client.aclose()


def settings(chosen: Any) -> dict[str, Any]:
    """The run's settings; those this version does not have are left out, and named in the result."""
    from anyprefer import graph

    fields = getattr(graph, "RunSettings", graph.Settings).model_fields  # older versions have one type

    wanted = {
        "candidates": chosen.candidates,
        "concurrency": chosen.concurrency,
        "connections": chosen.connections or 5 * chosen.concurrency,
        "tools": (chosen.tool,),
        **json.loads(chosen.settings),
    }
    return {name: value for name, value in wanted.items() if name in fields}


async def play(chosen: Any, given: Any, values: dict[str, Any]) -> dict[str, Any]:
    from anyprefer.graph import asynth

    tasks = ({"id": f"t{n}", "prompt": question(n)} for n in range(chosen.tasks))
    outcomes, calls, reasons, first = Counter[str](), 0, Counter[str](), 0.0
    start = time.perf_counter()
    async for row in asynth(tasks, target=given, judge=given, folder=chosen.folder or None, **values):
        first = first or time.perf_counter() - start
        outcomes[row.outcome] += 1
        calls += sum(used.calls for used in row.usage.values())
        if row.outcome != "accepted":
            reasons[row.reason[:120]] += 1
    await close(given)
    return {
        "tasks": outcomes.total(),
        "outcomes": dict(outcomes),
        "calls": calls,
        "first_row": round(first, 3),
        "reasons": dict(reasons.most_common(3)),
    }


def main() -> None:
    chosen = options(
        __doc__,
        transport={"choices": TRANSPORTS, "default": "ours"},
        candidates={"type": int, "default": 5},
        connections={"type": int, "default": 0, "help": "calls in flight; 0: five a task"},
        tool={"default": "answer_form"},
        folder={"default": "", "help": "run folder; without one nothing is written"},
        settings={"default": "{}", "help": "further settings as JSON"},
    )
    values = settings(chosen)
    import anyprefer.graph.runs.runner  # noqa: F401  (its import is no part of the work)
    from anyprefer.core.background_loop import run_blocking
    from anyprefer.models import load_model

    load_model(f"openai:any@{chosen.url}")  # imports what the first object of ChatOpenAI does, in every arm

    given = model(chosen.transport, chosen.url, chosen.connections or 5 * chosen.concurrency)
    with Clock() as clock:
        counted = run_blocking(play(chosen, given, values))
    unknown = sorted(set(json.loads(chosen.settings)) - set(values))
    clock.report("anyprefer", "langgraph", "langchain-openai", "openai", "aiohttp", **counted, left_out=unknown)


if __name__ == "__main__":
    main()
