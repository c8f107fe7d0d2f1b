"""Local models that see, against transformers' own `generate`, in the shape of each named one."""

import asyncio

import pytest
import torch
from langchain_core.messages import AIMessage, HumanMessage

from anyprefer.core.errors import InputError, ModelError, ModelSetupError
from anyprefer.models.local import decoding
from anyprefer.models.local.chat import LocalChat
from anyprefer.models.local.chat_prompts import as_dicts, prompt_of
from anyprefer.models.local.features import Features
from anyprefer.models.local.sampling import Sampling, draw, unspoken
from anyprefer.models.local.weights import load_processor, load_tokenizer, load_weights
from anyprefer.models.messages import user
from anyprefer.models.traits import traits_of
from tests.pictured import picture, save_idefics, save_llava, save_qwen_vl, save_smolvlm
from tests.scripted import Scripted, a_task, play

RED, BLUE = picture("red"), picture("blue", (64, 30))
ASKED = [
    ("what?", [RED]),
    ("what is this thing there?", [BLUE]),
    ("both", [RED, picture("green", (20, 60))]),
    ("none at all", []),
]
MADE = {
    "LLaVA-1.5": save_llava,
    "LLaVA-Med": lambda folder: save_llava(folder, "mistral"),
    "Qwen2.5-VL": save_qwen_vl,
    "SmolVLM": save_idefics,
    "SmolVLM2": save_smolvlm,
}


@pytest.fixture(scope="module", params=MADE)
def folder(request, tmp_path_factory):
    return MADE[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def weights(folder):
    return load_weights(str(folder), dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def chat(tiny_llava):
    model = LocalChat(model=str(tiny_llava), dtype="float32", device="cpu", max_tokens=8)
    yield model
    model.unload()


def prompts(weights):
    return [prompt_of(weights, as_dicts([user(*asked)])) for asked in ASKED]


def greedy(count, limit=10):
    return [Sampling(temperature=0, top_p=1, seed=0, max_tokens=limit)] * count


def test_greedy_answers_are_those_of_generate(weights):
    asked = prompts(weights)
    never = unspoken(weights, {weights.tokenizer.eos_token_id})
    expected = []
    for prompt in asked:
        ids = torch.tensor([prompt.ids])
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), **prompt.inputs}
        made = weights.model.generate(**inputs, max_new_tokens=10, do_sample=False, suppress_tokens=never)
        expected.append(weights.tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True))
    answers = [drawn.text for drawn in draw(weights, asked, greedy(4))]
    assert answers == expected
    assert len(set(answers)) == 4
    seen = [Features(weights.model).seen(prompt) for prompt in asked]
    assert not [name for prompt in seen for name in prompt.inputs if name.startswith("pixel_")]
    assert [drawn.text for drawn in draw(weights, seen, greedy(4))] == expected


def test_candidates_of_two_pictures_at_once_are_those_of_each_alone(weights, monkeypatch):
    asked = [prompt for prompt in prompts(weights)[:2] for _ in range(5)]
    rows = [Sampling(temperature=1, top_p=1, seed=seed, max_tokens=6) for seed in range(10)]
    read = []
    real = decoding.Stepper._forward
    monkeypatch.setattr(
        decoding.Stepper, "_forward", lambda self, ids, *more: (read.append(ids.shape), real(self, ids, *more))[1]
    )
    together = draw(weights, asked, rows)
    assert read[0][0] == 2  # each picture goes through the tower once
    alone = [draw(weights, [prompt], [row])[0] for prompt, row in zip(asked, rows, strict=True)]
    assert together == alone
    assert len({answer.text for answer in together}) == 10


