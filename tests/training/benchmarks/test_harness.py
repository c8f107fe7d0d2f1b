"""lm-eval's tasks. What lm-eval itself computes is not tested again; that both ways in give the same is."""

import json
import os
import shlex
import subprocess
import sys

import pytest
from aiohttp import web

from anyprefer.core.errors import BudgetSpent, EndpointError, InputError, ModelSetupError
from anyprefer.core.settings import RunSettings
from anyprefer.training.evaluation.asking import calls_of
from anyprefer.training.evaluation.benchmarks import Asked, benchmark, measure
from anyprefer.training.evaluation.benchmarks.lm_eval_tasks.rows import same_final_number
from tests.loopback import Loopback, completion, refusal
from tests.sample_data import QUESTIONS, SUMS


def mark(answer, gold="some steps\n#### 1,500"):
    return same_final_number({"answer": gold}, [answer])["exact_match"]


@pytest.mark.parametrize("answer", ["1500", "So it is $1,500.", "1200 + 300 = 1500.00", "no, not 12 but **1,500**"])
def test_a_right_final_number_is_right_however_it_is_written(answer):
    assert mark(answer) == 1


@pytest.mark.parametrize("answer", ["", "fifteen", "1500 for 2 vans", "15000", "-1500", "1500 and a half: 1500.5"])
def test_another_final_number_is_wrong(answer):
    assert mark(answer) == 0


def test_a_gold_answer_without_a_number_is_no_row():
    with pytest.raises(ValueError, match="####"):
        mark("3", gold="many\n#### many")


def test_gsm8k_is_asked_through_a_servers_chat(data, tmp_path):
    said = iter(["The answer is 7.", "It is 1500", "I do not know"])
    by_question = {}

    def answer(asked, count):
        question = asked["messages"][-1]["content"]
        return completion(by_question.setdefault(question, next(said)))

    with Loopback(answer) as server:
        found = measure("gsm8k", f"openai:my-7b@{server.url}", folder=tmp_path / "kept")
    rows = [json.loads(line) for line in (tmp_path / "kept" / "gsm8k.jsonl").read_text(encoding="utf-8").splitlines()]
    right = {SUMS[0][0]: "7.", SUMS[1][0]: "1500"}
    expected = [any(end in row["said"][0] for q, end in right.items() if q == row["doc"]["question"]) for row in rows]
    assert [bool(row["exact_match"]) for row in rows] == expected
    assert (found.n, found.correct) == (3, sum(expected))
    assert (found.benchmark, found.model, found.max_tokens) == ("gsm8k", f"openai:my-7b@{server.url}", 400)
    assert {body["model"] for body in server.bodies} == {"my-7b"}
    assert {body["max_tokens"] for body in server.bodies} == {400}


def test_answers_that_are_kept_are_not_asked_for_again(data, tmp_path):
    def stops(asked, count):
        return completion("It is 7.") if count <= 2 else refusal(401)

    with Loopback(stops) as server:
        with pytest.raises(EndpointError, match="401"):
            measure("gsm8k", f"openai:my-7b@{server.url}", folder=tmp_path, batch_size=1)
        server.answer, server.bodies = lambda asked, count: completion("It is 7."), []
        found = measure("gsm8k", f"openai:my-7b@{server.url}", folder=tmp_path, batch_size=1)
    assert (found.n, len(server.bodies)) == (3, 1)


def test_a_commands_budget_holds_for_gsm8k(data, tmp_path):
    with Loopback(lambda asked, count: completion("It is 7.")) as server:
        given = {"folder": tmp_path, "calls": calls_of(RunSettings(max_calls=2))}
        with pytest.raises(BudgetSpent, match="2 calls"):
            measure("gsm8k", f"openai:my-7b@{server.url}", **given)
        assert len(server.bodies) == 2
        assert measure("gsm8k", f"openai:my-7b@{server.url}", folder=tmp_path).n == 3
        assert len(server.bodies) == 3


def test_the_longest_answer_and_the_batch_are_the_users_to_say(data):
    with Loopback(lambda asked, count: completion("7")) as server:
        found = measure("gsm8k", f"openai:my-7b@{server.url}", limit=1, max_tokens=30)
    assert (found.max_tokens, {body["max_tokens"] for body in server.bodies}) == (30, {30})
    words = shlex.split(benchmark("gsm8k").command(Asked("smollm2", batch_size=48, max_tokens=30)))
    assert words[words.index("--batch_size") + 1] == "48"
    assert words[words.index("--gen_kwargs") + 1] == "max_gen_toks=30"
    assert "--gen_kwargs" not in benchmark("arc_easy").command(Asked("smollm2", max_tokens=30))


