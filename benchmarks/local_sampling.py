"""How fast a local model samples: ours, transformers' `generate`, and any server of the OpenAI protocol.

    python benchmarks/local_sampling.py --repeats 3 --json sampling.json
    python benchmarks/local_sampling.py --model hf:Qwen/Qwen2.5-7B-Instruct --prompts 200
    python benchmarks/local_sampling.py --server http://127.0.0.1:8080/v1 --server-model smollm2

Every engine answers the same prompts with the same number of candidates; the repeats are interleaved.
The naive loop asks for one candidate at a time and is therefore given fewer of them (`--naive`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from anyprefer.models.local.prompts import Prompt
from anyprefer.models.local.sampling import Sampling, draw
from anyprefer.models.local.weights import Weights, load_weights, use_threads
from anyprefer.training.evaluation.families import FAMILIES

TEMPERATURE = 0.7
Engine = Callable[[int], int]
"""One pass with a seed; returns the tokens it made."""


def questions(count: int) -> list[str]:
    """Half sums, half facts, from the families' training splits."""
    halves = (count - count // 2, count // 2)
    return [
        task.prompt
        for name, share in zip(("sums", "facts"), halves, strict=True)
        for task in FAMILIES[name].make(share, 0, "train")
    ]


def token_ids(weights: Weights, prompts: list[str]) -> list[list[int]]:
    chats = [[{"role": "user", "content": prompt}] for prompt in prompts]
    return sorted(
        (weights.tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False) for chat in chats),
        key=lambda ids: (len(ids), ids),
    )


def ours(weights: Weights, prompts: list[list[int]], candidates: int, tokens: int, batch: int) -> Engine:
    jobs = [Prompt(tuple(ids)) for ids in prompts for _ in range(candidates)]

    def run(seed: int) -> int:
        made = 0
        for start in range(0, len(jobs), batch):
            part = jobs[start : start + batch]
            rows = [Sampling(TEMPERATURE, 1.0, 1000 * seed + start + at, tokens) for at in range(len(part))]
            made += sum(answer.tokens for answer in draw(weights, part, rows))
        return made

    return run


def generate(weights: Weights, prompts: list[list[int]], candidates: int, tokens: int, batch: int) -> Engine:
    """`model.generate` with `batch` rows, the candidates of a prompt as `num_return_sequences`."""
    at_once = max(1, batch // candidates)
    ends = weights.model.generation_config.eos_token_id
    ends = torch.tensor(ends if isinstance(ends, list) else [ends])

    @torch.inference_mode()
    def run(seed: int) -> int:
        torch.manual_seed(seed)
        made = 0
        for start in range(0, len(prompts), at_once):
            part = prompts[start : start + at_once]
            inputs = weights.tokenizer.pad({"input_ids": part}, padding=True, return_tensors="pt")
            out = weights.model.generate(
                **inputs.to(weights.model.device),
                max_new_tokens=tokens,
                do_sample=True,
                temperature=TEMPERATURE,
                top_k=0,
                top_p=1.0,
                num_return_sequences=candidates,
                pad_token_id=weights.tokenizer.pad_token_id,
            )
            made += _made(out[:, inputs["input_ids"].shape[1] :].cpu(), ends)
        return made

    return run


def _made(answers: torch.Tensor, ends: torch.Tensor) -> int:
    """Tokens up to each row's first end token, itself counted; answers: (B, T)."""
    ended = torch.isin(answers, ends)
    length = torch.where(ended.any(dim=1), ended.int().argmax(dim=1) + 1, answers.shape[1])
    return int(length.sum())


def naive(weights: Weights, prompts: list[list[int]], calls: int, tokens: int) -> Engine:
    """One `generate` a candidate, for the first `calls` of them, spread over the prompts."""
    chosen = [prompts[at * len(prompts) // calls] for at in range(calls)]
    return generate(weights, chosen, 1, tokens, 1)


def server(url: str, model: str, prompts: list[str], candidates: int, tokens: int) -> Engine:
    """A server of the OpenAI protocol (llama.cpp, vLLM, SGLang), all calls in flight at once."""
    import openai

    async def ask() -> int:
        async with openai.AsyncOpenAI(base_url=url, api_key="none", timeout=3600) as client:
            replies = await asyncio.gather(
                *(
                    client.chat.completions.create(
                        model=model,
                        messages=[{"role": "user", "content": prompt}],
                        temperature=TEMPERATURE,
                        max_tokens=tokens,
                        extra_body={"top_k": 0, "min_p": 0},
                    )
                    for prompt in prompts
                    for _ in range(candidates)
                )
            )
        return sum(reply.usage.completion_tokens for reply in replies if reply.usage)

    return lambda seed: asyncio.run(ask())


def measure(engines: dict[str, Engine], repeats: int) -> dict[str, list[float]]:
    """Tokens a second of each engine and repeat; one short pass each warms up."""
    speeds: dict[str, list[float]] = {name: [] for name in engines}
    for repeat in range(repeats):
        for name, run in engines.items():
            began = time.perf_counter()
            made = run(repeat)
            speeds[name].append(made / (time.perf_counter() - began))
            print(f"# repeat {repeat}: {name} {speeds[name][-1]:.0f} tokens/s", flush=True)
    return speeds


def table(speeds: dict[str, list[float]]) -> str:
    """Medians with their range, and the median of the ratios to the first engine, repeat by repeat."""
    first = next(iter(speeds.values()))
    lines = ["| engine | tokens/s median [min, max] | times the first |", "|---|---|---|"]
    for name, values in speeds.items():
        ratio = statistics.median(value / base for value, base in zip(values, first, strict=True))
        lines.append(
            f"| {name} | {statistics.median(values):.0f} [{min(values):.0f}, {max(values):.0f}] | {ratio:.2f} |"
        )
    return "\n".join(lines)


def machine(weights: Weights) -> str:
    device = weights.model.device
    named = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return f"{device.type} ({named}), {torch.get_num_threads()} threads of torch {torch.__version__}, {weights.model.dtype}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2", help="smollm2 or hf:ID-or-folder")
    parser.add_argument("--prompts", type=int, default=40)
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=64, help="most tokens of an answer")
    parser.add_argument("--batch", type=int, default=160)
    parser.add_argument("--naive", type=int, default=16, help="calls of the naive loop in a repeat")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--server", help="URL of a running OpenAI-protocol server of the same model")
    parser.add_argument("--server-model", default="default")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()

    use_threads(given.threads)
    weights = load_weights(given.model.removeprefix("hf:"))
    weights.model.eval()
    asked = questions(given.prompts)
    prompts = token_ids(weights, asked)
    shape = (given.candidates, given.tokens, given.batch)
    engines: dict[str, Engine] = {
        "one generate a candidate": naive(weights, prompts, given.naive, given.tokens),
        "batched generate": generate(weights, prompts, *shape),
        "ours": ours(weights, prompts, *shape),
    }
    if given.server:
        engines[f"server {given.server_model}"] = server(
            given.server, given.server_model, asked, given.candidates, given.tokens
        )
    for run in (naive(weights, prompts, 1, 2), ours(weights, prompts[:2], 2, 2, 4)):
        run(0)
    speeds = measure(engines, given.repeats)
    result: dict[str, Any] = {"machine": machine(weights), "arguments": {**vars(given), "json": str(given.json)}}
    print(f"\n{given.prompts} prompts × {given.candidates} candidates, up to {given.tokens} tokens, T = {TEMPERATURE}")
    print(f"{result['machine']}\n\n{table(speeds)}")
    if given.json:
        given.json.write_text(json.dumps({**result, "tokens_per_second": speeds}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
