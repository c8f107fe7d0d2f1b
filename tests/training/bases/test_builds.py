"""Building the models that see: toys of a few steps, whose folders hold everything and load with the Auto classes."""

import random

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

from anyprefer.core.errors import ModelSetupError
from anyprefer.core.scene_labels import LABELS
from anyprefer.models.load import is_model
from anyprefer.models.local.built import built_folder
from anyprefer.models.local.model_files import model_source
from anyprefer.models.local.scene_detector import load_detector
from anyprefer.training.bases.by_name import ensure
from anyprefer.training.bases.packed_turns import Packer, turns
from anyprefer.training.scenes.captions import ASKED
from anyprefer.training.scenes.drawing import picture
from anyprefer.training.scenes.world import SIDE, scene
from tests.command_line import refused, run

ONE = scene("dev", 0, 1)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """Folder of a target after four steps."""
    return ensure("scenes-3", steps=4, folder=tmp_path_factory.mktemp("toys") / "target")


@pytest.fixture(scope="module")
def loaded(toy):
    model_source(str(toy))  # makes our classes known
    model = AutoModelForImageTextToText.from_pretrained(toy, dtype=torch.float32).eval()
    return model, AutoProcessor.from_pretrained(toy)


def asked(processor, text):
    content = [{"type": "image"}, {"type": "text", "text": text}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    return processor(images=[picture(ONE)], text=[prompt], return_tensors="pt", add_special_tokens=False)


def test_a_target_reads_sixteen_tokens_a_picture_and_answers_in_words(loaded):
    model, processor = loaded
    inputs = asked(processor, ASKED)
    assert (inputs["input_ids"] == model.config.image_token_id).sum() == 16
    written = model.generate(**inputs, do_sample=False, max_new_tokens=5)[0, inputs["input_ids"].shape[1] :]
    assert not {*written.tolist()} & {*model.generation_config.suppress_tokens}
    said = "a red circle, a blue star and a white ring."
    assert processor.tokenizer.decode(processor.tokenizer.encode(said, add_special_tokens=False)) == said


def test_frozen_features_stand_for_the_pixels(loaded):
    model, processor = loaded
    inputs = asked(processor, "Is there a red circle?")
    features = model.model.vision_tower.frozen_features(inputs["pixel_values"])
    assert features.shape == (1, 64, 272)
    kept = {**inputs, "pixel_values": features.half()}
    with torch.no_grad():
        assert torch.equal(model(**inputs).logits, model(**kept).logits)


def test_a_model_in_half_precision_keeps_its_encoder(toy, loaded):
    model = AutoModelForImageTextToText.from_pretrained(toy, dtype=torch.bfloat16)
    pixels = asked(loaded[1], ASKED)["pixel_values"]
    ours, theirs = (one.model.vision_tower.frozen_features(pixels) for one in (loaded[0], model))
    assert torch.equal(ours, theirs)
    assert model.lm_head.weight.dtype == torch.bfloat16


def test_a_packed_block_is_the_conversation_that_the_model_is_asked(loaded):
    model, processor = loaded
    packer, model = Packer(processor.tokenizer), model.model
    ids, labels = packer.batch([ONE], random.Random(0))
    pixels = asked(processor, ASKED)["pixel_values"]
    row = turns(ONE, random.Random(0))
    alone = [asked(processor, turn.asked)["input_ids"] for turn in row]
    with torch.no_grad():
        seen = model.multi_modal_projector(model.vision_tower(pixels).last_hidden_state)
        embedded = model.language_model.embed_tokens(ids)
        embedded[:, 1:17] = seen
        packed = model.language_model(
            inputs_embeds=embedded, attention_mask=packer.mask, position_ids=packer.positions
        ).last_hidden_state[0]
        ends = (ids[0] == processor.tokenizer.answer_token_id).nonzero().flatten().tolist()
        for end, one in zip(ends, alone, strict=True):
            single = model(input_ids=one, pixel_values=pixels).last_hidden_state[0, -1]
            torch.testing.assert_close(packed[end], single, rtol=1e-4, atol=1e-4)
    learned = [processor.tokenizer.decode(labels[0, end]) for end in ends]
    assert learned == ["a", *(turn.answer for turn in row[1:])]


def test_a_folder_holds_the_tokenizer_with_its_template(toy):
    tokenizer = AutoTokenizer.from_pretrained(toy)
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Is there a red circle?"}, {"role": "assistant", "content": "yes"}], tokenize=False
    )
    assert text == "<s>Is there a red circle?<answer>yes</s>"
    assert tokenizer.encode("Is there <image>", add_special_tokens=False)[-1] == tokenizer.image_token_id


def test_names_of_built_models(tmp_path, monkeypatch):
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path))
    assert [is_model(name) for name in ("scenes", "scenes-12", "scenes-x", "scene_detector")] == [
        True,
        True,
        False,
        False,
    ]
    with pytest.raises(
        ModelSetupError, match=r"scenes-1 is not built on this machine yet; .*: anyprefer build scenes-1"
    ):
        model_source("scenes-1")
    with pytest.raises(ModelSetupError, match=r"'scene' is not built here; did you mean 'scenes'\?"):
        ensure("scene")
    assert not list(tmp_path.iterdir())


def test_a_broken_build_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path))
    monkeypatch.setattr("anyprefer.training.bases.scenes.fit", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ensure("scenes", steps=2)
    assert not list(tmp_path.iterdir())


def test_the_command_builds_the_detector_and_the_cache_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path / "cache"))
    assert "add --out FOLDER" in refused(run("build", "scene_detector", "--steps", 2))
    assert run("build", "scene_detector", "--steps", 2, "--out", tmp_path / "made").exit_code == 0
    detector = load_detector(tmp_path / "made")
    detector.threshold = 0.0
    wide = picture(ONE).resize((2 * SIDE, SIDE))
    found = detector.detect(wide)
    assert {one.label for one in found} <= {*LABELS}
    assert all(0 <= one.box[0] <= one.box[2] <= 2 * SIDE for one in found)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    with pytest.raises(ModelSetupError, match="anyprefer build scene_detector"):
        built_folder("scene_detector")
    with pytest.raises(ModelSetupError, match="holds no scene detector"):
        load_detector(tmp_path)
