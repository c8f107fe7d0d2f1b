"""A tiny checkpoint written as OpenVLA's is published: timm's names, timm's order of computation, code that is not run."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import conv2d, gelu, layer_norm, linear, scaled_dot_product_attention

from anyprefer.core.errors import ModelSetupError
from anyprefer.models.policies.by_name import policy as load_policy
from anyprefer.models.policies.openvla_model import IMAGENET
from anyprefer.models.policies.openvla_published import TOWERS
from tests.policies import seen
from tests.tiny_openvla import PATCH, SIDE, STATISTICS, tokenizer

DINO, SIGLIP, TEXT, BLOCKS, HEADS = 32, 48, 16, 3, 16


def block(width, inner, scaled):
    made = {f"norm{n}.{part}": (width,) for n in (1, 2) for part in ("weight", "bias")}
    layers = {
        "attn.qkv": (3 * width, width),
        "attn.proj": (width, width),
        "mlp.fc1": (inner, width),
        "mlp.fc2": (width, inner),
    }
    made |= {f"{name}.weight": shape for name, shape in layers.items()}
    made |= {f"{name}.bias": shape[:1] for name, shape in layers.items()}
    return made | ({f"ls{n}.scale_factor": (width,) for n in (1, 2)} if scaled else {})


def tower(width, inner, scaled):
    patches = (SIDE // PATCH) ** 2
    made = {
        "pos_embed": (1, patches, width),
        "patch_embed.proj.weight": (width, 3, PATCH, PATCH),
        "patch_embed.proj.bias": (width,),
    }
    made |= {f"blocks.{n}.{name}": shape for n in range(BLOCKS) for name, shape in block(width, inner, scaled).items()}
    return made | {"norm.weight": (width,), "norm.bias": (width,)}


def linears(prefix, *layers):
    return {
        f"{prefix}{name}.{part}": shape[: 2 if part == "weight" else 1]
        for name, *shape in layers
        for part in ("weight", "bias")
    }


def shapes():
    dino = tower(DINO, 4 * DINO, True) | {"cls_token": (1, 1, DINO), "reg_token": (1, 4, DINO)}
    pool = {"attn_pool.latent": (1, 1, SIGLIP), "attn_pool.kv.weight": (2 * SIGLIP, SIGLIP)}
    both = DINO + SIGLIP
    text = {f"self_attn.{name}_proj": (TEXT, TEXT) for name in "qkvo"}
    text |= {"mlp.gate_proj": (32, TEXT), "mlp.up_proj": (32, TEXT), "mlp.down_proj": (TEXT, 32)}
    text |= {"input_layernorm": (TEXT,), "post_attention_layernorm": (TEXT,)}
    made = {f"vision_backbone.featurizer.{name}": shape for name, shape in dino.items()}
    made |= {f"vision_backbone.fused_featurizer.{name}": one for name, one in (tower(SIGLIP, 64, False) | pool).items()}
    made |= linears("projector.", ("fc1", 4 * both, both), ("fc2", TEXT, 4 * both), ("fc3", TEXT, TEXT))
    made |= {f"language_model.model.layers.0.{name}.weight": shape for name, shape in text.items()}
    ends = {"model.embed_tokens.weight": (384, TEXT), "model.norm.weight": (TEXT,), "lm_head.weight": (384, TEXT)}
    return made | {f"language_model.{name}": shape for name, shape in ends.items()}


@pytest.fixture(scope="module")
def weights():
    drawn = torch.Generator().manual_seed(0)
    return {name: 0.3 * torch.randn(shape, generator=drawn) for name, shape in shapes().items()}


@pytest.fixture
def write(weights, tmp_path, monkeypatch):
    monkeypatch.setenv("ANYPREFER_DTYPE", "float32")

    def written(without="", **changed):
        kept = {name: tensor for name, tensor in weights.items() if name != without}
        save_file(dict(list(kept.items())[:60]), tmp_path / "model-00001-of-00002.safetensors")
        save_file(dict(list(kept.items())[60:]), tmp_path / "model-00002-of-00002.safetensors")
        text = {"model_type": "llama", "hidden_size": TEXT, "intermediate_size": 32, "num_hidden_layers": 1}
        config = {
            "model_type": "openvla",
            "architectures": ["OpenVLAForActionPrediction"],
            "auto_map": {"AutoConfig": "configuration_prismatic.OpenVLAConfig"},
            "image_sizes": [SIDE, SIDE],
            "timm_model_ids": list(TOWERS),
            "text_config": {**text, "num_attention_heads": 2, "vocab_size": 384, "pad_token_id": 319},
            "norm_stats": {"bridge_orig": {"action": STATISTICS}},
            "pad_to_multiple_of": 64,
        }
        tokenizer().save_pretrained(tmp_path)
        (tmp_path / "config.json").write_text(json.dumps(config | changed))
        (tmp_path / "configuration_prismatic.py").write_text("raise SystemExit('code of a checkpoint was run')")
        return f"openvla:{tmp_path}"

    return written


def as_timm(weights, prefix, picture):
    """(B, patches, D): the last block but one, as timm computes it."""
    have = {name.removeprefix(prefix): one for name, one in weights.items() if name.startswith(prefix)}
    found = conv2d(picture, have["patch_embed.proj.weight"], have["patch_embed.proj.bias"], stride=PATCH)
    found = found.flatten(2).transpose(1, 2) + have["pos_embed"]
    before = [have[name].expand(len(found), -1, -1) for name in ("cls_token", "reg_token") if name in have]
    first, found = sum(one.shape[1] for one in before), torch.cat([*before, found], dim=1)
    for number in range(BLOCKS - 1):
        one = {
            name.removeprefix(f"blocks.{number}."): w
            for name, w in have.items()
            if name.startswith(f"blocks.{number}.")
        }
        for n, part in ((1, attention), (2, mlp)):
            seen_by = layer_norm(found, found.shape[-1:], one[f"norm{n}.weight"], one[f"norm{n}.bias"], 1e-6)
            found = found + part(one, seen_by) * one.get(f"ls{n}.scale_factor", 1)
    return found[:, first:]


def attention(one, found):
    rows, length, width = found.shape
    qkv = linear(found, one["attn.qkv.weight"], one["attn.qkv.bias"]).reshape(rows, length, 3, HEADS, width // HEADS)
    mixed = scaled_dot_product_attention(*qkv.permute(2, 0, 3, 1, 4)).transpose(1, 2).reshape(rows, length, width)
    return linear(mixed, one["attn.proj.weight"], one["attn.proj.bias"])


def mlp(one, found):
    inner = gelu(linear(found, one["mlp.fc1.weight"], one["mlp.fc1.bias"]))
    return linear(inner, one["mlp.fc2.weight"], one["mlp.fc2.bias"])


def test_the_published_layout_sees_what_timm_computes(write, weights):
    policy = load_policy(write())
    pixels = torch.tensor(policy.inputs(seen(1)[0])["pixels"])[None]
    colours = pixels.permute(0, 3, 1, 2).float() / 255
    mean, spread = (torch.tensor(one).view(1, 3, 1, 1) for one in IMAGENET)
    dino = as_timm(weights, "vision_backbone.featurizer.", (colours - mean) / spread)
    siglip = as_timm(weights, "vision_backbone.fused_featurizer.", (colours - 0.5) / 0.5)
    both = torch.cat([dino, siglip], dim=2)
    for at in (1, 2, 3):
        both = linear(both, weights[f"projector.fc{at}.weight"], weights[f"projector.fc{at}.bias"])
        both = gelu(both) if at < 3 else both
    with torch.no_grad():
        ours = policy.module.patches(pixels)
    assert torch.allclose(ours, both, rtol=1e-3, atol=1e-3 * float(both.abs().max()))
    assert policy.module.tokens == 320


def test_it_acts_and_is_saved_in_transformers_own_layout(write, tmp_path):
    policy = load_policy(write())
    again = load_policy(policy.save(tmp_path / "ours"))
    acts = [one.act(seen(2), ["put carrot"] * 2, [0, 1], 1.0) for one in (policy, again)]
    assert (acts[0].tokens == acts[1].tokens).all()
    assert acts[0].log_probabilities == pytest.approx(acts[1].log_probabilities, abs=1e-5)
    assert json.loads((tmp_path / "ours" / "config.json").read_text())["model_type"] == "anyprefer_openvla"


def test_other_towers_and_what_is_not_whole_are_refused(write, tmp_path):
    with pytest.raises(ModelSetupError, match=r"has the towers \['vit_base'\], not OpenVLA's"):
        load_policy(write(timm_model_ids=["vit_base"]))
    with pytest.raises(ModelSetupError, match=r"1 weights are missing or unknown, as projector\.fc2\.bias"):
        load_policy(write("projector.fc2.bias"))
    with pytest.raises(ModelSetupError, match=r"has no weight 'dino\.embeddings\.register_tokens'"):
        load_policy(write("vision_backbone.featurizer.reg_token"))
    for file in tmp_path.glob("*.safetensors"):
        file.unlink()
    with pytest.raises(ModelSetupError, match="holds no weights as safetensors"):
        load_policy(f"openvla:{tmp_path}")