class Completions(Loopback):
    """A completions endpoint that tells a made-up likelihood of every token it is sent."""

    async def _start(self):
        app = web.Application()
        app.router.add_post("/v1/completions", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]


def likelihood(token):
    return -float(token % 7)


def test_arc_is_asked_through_a_servers_likelihoods(tiny, data):
    from transformers import AutoTokenizer

    def answer(asked, count):
        choices = []
        for number, ids in enumerate(asked["prompt"]):
            told = [*map(likelihood, ids), 0.0]
            logprobs = {"token_logprobs": told, "top_logprobs": [{"x": value} for value in told]}
            choices.append({"index": number, "text": "", "logprobs": logprobs})
        return {"choices": choices}

    with Completions(answer) as server:
        found = measure("arc_easy", f"openai:{tiny}@{server.url}")
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    right = 0
    for _, texts, key in QUESTIONS:
        told = [sum(map(likelihood, tokenizer(f" {text}", add_special_tokens=False)["input_ids"])) for text in texts]
        gold = int(key) - 1 if key.isdigit() else "ABCD".index(key)
        right += told.index(max(told)) == gold
    assert (found.n, found.correct) == (6, right)


LM_EVAL = (
    "from lm_eval.tasks import TaskManager as t; t.__init__.__defaults__ = (None, None, False, None); "
    "from lm_eval.__main__ import cli_evaluate; cli_evaluate()"
)
"""lm-eval's command, without reading its own fourteen thousand task files first."""


@pytest.mark.slow
def test_our_number_is_the_one_of_lm_evals_command(tiny, data, tmp_path):
    command = shlex.split(benchmark("arc_easy").command(Asked(f"hf:{tiny}", limit=5)))
    assert command[0] == "lm_eval"
    subprocess.run(
        [sys.executable, "-c", LM_EVAL, *command[1:], "--output_path", str(tmp_path / "theirs")],
        check=True,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    [file] = (tmp_path / "theirs").rglob("results*.json")
    theirs = json.loads(file.read_text(encoding="utf-8"))["results"]["anyprefer_arc_easy"]
    ours = measure("arc_easy", f"hf:{tiny}", limit=5, folder=tmp_path / "ours")
    assert ours.accuracy == theirs["acc,none"]
    assert ours.figures["acc_norm"] == theirs["acc_norm,none"]
    assert len((tmp_path / "ours" / "arc_easy.jsonl").read_text(encoding="utf-8").splitlines()) == 5


def test_an_adapter_is_measured_on_its_base(tiny, data, tmp_path):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    adapter = tmp_path / "adapter"
    config = LoraConfig(r=4, lora_alpha=64, target_modules="all-linear", init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(tiny), config).save_pretrained(adapter)

    def likelihoods(model, name):
        measure("arc_easy", model, folder=tmp_path / name)
        lines = (tmp_path / name / "arc_easy.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line)["said"] for line in lines]

    assert f"pretrained={tiny}" in benchmark("arc_easy").command(Asked(f"hf:{adapter}"))
    assert f"peft={adapter}" in benchmark("arc_easy").command(Asked(f"hf:{adapter}"))
    assert likelihoods(f"hf:{adapter}", "tuned") != likelihoods(f"hf:{tiny}", "plain")


def test_likelihoods_of_openais_models_cannot_be_had():
    with pytest.raises(ModelSetupError, match="likelihoods of given texts"):
        measure("arc_challenge", "openai:gpt-4o")


def test_a_model_of_another_form_is_named():
    with pytest.raises(ModelSetupError, match="gsm8k cannot measure 'replay:tape'"):
        measure("gsm8k", "replay:tape")


def test_a_server_that_refuses_is_named(data):
    def answer(asked, count):
        return web.json_response({"error": {"message": "no such model"}}, status=404)

    with Loopback(answer) as server, pytest.raises(EndpointError, match=r"x at .* refuses every call.*no such model"):
        measure("gsm8k", f"openai:x@{server.url}", limit=1)


def test_an_unknown_benchmark_is_named_with_the_near_one():
    with pytest.raises(InputError, match="unknown benchmark 'arc-easy'; did you mean 'arc_easy'"):
        measure("arc-easy", "smollm2")


def test_families_are_benchmarks_too(tiny, tmp_path):
    found = measure("sums", f"hf:{tiny}", limit=4, seed=3, folder=tmp_path)
    assert (found.benchmark, found.n, found.seed) == ("sums", 4, 3)
    assert len((tmp_path / "sums.jsonl").read_text(encoding="utf-8").splitlines()) == 4
