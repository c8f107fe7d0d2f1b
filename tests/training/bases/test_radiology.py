"""The embedded target of medicine, from a handful of questions and for few steps."""

import json
import random
from collections import Counter

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from anyprefer.core.pictures import content_hash
from anyprefer.core.settings import Settings
from anyprefer.models.local.built import cached, is_built
from anyprefer.models.local.radiology_index import Asked, load_index
from anyprefer.tools.vision.radiology_kinds import MODALITY, ORGAN
from anyprefer.training.bases.by_name import ensure, missing
from anyprefer.training.bases.packed_questions import PREFIX, QuestionPacker
from anyprefer.training.bases.packed_turns import IMAGE_TOKENS
from anyprefer.training.bases.radiology import build_radiology, words_of
from anyprefer.training.bases.radiology_index import modalities
from anyprefer.training.bases.radiology_questions import MADE_TEXTS, Known, made_question
from anyprefer.training.evaluation.medical_families import base_questions


def data(folder):
    """Questions about 12 images, among which are some that are kept for training."""
    (folder / "vqa_rad" / "images").mkdir(parents=True)
    rows = []
    for at in range(12):
        Image.new("L", (40, 30), 20 * at).save(folder / "vqa_rad" / "images" / f"synpic{at}.jpg")
        asked = {"question": "Is the lung normal?", "answer": "Yes", "answer_type": "CLOSED ", "image_organ": "CHEST"}
        rows.append({"qid": at, "image_name": f"synpic{at}.jpg", **asked})
        rows.append(
            {**rows[-1], "qid": 100 + at, "question": "What modality is used?", "answer": "CT", "answer_type": "OPEN"}
        )
    for name, some in (("train.jsonl", rows), ("test.jsonl", rows[:1])):
        text = "".join(json.dumps(row) + "\n" for row in some)
        (folder / "vqa_rad" / name).write_text(text, encoding="utf-8")


def test_a_toy_of_medicine_is_built_saved_and_answers(tmp_path, monkeypatch):
    data(tmp_path / "data")
    monkeypatch.setenv("ANYPREFER_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path / "cache"))
    folder = ensure("radiology-1", steps=3)
    assert folder == cached("radiology-1") == tmp_path / "cache" / "radiology-1"
    assert json.loads((folder / "build.json").read_text())["seed"] == 1
    model, processor = AutoModelForImageTextToText.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    said = processor.tokenizer.encode("Is the lung normal?", add_special_tokens=False)
    assert processor.tokenizer.unk_token_id not in said
    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Is the lung normal?"}]}]
    text = processor.apply_chat_template(chat, add_generation_prompt=True)
    read = processor(images=Image.new("RGB", (60, 80)), text=text, return_tensors="pt")
    assert int((read["input_ids"] == processor.image_token_id).sum()) == IMAGE_TOKENS
    with torch.inference_mode():
        assert model.generate(**read, max_new_tokens=2, do_sample=False).shape[0] == 1


def test_words_are_those_of_questions_and_answers():
    words = words_of(["Where is the X-ray, chest?", "Left lung"])
    assert words == [",", "?", "chest", "is", "left", "lung", "the", "where", "x-ray"]
    assert is_built("radiology-12")
    assert not is_built("radiology-")


def test_made_questions_are_true_of_the_image_and_yes_half_the_time():
    rng, known, answers = random.Random(0), Known("CT", "chest"), Counter[bool]()
    words = {*words_of(MADE_TEXTS)}
    for _ in range(400):
        question, answer = made_question(known, rng)
        assert {*words_of([question, answer])} <= words
        kind, true = (MODALITY, "CT") if MODALITY.agrees(question, answer, "CT") is not None else (ORGAN, "chest")
        assert kind.agrees(question, answer, true) is not False
        answers[answer == "yes"] += answer in ("yes", "no")
    assert 0.4 < answers[True] / answers.total() < 0.6


def test_a_packed_question_is_the_conversation_that_the_model_is_asked(tmp_path, monkeypatch):
    data(tmp_path)
    monkeypatch.setenv("ANYPREFER_DATA", str(tmp_path))
    built = build_radiology(0, steps=1)
    packer, model = QuestionPacker(built.processor.tokenizer), built.model.model.eval()
    row = [packer.block("Is the lung normal?", "Yes"), packer.block("What modality is used?", "CT yes")]
    together = packer.batch([row, row[:1]])
    with torch.no_grad():
        seen = torch.randn(2, IMAGE_TOKENS, 192)
        found = hidden(model, together, seen)
        for at, block in enumerate(row):
            alone = packer.batch([[block]])
            begin = PREFIX + at * (len(row[0].read) + len(row[0].written) - 1)
            size = alone.ids.shape[1] - PREFIX
            assert torch.allclose(found[0, begin : begin + size], hidden(model, alone, seen[:1])[0, PREFIX:], atol=1e-4)
            assert alone.labels[0, -len(block.written) :].tolist() == block.written
            assert torch.equal(together.labels[0, begin : begin + size], alone.labels[0, PREFIX:])


def hidden(model, batch, seen):
    embedded = model.language_model.embed_tokens(batch.ids)
    embedded = torch.cat([embedded[:, :1], seen, embedded[:, PREFIX:]], dim=1)
    mask = {"attention_mask": batch.mask, "position_ids": batch.positions}
    return model.language_model(inputs_embeds=embedded, use_cache=False, **mask).last_hidden_state


def test_modalities_are_read_from_questions_and_answers():
    rows = [
        Asked("What modality is used?", "CT", 0),
        Asked("Is this an MRI?", "yes", 1),
        Asked("Is this an MRI?", "no", 2),
        Asked("Is there a fracture on this chest x-ray?", "no", 3),
        Asked("Is a CT the first test for a bleed?", "CT", 4),
    ]
    assert modalities(rows) == {0: "CT", 1: "MRI", 3: "X-ray"}


def test_the_index_of_the_tools_is_built_from_training_images(tmp_path, monkeypatch):
    data(tmp_path)
    monkeypatch.setenv("ANYPREFER_DATA", str(tmp_path))
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path / "cache"))
    assert missing(Settings(tools=("radiology_neighbours",))) == ["radiology_index"]
    index = load_index(ensure("radiology_index", steps=2))
    train = base_questions("base", "train")
    assert {row.question for row in index.rows} == {task.question for task in train}
    assert set(index.hashes) == {content_hash(task.images[0]) for task in train}
    assert index.probed("organ", index.look(train[0].images[0]))[0] in ("chest", "abdomen", "head")
