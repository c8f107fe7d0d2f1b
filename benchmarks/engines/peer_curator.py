"""bespokelabs-curator: one call a row, or generate then judge (`--steps 2`). Run it with curator's own Python.

Kept off the network: its viewer and telemetry, tiktoken's download and litellm's price list. It is told
a wide rate limit, since it would otherwise ask the server for one.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

from measure import JUDGE, Clock, NoTokens, options, question


def offline(folder: str) -> None:
    os.environ.update(
        CURATOR_VIEWER="0",
        TELEMETRY_ENABLED="false",
        CURATOR_CACHE_DIR=folder or tempfile.mkdtemp(),
        OPENAI_API_KEY="none",
        HF_HUB_OFFLINE="1",
        LITELLM_LOCAL_MODEL_COST_MAP="True",
    )
    import tiktoken

    tiktoken.get_encoding = lambda name: NoTokens()


def main() -> None:
    chosen = options(
        __doc__,
        steps={"type": int, "default": 1},
        folder={"default": "", "help": "cache"},
        timeout={"type": int, "default": 0, "help": "of a request, in seconds; 0: curator's own"},
    )
    offline(chosen.folder)
    from bespokelabs import curator
    from datasets import Dataset

    class Generate(curator.LLM):
        def prompt(self, row: dict[str, Any]) -> str:
            return row["question"]

        def parse(self, row: dict[str, Any], response: str) -> dict[str, Any]:
            return {"question": row["question"], "answer": response}

    class Judge(Generate):
        def prompt(self, row: dict[str, Any]) -> str:
            return JUDGE.format(**row)

    parameters = {
        "base_url": chosen.url,
        "max_requests_per_minute": 10**6,
        "max_tokens_per_minute": 10**9,
        "max_concurrent_requests": chosen.concurrency,
        "require_all_responses": False,
        **({"request_timeout": chosen.timeout} if chosen.timeout else {}),
    }
    rows: Any = Dataset.from_list([{"question": question(n)} for n in range(chosen.tasks)])
    with Clock() as clock:
        for step in (Generate, Judge)[: chosen.steps]:
            made = step(model_name="gpt-4o-mini", backend="openai", backend_params=parameters)(rows)
            rows = getattr(made, "dataset", made)
    clock.report("bespokelabs-curator", "litellm", "openai", "aiohttp", tasks=len(rows))


if __name__ == "__main__":
    main()
