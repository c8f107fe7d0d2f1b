"""The paper's whole chain with every setting of it, on its architectures made tiny and random.

Target: Llama-2's shape; reward model as a tool: FsfairX-LLaMA3-RM's; judge, reward and TextGrad's engine:
an OpenAI-protocol server; web search: a stand-in. Two iterations with the `paper` preset, unchanged.
"""

import json
import re
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from transformers import GenerationConfig

from anyprefer.core.records import Row
from anyprefer.graph import RunSettings, Task
from anyprefer.training.loop.iterate import Plan, Steps, iterate
from anyprefer.training.loop.settings import iterate_settings
from anyprefer.training.trainers.by_name import trainer
from anyprefer.training.trainers.dpo import TrainReport
from anyprefer.training.trainers.settings import train_settings
from tests import server as fake_server
from tests.server import OpenAIServer
from tests.stand_ins import FakeEngine, save_llama_2, save_reward_model

pytestmark = pytest.mark.slow

TRAINING = train_settings("paper", threads=1, dtype="float32")
LAYERS, MODULES = 2, 7
SAID = "The sum is"
"""What the second iteration's model is asked outside the game."""
ENDS = [2, *range(100, 115)]
"""Tokens that end an answer: with `</s>` alone one token in 320 would, and which answers are whole would be chance."""


def rated_again(play):
    """The fake server, but a task's first pair is a 5 and its next an 8: a random model's words differ by processor."""
    rated = Counter()

    def answer(role, user, seed, shaped):
        if role != "reward":
            return play(role, user, seed, shaped)
        task = re.search(r"What is \d+ \+ \d+", user)[0]
        rated[task] += 1
        return f"{5 if rated[task] == 1 else 8}/10"

    return answer


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Both iterations, and everything that can be asked about them."""
    home = tmp_path_factory.mktemp("paper")
    target, judged_by = save_llama_2(home / "llama-2"), save_reward_model(home / "fsfairx")
    search, rows, answers = FakeEngine(), [], []
    GenerationConfig(bos_token_id=1, eos_token_id=ENDS).save_pretrained(target)

    class Log(Steps):
        def row(self, iteration: int, row: Row) -> None:
            rows.append((iteration, row))

    def evaluate(target, number, folder):
        answers.append(target.model.invoke(SAID, temperature=0, max_tokens=8).text)
        return {}

    with OpenAIServer() as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr("ddgs.DDGS", lambda: search)
        patch.setattr(fake_server, "play", rated_again(fake_server.play))
        hosted = f"openai:gpt-4o@{server.url}"
        settings = RunSettings(
            target=f"hf:{target}",
            judge=hosted,
            reward=hosted,
            engine=hosted,
            api_key="none",
            candidates=5,
            tools=("web_search", "reward_model"),
            tool_options={"reward_model": {"model": str(judged_by), "device": "cpu", "dtype": "float32"}},
            max_new_tokens=96,
        )
        tasks = [Task(id=str(n), prompt=f"What is {n} + {2 * n}?") for n in range(8)]
        ungated = iterate_settings(gate=False)  # nothing is measured here
        trained = trainer("text_dpo", {"threads": 1, "dtype": "float32"}, "paper")
        plan = Plan(settings, trained, 2, lambda number: tasks[(number - 1) * 4 :][:4], loop=ungated)
        done = iterate(plan, home / "loop", evaluate, Log())
        calls = Counter(server.calls)
    return SimpleNamespace(home=home, target=target, done=done, rows=rows, calls=calls, search=search, answers=answers)


def adapter(played, number):
    return played.home / "loop" / f"iteration-{number}" / "adapter"


def report(played, number):
    return TrainReport.model_validate_json((adapter(played, number) / "anyprefer.json").read_text())


def test_every_task_is_a_row_and_pairs_are_accepted_in_both_iterations(played):
    assert [(number, row.id) for number, row in sorted(played.rows, key=lambda one: (one[0], one[1].id))] == [
        (1 + n // 4, str(n)) for n in range(8)
    ]
    assert {row.outcome for _, row in played.rows} <= {"accepted", "rejected"}
    assert all(it.counts["accepted"] for it in played.done[1:])
    for _, row in played.rows:
        assert [closed.number for closed in row.rounds] == list(range(1, len(row.rounds) + 1))
        assert all(2 <= len(closed.candidates) <= 5 for closed in row.rounds)  # an empty answer is none
        assert row.outcome != "accepted" or (row.reward >= 8 and row.pair.margin > 0)


def test_both_tools_are_evidence_and_the_reward_model_takes_sides(played):
    for _, row in played.rows:
        for closed in row.rounds:
            about = [k for k in closed.knowledge if k.tool == "reward_model"]
            assert [k.candidate for k in about] == [candidate.index for candidate in closed.candidates]
            assert not [k.error for k in closed.knowledge if k.error]
            assert sum(k.verdict for k in about) == pytest.approx(len(about) / 2)  # each comparison is won once
            scores = [k.data["score"] for k in about]
            assert max(about, key=lambda k: k.verdict).data["score"] == max(scores) > min(scores)
            assert [k.data[0]["title"] for k in closed.knowledge if k.tool == "web_search"] == ["Lima {x}"]
    assert {call["query"] for call in played.search.calls} >= {f"What is {n} + {2 * n}?" for n in range(8)}


def test_textgrad_rewrites_between_rounds(played):
    again = [row for _, row in played.rows if len(row.rounds) > 1]
    assert again
    assert played.calls["textgrad"] >= len(again)
    for row in again:
        first, second = row.rounds[:2]
        assert {update.prompt for update in first.updates if update.changed} >= {"target", "judge"}
        assert first.prompts.target != second.prompts.target


def test_one_dpo_run_is_table_3_and_moves_the_adapter_as_little_as_its_rate_allows(played):
    made = report(played, 1)
    steps = 3 * made.trained
    assert made.settings == TRAINING
    assert len(made.losses) == steps
    assert made.losses[0] == pytest.approx(0.6931, abs=1e-4)
    weights = load_file(adapter(played, 1) / "adapter_model.safetensors")
    assert len(weights) == 2 * LAYERS * MODULES
    for name, weight in weights.items():
        assert weight.shape[0 if "lora_A" in name else 1] == 128
    moved = max(float(weight.abs().max()) for name, weight in weights.items() if "lora_B" in name)
    assert 0 < moved < steps * 1e-7 * 1.01
    config = json.loads((adapter(played, 1) / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], len(config["target_modules"])) == (128, 256, LAYERS * MODULES)


def test_the_second_iteration_is_played_by_the_first_ones_adapter(played):
    assert [it.target for it in played.done] == [f"hf:{played.target}", *(f"hf:{adapter(played, n)}" for n in (1, 2))]
    targets = {(number, row.models["target"]) for number, row in played.rows}
    assert targets == {(1, str(played.target)), (2, str(adapter(played, 1)))}
    assert report(played, 2).base == str(adapter(played, 1))
    before, after = (load_file(adapter(played, n) / "adapter_model.safetensors") for n in (1, 2))
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert all(played.answers)
    assert len(played.answers) == 3


def test_all_weights_are_safetensors(played):
    files = {path.suffix for path in played.home.rglob("*") if path.is_file()}
    assert ".safetensors" in files
    assert not files & {".bin", ".pt", ".pth", ".pkl", ".pickle"}
