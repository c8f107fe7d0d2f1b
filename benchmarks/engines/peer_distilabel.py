"""distilabel: one call a row, or generate then judge (`--steps 2`). Run it with distilabel's own Python.

It has no setting for calls in flight: a step sends one batch at a time, so the batch size is what is set.
Its steps are processes of their own; the CPU time includes them.
"""

from __future__ import annotations

import os

os.environ.update(HF_HUB_OFFLINE="1", DISTILABEL_LOG_LEVEL="WARNING")

from typing import Any

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration
from measure import JUDGE, Clock, options, question


def main() -> None:
    chosen = options(__doc__, steps={"type": int, "default": 1}, folder={"default": "", "help": "cache"})
    rows = [{"instruction": question(n)} for n in range(chosen.tasks)]

    def step(name: str, **more: Any) -> TextGeneration:
        model = OpenAILLM(base_url=chosen.url, api_key="none", model="any", generation_kwargs={})
        return TextGeneration(name=name, llm=model, input_batch_size=chosen.concurrency, use_cache=False, **more)

    with Pipeline(name="bench", **({"cache_dir": chosen.folder} if chosen.folder else {})) as pipeline:
        load = LoadDataFromDicts(name="load", data=rows, batch_size=chosen.concurrency)
        generate = step("generate")
        if chosen.steps == 1:
            load >> generate
        else:
            template = JUDGE.format(question="{{ instruction }}", answer="{{ generation }}")
            columns = ["instruction", "generation"]
            judge = step("judge", template=template, columns=columns, output_mappings={"generation": "judgement"})
            load >> generate >> judge
    with Clock() as clock:
        made = pipeline.run(use_cache=False)["default"]["train"]
    last = made["generation" if chosen.steps == 1 else "judgement"]
    clock.report("distilabel", "openai", "httpx", tasks=sum(text is not None for text in last))


if __name__ == "__main__":
    main()
