"""Adapters loaded into a running server, and iterations of a target that such a server plays."""

import asyncio
import json
import threading
from collections import Counter

import pytest
from aiohttp import web

from anyprefer.core.errors import SettingsError, TrainingError
from anyprefer.core.results import EvalResult
from anyprefer.graph import RunSettings, Task
from anyprefer.tools import TOOLS, Finding, tool
from anyprefer.training.loop.iterate import Plan, iterate
from anyprefer.training.trainers.by_name import trainer
from anyprefer.training.trainers.serving import serve_adapter

TRAINING = {"epochs": 1, "batch_size": 2, "lora_r": 2, "max_length": 64, "learning_rate": 1e-3}


class LoraServer:
    """Answers chat requests for the models it knows, and loads adapters as vLLM or SGLang do (or refuses)."""

    def __init__(self, path="/v1/load_lora_adapter", refusal=None):
        self.models, self.loads, self.asked = {"base"}, [], Counter()
        self._path, self._refusal = path, refusal
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(self, *error):
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _start(self):
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        if self._path:
            app.router.add_post(self._path, self._load)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def _load(self, request):
        body = await request.json()
        if self._refusal:
            return web.json_response({"message": self._refusal}, status=400)
        if body["lora_name"] in self.models:
            return web.json_response({"message": "The lora adapter has already been loaded."}, status=400)
        self.models.add(body["lora_name"])
        self.loads.append(body)
        return web.Response(text="Success")

    async def _chat(self, request):
        body = await request.json()
        if body["model"] not in self.models:
            return web.json_response({"error": {"message": "no such model"}}, status=404)
        self.asked[body["model"]] += 1
        choices = [
            {
                "index": at,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "yes" * (1 + (self.asked[body["model"]] + at) % 5)},
            }
            for at in range(body.get("n") or 1)
        ]
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        return web.json_response({"id": "1", "object": "chat.completion", "created": 1, "model": body["model"],
                                  "choices": choices, "usage": usage})  # fmt: skip


@pytest.fixture
def adapter(tmp_path):
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": 2}))
    return folder


@pytest.mark.parametrize("path", ["/v1/load_lora_adapter", "/load_lora_adapter"])
def test_both_servers_load_an_adapter_once(path, adapter):
    with LoraServer(path) as server:
        serve_adapter(server.url, "round-1", adapter)
        serve_adapter(server.url, "round-1", adapter)
        assert server.loads == [{"lora_name": "round-1", "lora_path": str(adapter)}]


def test_a_server_without_lora_names_the_mend(adapter):
    with LoraServer(path=None) as server, pytest.raises(TrainingError, match="VLLM_ALLOW_RUNTIME_LORA_UPDATING"):
        serve_adapter(server.url, "round-1", adapter)


def test_a_refusal_is_passed_on(adapter):
    with LoraServer(refusal="rank 128 is over max_lora_rank") as server, pytest.raises(TrainingError, match="rank 128"):
        serve_adapter(server.url, "round-1", adapter)


def test_no_server_and_no_adapter_are_named(adapter, tmp_path):
    with pytest.raises(TrainingError, match="no server answers at http://127"):
        serve_adapter("http://127.0.0.1:9/v1", "round-1", adapter)
    with pytest.raises(TrainingError, match="no adapter to serve"):
        serve_adapter("http://127.0.0.1:9/v1", "round-1", tmp_path)


def plan(target, base, **training):
    tasks = [Task(id=str(n), prompt=f"Say {n}") for n in range(6)]
    settings = RunSettings(
        target=target, judge="evidence", tools=("answer_length",), candidates=3, threshold=1.0, max_rounds=1
    )
    trained = trainer("text_dpo", {**TRAINING, **training}, "embedded")
    return Plan(settings, trained, 2, lambda number: tasks[(number - 1) * 3 : number * 3], start=base)


def test_a_served_target_is_sampled_there_trained_here_and_served_again(tiny, tmp_path, monkeypatch):
    @tool
    def answer_length(candidate, *, most: int = 40) -> Finding:
        """Prefers short answers."""
        return Finding("length", verdict=max(0.0, 1 - len(candidate.text) / most))

    monkeypatch.setattr(TOOLS, "get", {"answer_length": answer_length}.get)

    def evaluate(target, number, home):
        marks = {str(task): task < number for task in range(9)}
        return {"short": EvalResult(model="m", n=9, correct=number, marks=marks, seed=0, temperature=0.0, max_tokens=8)}

    with LoraServer() as server:
        played = plan(f"openai:base@{server.url}", f"hf:{tiny}")
        done = iterate(played, tmp_path, evaluate)
        names = [body["lora_name"] for body in server.loads]
        assert [it.target for it in done] == [f"openai:{name}@{server.url}" for name in ("base", *names)]
        assert server.asked["base"] >= 1
        assert server.asked[names[0]] >= 1
        first = tmp_path / "iteration-1" / "adapter"
        assert server.loads[0]["lora_path"] == str(first)
        report = json.loads((tmp_path / "iteration-2" / "adapter" / "anyprefer.json").read_text())
        assert report["base"] == str(first)

        server.models = {"base"}  # a restarted server is given its adapters again
        assert iterate(played, tmp_path, evaluate) == done
        assert set(names) <= server.models


@pytest.mark.parametrize(
    ("target", "base", "said"),
    [
        ("openai:base@http://127.0.0.1:9/v1", "", "--base hf:"),
        ("openai:base@http://127.0.0.1:9/v1", "openai:other", "base 'openai:other' cannot be trained"),
        ("smollm2", "hf:other", "a base is for a target behind a URL"),
    ],
)
def test_target_and_base_must_fit(target, base, said, tmp_path):
    with pytest.raises(SettingsError, match=said):
        iterate(plan(target, base), tmp_path / "out", lambda *given: {})


def test_a_server_is_given_no_merged_model(tmp_path):
    merged = plan("openai:base@http://127.0.0.1:9/v1", "hf:base", adapter="merge")
    with pytest.raises(SettingsError, match="leave adapter at chain"):
        iterate(merged, tmp_path / "out", lambda *given: {})
