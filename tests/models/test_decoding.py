"""The decoding loop against transformers' own `generate`, on small random models of many architectures."""

import random

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from anyprefer.models.local import decoding
from anyprefer.models.local.decoding import Row, Stepper, decode
from anyprefer.models.local.prompts import Prompt
from anyprefer.models.local.sampling import Sampling, draw
from anyprefer.models.local.token_choice import BLOCK, pick
from anyprefer.models.local.weights import load_weights

SMALL = {
    "vocab_size": 300,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "initializer_range": 0.3,
}
ARCHITECTURES = {
    "llama": {},
    "qwen3": {},
    "mistral": {"sliding_window": 6},
    "gemma3_text": {"sliding_window": 6, "layer_types": ["sliding_attention", "full_attention"]},
    "gpt_oss": {"sliding_window": 6, "num_local_experts": 2, "num_experts_per_tok": 1},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "bloom": {"n_layer": 2, "n_head": 4},
    "mamba": {"state_size": 4},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
}
PROMPTS = [[5, 6, 7, 8, 9], [11, 12], [5, 6, 7, 8, 9], [20, 21, 22, 23, 24, 25, 26, 27, 28], [11, 12]]


@pytest.fixture(scope="module")
def weights(tiny):
    return load_weights(str(tiny), dtype="float32")


def greedy(*limits):
    return [Row(temperature=0, top_p=1, seed=0, limit=limit) for limit in limits]


def run(model, prompts, rows, ends=frozenset(), stopped=lambda at: False):
    with torch.inference_mode():
        decode(model, [Prompt(tuple(ids)) for ids in prompts], rows, ends=set(ends), pad=0, stopped=stopped)
    return [row.ids for row in rows]


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_greedy_answers_are_those_of_generate(kind):
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **{**SMALL, **ARCHITECTURES[kind]})
    model = AutoModelForCausalLM.from_config(config).eval()
    expected = [
        model.generate(torch.tensor([prompt]), max_new_tokens=12, do_sample=False, eos_token_id=None)[0, len(prompt) :]
        for prompt in PROMPTS
    ]
    limits = (12, 3, 12, 12, 12)  # one row leaves early
    got = run(model, PROMPTS, greedy(*limits))
    assert got == [ids.tolist()[:limit] for ids, limit in zip(expected, limits, strict=True)]


def test_equal_prompts_are_prefilled_once_and_finished_rows_leave(weights, monkeypatch):
    batches = []
    real = Stepper._forward
    monkeypatch.setattr(
        decoding.Stepper, "_forward", lambda self, ids, *more: (batches.append(ids.shape), real(self, ids, *more))[1]
    )
    run(weights.model, PROMPTS, greedy(6, 2, 2, 2, 6))
    assert batches[0] == (3, 9)
    assert batches[1:] == [(5, 1), *[(2, 1)] * 4]


def test_a_cache_that_cannot_select_rows_still_decodes(weights, monkeypatch):
    expected = run(weights.model, PROMPTS, greedy(6, 2, 2, 2, 6))
    monkeypatch.setattr(decoding, "select_rows", lambda cache, rows: False)
    assert run(weights.model, PROMPTS, greedy(6, 2, 2, 2, 6)) == expected


def test_a_model_without_a_cache_still_decodes(weights):
    class Plain(torch.nn.Module):
        device = torch.device("cpu")

        def forward(self, input_ids, attention_mask, position_ids):
            return weights.model(input_ids, attention_mask, position_ids, use_cache=False)

    expected = run(weights.model, PROMPTS, greedy(6, 2, 2, 2, 6))
    assert run(Plain(), PROMPTS, greedy(6, 2, 2, 2, 6)) == expected


def test_a_long_answer_outgrows_the_room(weights):
    ids = run(weights.model, [[5, 6, 7]], greedy(150))[0]
    expected = weights.model.generate(torch.tensor([[5, 6, 7]]), max_new_tokens=150, do_sample=False, eos_token_id=None)
    assert ids == expected[0, 3:].tolist()


def test_rows_end_by_themselves(weights):
    free = run(weights.model, [[5, 6, 7]] * 2, greedy(20, 20))[0]
    rows = greedy(20, 20)
    run(weights.model, [[5, 6, 7]] * 2, rows, {free[9]}, stopped=lambda at: at == 0 and len(rows[0].ids) == 4)
    assert rows[0].ids == free[:4]
    assert rows[1].ids == free[: free.index(free[9]) + 1]


def test_a_stop_string_beyond_the_window_ends_a_sampled_answer(weights):
    prompt = Prompt(tuple(weights.tokenizer.encode("tell me")))
    long = draw(weights, [prompt], [Sampling(1.0, 1.0, 3, 90)])[0]
    mark = next(two for at in range(40, 90) if (two := long.text[at : at + 2]).isascii())
    cut = draw(weights, [prompt] * 2, [Sampling(1.0, 1.0, 3, 90, (mark, "never said")), Sampling(1.0, 1.0, 4, 90)])[0]
    assert cut.text == long.text[: long.text.index(mark)]
    assert cut.finished
    assert cut.tokens < long.tokens


@pytest.mark.parametrize("size", [7, BLOCK, 1000])
@pytest.mark.parametrize("top_p", [1.0, 0.7])
def test_tokens_are_picked_by_inverse_cdf(size, top_p):
    torch.manual_seed(0)
    logits, uniform = torch.randn(40, size) * 3, torch.rand(40)
    probs = torch.softmax(logits / 0.7, dim=1)
    order = torch.arange(size).expand(40, -1)
    if top_p < 1:
        probs, order = probs.sort(dim=1, descending=True)
        probs = torch.where(probs.cumsum(1) - probs < top_p, probs, 0.0)
    ends = probs.cumsum(1)
    expected = order.gather(1, torch.searchsorted(ends, uniform[:, None] * ends[:, -1:], right=True))[:, 0]
    got = pick(logits, torch.full((40,), 0.7), torch.full((40,), top_p), uniform, nucleus=top_p < 1)
    assert (got == expected).float().mean() >= 0.95  # sums in another order may flip a near tie


@pytest.mark.parametrize("uniform", [0.0, 1.0])
@pytest.mark.parametrize("nucleus", [True, False])
def test_only_tokens_with_mass_are_picked(uniform, nucleus):
    rng = random.Random(0)
    possible = [rng.sample(range(700), 3) for _ in range(20)]
    logits = torch.full((20, 700), float("-inf"))
    for row, tokens in enumerate(possible):
        logits[row, tokens] = 1.0
    got = pick(logits, torch.ones(20), torch.ones(20), torch.full((20,), uniform), nucleus=nucleus)
    assert all(token in tokens for token, tokens in zip(got.tolist(), possible, strict=True))


def test_a_flat_distribution_widens_the_nucleus():
    picked = {
        int(pick(torch.zeros(1, 5000), torch.ones(1), torch.tensor([0.9]), torch.tensor([u / 50]), nucleus=True))
        for u in range(50)
    }
    assert len(picked) == 50


def test_greedy_and_sampled_rows_mix():
    logits = torch.zeros(2, 300)
    logits[:, 5] = 1.0
    got = pick(logits, torch.tensor([0.0, 1.0]), torch.ones(2), torch.full((2,), 0.999), nucleus=False)
    assert got[0] == 5
    assert got[1] > 250
