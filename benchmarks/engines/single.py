"""Calls of one model, many in flight: what the transport alone takes.

    python benchmarks/engines/single.py --url http://127.0.0.1:8123/v1 --tasks 5000 --concurrency 256 --client ours

Clients: `aiohttp` posts and reads JSON with nothing around it, `ours` is `load_model(...).ainvoke`,
`chatopenai` and `chatopenai-aiohttp` are LangChain's object over httpx and over aiohttp.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from game import TRANSPORTS, close, model
from measure import Clock, options, question

Call = Callable[[str], Awaitable[str]]


async def run(chosen: Any) -> dict[str, Any]:
    """`concurrency` workers take questions until there are none left."""
    call, close = raw(chosen) if chosen.client == "aiohttp" else langchain(chosen)
    questions = iter(range(chosen.tasks))
    answers, errors = [], []

    async def work() -> None:
        for number in questions:
            try:
                answers.append(await call(question(number)))
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}")

    with Clock() as clock:
        await asyncio.gather(*(work() for _ in range(chosen.concurrency)))
    await close()
    counted = {"tasks": len(answers), "distinct": len(set(answers)), "errors": len(errors), "reasons": errors[:1]}
    return {"clock": clock, "counted": counted}


def raw(chosen: Any) -> tuple[Call, Callable[[], Awaitable[Any]]]:
    import aiohttp

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=chosen.concurrency))

    async def call(text: str) -> str:
        body = {"model": "any", "messages": [{"role": "user", "content": text}]}
        async with session.post(f"{chosen.url}/chat/completions", json=body) as response:
            return str((await response.json())["choices"][0]["message"]["content"])

    return call, session.close


def langchain(chosen: Any) -> tuple[Call, Callable[[], Awaitable[Any]]]:
    from langchain_core.messages import HumanMessage

    given = model(chosen.client, chosen.url, chosen.concurrency)
    if isinstance(given, str):
        from anyprefer.models import load_model

        given = load_model(given)

    async def call(text: str) -> str:
        return str((await given.ainvoke([HumanMessage(text)])).text)

    return call, lambda: close(given)


def main() -> None:
    chosen = options(__doc__, client={"choices": ("aiohttp", *TRANSPORTS), "default": "ours"})
    result = asyncio.run(run(chosen))
    result["clock"].report("anyprefer", "langchain-openai", "openai", "aiohttp", **result["counted"])


if __name__ == "__main__":
    main()