def test_what_stands_for_a_picture_is_never_said(weights):
    marks = {weights.processor.image_token_id, weights.tokenizer.pad_token_id, weights.tokenizer.bos_token_id}
    never = unspoken(weights, {weights.tokenizer.eos_token_id})
    assert marks < set(never)
    assert weights.tokenizer.eos_token_id not in never
    head = weights.model.get_output_embeddings().weight
    kept = head.detach().clone()
    try:
        with torch.no_grad():
            head[list(never)] = 40 * weights.model.get_input_embeddings().weight.mean()
        hot = [Sampling(temperature=9, top_p=1, seed=seed, max_tokens=20) for seed in range(8)]
        rows = [decoding.Row(row.temperature, row.top_p, row.seed, row.max_tokens) for row in hot]
        with torch.inference_mode():
            decoding.decode(
                weights.model, prompts(weights)[:1] * 8, rows, ends=set(), pad=0, stopped=lambda at: False, never=never
            )
        assert not {token for row in rows for token in row.ids} & set(never)
    finally:
        with torch.no_grad():
            head.copy_(kept)


async def test_concurrent_calls_answer_like_one_by_one(chat):
    asked = [[user(*one)] for one in ASKED]
    together = await asyncio.gather(*(chat.ainvoke(messages, temperature=0) for messages in asked))
    assert [reply.text for reply in together] == [chat.invoke(messages, temperature=0).text for messages in asked]
    assert together[0].usage_metadata["input_tokens"] - together[3].usage_metadata["input_tokens"] > 8


async def test_a_picture_is_looked_at_once(chat, monkeypatch):
    tower = chat._loaded().model.model.vision_tower
    looks = []
    real = tower.forward
    monkeypatch.setattr(tower, "forward", lambda *given, **more: (looks.append(1), real(*given, **more))[1])
    shown = [picture("orange"), picture("purple")]
    await asyncio.gather(*(chat.ainvoke([user(f"is it {n}?", [one])]) for one in shown for n in range(3)))
    chat.invoke([user("and now?", shown[:1])], options=("a", "b"))
    assert len(looks) == 2


def test_the_oldest_pictures_are_forgotten(weights, monkeypatch):
    features = Features(weights.model)
    asked = prompts(weights)[:3]
    one = features.seen(asked[0]).inputs["features"]
    monkeypatch.setattr("anyprefer.models.local.features.ROOM", one.nbytes)
    for prompt in asked:
        features.seen(prompt)
    assert list(features._kept) == [asked[2].pictures]


def test_it_sees_by_its_configuration_alone(tiny_llava, tiny):
    model = LocalChat(model=str(tiny_llava))
    assert traits_of(model).sees
    assert model._weights is None
    assert not traits_of(LocalChat(model=str(tiny))).sees
    assert not traits_of(LocalChat(model="/no/such/folder")).sees


def test_the_tokenizer_and_the_processor_come_without_weights(tiny_llava, tiny):
    processor = load_processor(str(tiny_llava))
    assert type(processor.image_processor).__name__ == "CLIPImageProcessorPil"
    assert load_tokenizer(str(tiny_llava)).get_vocab() == processor.tokenizer.get_vocab()
    assert load_processor(str(tiny)) is None


def test_a_picture_spelled_out_is_text(chat):
    weights = chat._loaded()
    prompt = prompt_of(weights, as_dicts([user("what is <image> here?", [RED])]))
    assert prompt.ids.count(weights.processor.image_token_id) == 16


def test_a_begun_answer_is_continued(chat):
    prompt = prompt_of(chat._loaded(), as_dicts([user("what?", [RED]), AIMessage("I see")]))
    assert chat._loaded().tokenizer.decode(prompt.ids).endswith("what? ASSISTANT: I see")


async def test_a_bad_picture_fails_its_call_alone(chat):
    bad, good = await asyncio.gather(
        chat.ainvoke([HumanMessage([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}])]),
        chat.ainvoke([user("what?", [RED])]),
        return_exceptions=True,
    )
    assert isinstance(bad, InputError)
    assert good.text


def test_pictures_count_for_the_length(chat):
    weights = chat._loaded()
    with pytest.raises(ModelError, match="30 pictures counted"):
        prompt_of(weights, as_dicts([user("what?", [RED] * 30)]))


def test_a_part_of_another_kind_is_named(chat):
    with pytest.raises(ModelError, match="video_url"):
        chat.invoke([HumanMessage([{"type": "video_url", "video_url": {"url": "x"}}])])


