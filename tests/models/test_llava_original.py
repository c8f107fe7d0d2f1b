"""Checkpoints as LLaVA's own code writes them, against the same weights in transformers' layout."""

import json
import re
import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoProcessor, CLIPImageProcessorPil

from anyprefer.core.errors import ModelSetupError
from anyprefer.models.local.chat import LocalChat
from anyprefer.models.local.chat_prompts import as_dicts, prompt_of
from anyprefer.models.local.weights import load_weights
from anyprefer.models.messages import asked, user
from tests.pictured import NAMES, SPECIAL, picture, save_llava
from tests.stand_ins import tokenizer

THEIRS = (
    (r"^model\.multi_modal_projector\.linear_1", "model.mm_projector.0"),
    (r"^model\.multi_modal_projector\.linear_2", "model.mm_projector.2"),
    (r"^model\.vision_tower\.", "model.vision_tower.vision_tower.vision_model."),
    (r"^model\.language_model\.", "model."),
)
RED = picture("red")


def save_original(source, folder, architecture="LlavaMistralForCausalLM", tower_inside=True, **fields):
    """The LLaVA in `source` as LLaVA-Med's authors write it: 264 words, none of them an image, a tower beside it."""
    folder.mkdir()
    vocabulary = tokenizer(SPECIAL, None, starts=True, merges=False, **NAMES)
    vocabulary.save_pretrained(folder)
    config = json.loads((source / "config.json").read_text())
    model = load_weights(str(source), dtype="float32", device="cpu").model
    weights = {theirs(name): tensor for name, tensor in model.state_dict().items()}
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        weights[name] = cut(weights[name], len(vocabulary))
    tower = {name.split("vision_model.")[1]: weights[name] for name in weights if "vision_tower" in name}
    kept = {name: tensor.contiguous() for name, tensor in weights.items() if tower_inside or "vision_tower" not in name}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    about = {
        "architectures": [architecture],
        "model_type": "llava_mistral",
        "vocab_size": len(vocabulary),
        "mm_vision_tower": "openai/clip-tiny",
        "mm_vision_select_layer": -2,
        "mm_vision_select_feature": "patch",
        "mm_projector_type": "mlp2x_gelu",
        "image_aspect_ratio": "pad",
    }
    (folder / "config.json").write_text(json.dumps({**config["text_config"], **about, **fields}))
    save_tower(folder / "clip-tiny", config["vision_config"], tower)
    return folder


def theirs(name):
    for ours, written in THEIRS:
        name = re.sub(ours, written, name)
    return name


def cut(table, size):
    """Without the row of `<image>`, which is the fifth, and those that are no token."""
    return torch.cat([table[:4], table[5 : size + 1]])


def save_tower(folder, config, weights):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "clip_vision_model"}))
    save_file(
        {f"vision_model.{name}": tensor for name, tensor in weights.items()},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)


def logits(weights, ids, pixels, image):
    """Logits of ids of the vocabulary without an image token, in which None stands for the picture."""
    with torch.no_grad():
        row = torch.tensor([[token for one in ids for token in ([image] * 16 if one is None else [one])]])
        return weights.model(input_ids=row, pixel_values=pixels).logits[0]


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    """The same weights in transformers' layout and in theirs."""
    folder = tmp_path_factory.mktemp("layouts")
    ours = save_llava(folder / "hf", "mistral")
    return ours, save_original(ours, folder / "original")


@pytest.mark.parametrize("tower_inside", [True, False])
def test_logits_are_those_of_the_same_weights_in_transformers_layout(layouts, tmp_path, tower_inside):
    ours, _ = layouts
    theirs = save_original(ours, tmp_path / "checkpoint", tower_inside=tower_inside)
    hf, original = (load_weights(str(folder), dtype="float32", device="cpu") for folder in (ours, theirs))
    pixels = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    image = hf.processor.image_token_id
    ids = [1, None, 7, 30, 99]
    shifted = [one if one is None or one < image else one + 1 for one in ids]
    expected = logits(hf, shifted, pixels, image)
    got = logits(original, ids, pixels, original.processor.image_token_id)
    words = [at for at in range(len(original.tokenizer)) if at != image]
    assert torch.equal(got[:, : len(words)], expected[:, words])
    assert original.model.config.image_token_id == len(words)


def test_it_samples_trains_and_is_saved_in_transformers_layout(layouts, tmp_path):
    _, theirs = layouts
    chat = LocalChat(model=str(theirs), dtype="float32", device="cpu", max_tokens=6)
    assert chat.traits.sees
    answer = chat.invoke([user("what is this?", [RED])], temperature=0).text
    weights = load_weights(str(theirs), dtype="float32", device="cpu", merge=False)
    weights.model.save_pretrained(tmp_path)
    weights.processor.save_pretrained(tmp_path)
    assert "model.multi_modal_projector.linear_1.weight" in load_file(tmp_path / "model.safetensors")
    again = LocalChat(model=str(tmp_path), dtype="float32", device="cpu", max_tokens=6)
    assert again.invoke([user("what is this?", [RED])], temperature=0).text == answer


def test_the_chat_and_the_pictures_are_those_of_its_training(layouts):
    weights = load_weights(str(layouts[1]), dtype="float32", device="cpu")
    prompt = prompt_of(weights, as_dicts(asked("Be brief.", "what?", [picture("red", (40, 20))])))
    text = weights.tokenizer.decode(prompt.ids).replace("<image>" * 16, "<image>")
    assert text == "<s>[INST] <image>\nBe brief.\n\nwhat? [/INST]"
    pixels = prompt.inputs["pixel_values"][
        0
    ]  # filled up to a square with the mean colour, which is 0 after it is taken off
    assert pixels[:, 0].abs().max() < 0.02
    assert pixels[:, 16].abs().max() > 1


def test_the_tower_of_llava_is_known_by_its_name(layouts, tmp_path):
    """Nothing is asked of the hub for it where the weights are inside."""
    from anyprefer.models.local.llava_original import CLIP, configuration

    original = save_original(layouts[0], tmp_path / "named", mm_vision_tower=CLIP)
    shape = configuration(json.loads((original / "config.json").read_text()), original)
    assert (shape.vision_config.image_size, shape.vision_config.patch_size, shape.vision_config.hidden_size) == (
        336,
        14,
        1024,
    )


@pytest.mark.parametrize(
    "fields", [{"image_aspect_ratio": "anyres"}, {"mm_projector_type": "linear"}, {"mm_use_im_start_end": True}]
)
def test_other_versions_are_refused(layouts, tmp_path, fields):
    original = save_original(layouts[0], tmp_path / "other", **fields)
    with pytest.raises(ModelSetupError, match=r"other.*not of version 1\.5"):
        load_weights(str(original))


def test_an_early_copy_of_llava_gets_the_chat_it_was_trained_in(tiny_llava, tmp_path):
    early = tmp_path / "early"
    shutil.copytree(tiny_llava, early)
    (early / "chat_template.jinja").unlink()
    assert AutoProcessor.from_pretrained(early).chat_template is None
    config = json.loads((early / "config.json").read_text())
    config["text_config"]["vocab_size"] = 32064
    (early / "config.json").write_text(json.dumps(config))
    from anyprefer.models.local.weights import load_processor

    processor = load_processor(str(early))
    parts = [{"type": "text", "text": "what?"}, {"type": "image", "image": Image.new("RGB", (8, 8))}]
    told = processor.apply_chat_template([{"role": "user", "content": parts}], add_generation_prompt=True)
    assert told.startswith("A chat between a curious human")
    assert told.endswith("questions. USER: <image>\nwhat? ASSISTANT:")