def test_a_processor_without_a_chat_template_is_named(tmp_path):
    with pytest.raises(ModelError, match="chat template"):
        LocalChat(model=str(save_llava(tmp_path, template=None)), device="cpu").invoke([user("what?", [RED])])


def test_a_folder_without_an_image_processor_is_named(tiny_llava, tmp_path):
    import shutil

    shutil.copytree(tiny_llava, tmp_path / "half")
    (tmp_path / "half" / "processor_config.json").unlink()
    with pytest.raises(ModelSetupError, match="half"):
        load_weights(str(tmp_path / "half"))


async def test_options_are_weighed_by_the_models_next_token(weights, folder):
    """Against a plain forward pass of each prompt alone; what two questions share is read once, picture included."""
    asked = [[user("is it red? a", [RED])], [user("is it red? b", [RED])], [user("is it red? a", [BLUE])]]
    model = LocalChat(model=str(folder))
    model._weights = weights
    replies = await asyncio.gather(*(model.ainvoke(messages, options=("a", "b")) for messages in asked))
    for messages, reply in zip(asked, replies, strict=True):
        prompt = prompt_of(weights, as_dicts(messages))
        with torch.no_grad():
            logits = weights.model(input_ids=torch.tensor([prompt.ids]), **prompt.inputs).logits[0, -1]
        logprobs = torch.log_softmax(logits, -1)
        wanted = {option: float(logprobs[weights.tokenizer.get_vocab()[option]]) for option in "ab"}
        assert reply.response_metadata["option_logprobs"] == pytest.approx(wanted, abs=1e-4)


PARTS = r".*(language_model|text_model).*(q_proj|v_proj)|.*(projector\.linear_[12]|merger\.mlp\.[02]|modality_projection\.proj)"
"""The language model and the projector, not the tower."""


def test_an_adapter_is_kept_apart_or_added_into_the_weights(weights, folder, tmp_path):
    from peft import LoraConfig, get_peft_model

    base = load_weights(str(folder), dtype="float32", device="cpu").model
    config = LoraConfig(r=2, target_modules=PARTS, init_lora_weights=False)
    get_peft_model(base, config).save_pretrained(tmp_path)
    apart = load_weights(str(tmp_path), dtype="float32", device="cpu", merge=False)
    merged = load_weights(str(tmp_path), dtype="float32", device="cpu")
    assert apart.adapter
    assert apart.processor.image_token_id == weights.processor.image_token_id
    tuned = [name for name, weight in apart.model.named_parameters() if weight.requires_grad]
    assert tuned
    assert not [name for name in tuned if "vision_tower" in name or "vision_model" in name or "blocks" in name]
    prompt = prompts(weights)[0]
    ids = torch.tensor([prompt.ids])
    with torch.no_grad():
        plain, one, two = (
            w.model(input_ids=ids, attention_mask=torch.ones_like(ids), **prompt.inputs).logits
            for w in (weights, apart, merged)
        )
    assert torch.allclose(one, two, atol=1e-4)
    assert not torch.allclose(one, plain, atol=1e-2)


async def test_three_tasks_with_pictures_are_played(tiny_llava):
    """A batch of all candidates; the judge is scripted."""
    target = LocalChat(model=str(tiny_llava), dtype="float32", device="cpu")
    ends = target._loaded().model.generation_config  # a random model hardly ever ends an answer
    ends.eos_token_id = [2, *range(10, 90, 5)]
    tasks = [a_task("what is this?", id=colour, images=(picture(colour),)) for colour in ("red", "green", "blue")]
    rows = await play(Scripted(), *tasks, target=target, concurrency=3, max_new_tokens=40)
    assert [(row.outcome, row.reason) for row in rows] == [("accepted", "")] * 3
    answers = {row.id: {candidate.text for candidate in row.rounds[0].candidates} for row in rows}
    assert all(len(texts) == 3 for texts in answers.values())
    assert not answers["red"] & answers["blue"]
