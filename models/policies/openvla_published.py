"""OpenVLA's published checkpoints (openvla/openvla-7b and what was fine-tuned from it) in the classes of `openvla_model`.

Their config.json says `openvla`, and their towers' weights have timm's names. Here they are renamed; no code of theirs runs.
Sizes are read off the weights, but for the number of heads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anyprefer.core.errors import ModelSetupError
from anyprefer.models.policies.openvla_model import OpenVLA, OpenVLAConfig

TYPE = "openvla"
TOWERS = ("vit_large_patch14_reg4_dinov2.lvd142m", "vit_so400m_patch14_siglip_224")
"""timm's names of DINOv2 with registers and of SigLIP, in the order of the checkpoint."""
HEADS = 16
"""Of each tower."""
_DINO, _SIGLIP = "vision_backbone.featurizer.", "vision_backbone.fused_featurizer."
_NAMES = {
    _DINO: (
        (r"^cls_token$", "embeddings.cls_token"),
        (r"^reg_token$", "embeddings.register_tokens"),
        (r"^pos_embed$", "embeddings.position_embeddings"),
        (r"^patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
        (r"^blocks\.", "encoder.layer."),
        (r"\.attn\.proj\.", ".attention.o_proj."),
        (r"\.attn\.qkv\.", ".attention.{}_proj."),
        (r"\.ls([12])\.(scale_factor|gamma)$", r".layer_scale\1.lambda1"),
        (r"^norm\.", "layernorm."),
    ),
    _SIGLIP: (
        (r"^pos_embed$", "embeddings.position_embedding.weight"),
        (r"^patch_embed\.proj\.", "embeddings.patch_embedding."),
        (r"^blocks\.", "encoder.layers."),
        (r"\.attn\.proj\.", ".self_attn.out_proj."),
        (r"\.attn\.qkv\.", ".self_attn.{}_proj."),
        (r"\.norm([12])\.", r".layer_norm\1."),
        (r"^norm\.", "post_layernorm."),
    ),
}
"""Of each tower, timm's names as regular expressions, and transformers'; the rest has the same names."""
_OURS = {_DINO: "dino.", _SIGLIP: "siglip."}
_LEFT_OUT = re.compile(r"^vision_backbone\.fused_featurizer\.attn_pool\.|\.rotary_emb\.inv_freq$")
"""Of SigLIP's pooled picture, which OpenVLA does not look at, and what is computed again."""


def is_published(source: str) -> bool:
    """Whether a folder or hub id holds a checkpoint of this layout."""
    return _config(source).get("model_type") == TYPE


def load_published(source: str, dtype: torch.dtype) -> OpenVLA:
    """The model. Raises `ModelSetupError` for other towers, and where a weight is missing or unknown."""
    given = _config(source)
    if tuple(given.get("timm_model_ids", ())) != TOWERS:
        raise ModelSetupError(f"{source} has the towers {given.get('timm_model_ids')}, not OpenVLA's {list(TOWERS)}")
    weights = {name: tensor for old, tensor in _read(_folder(source)) for name, tensor in renamed(old, tensor)}
    try:
        shape = _configuration(given, weights)
    except KeyError as error:
        raise ModelSetupError(f"{source} is no whole OpenVLA: it has no weight {error}") from None
    head: Any = OpenVLA  # its annotations leave out the loading info
    model, found = head.from_pretrained(None, config=shape, state_dict=weights, dtype=dtype, output_loading_info=True)
    if odd := sorted([*found["missing_keys"], *found["unexpected_keys"]]):
        raise ModelSetupError(f"{source} is no whole OpenVLA: {len(odd)} weights are missing or unknown, as {odd[0]}")
    return model  # type: ignore[no-any-return]


def renamed(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """A published weight under transformers' names: three for the one of queries, keys and values, none for some."""
    if _LEFT_OUT.search(name):
        return
    tower = next((prefix for prefix in _NAMES if name.startswith(prefix)), "")
    new = name.removeprefix(tower)
    for pattern, ours in _NAMES.get(tower, ()):
        new = re.sub(pattern, ours, new)
    new = _OURS.get(tower, "") + new
    if new == "dino.embeddings.position_embeddings":  # timm's are of the patches alone
        yield "dino.embeddings.mask_token", tensor.new_zeros(1, tensor.shape[2])
        tensor = torch.cat([tensor.new_zeros(1, 1, tensor.shape[2]), tensor], dim=1)
    elif new == "siglip.embeddings.position_embedding.weight":
        tensor = tensor[0]
    if "{}" not in new:
        yield new, tensor
        return
    for letter, part in zip("qkv", tensor.chunk(3), strict=True):
        yield new.format(letter), part.contiguous()


def _configuration(given: Mapping[str, Any], weights: Mapping[str, Tensor]) -> OpenVLAConfig:
    first, second = given["image_sizes"]
    dino = _tower(weights, "dino.embeddings.patch_embeddings.projection.weight", "dino.encoder.layer.", first)
    siglip = _tower(weights, "siglip.embeddings.patch_embedding.weight", "siglip.encoder.layers.", second)
    wide = weights["dino.encoder.layer.0.mlp.fc1.weight"].shape[0]
    registers = weights["dino.embeddings.register_tokens"].shape[1]
    return OpenVLAConfig(
        text_config=given["text_config"],
        dino_config={**dino, "mlp_ratio": wide // dino["hidden_size"], "num_register_tokens": registers},
        siglip_config={
            **siglip,
            "intermediate_size": weights["siglip.encoder.layers.0.mlp.fc1.weight"].shape[0],
            "hidden_act": "gelu",  # timm's, with which OpenVLA was trained
            "vision_use_head": False,
        },
        norm_stats=given.get("norm_stats"),
        pad_to_multiple_of=given.get("pad_to_multiple_of", 64),
    )


def _tower(weights: Mapping[str, Tensor], patches: str, layers: str, side: int) -> dict[str, Any]:
    """What both towers' configurations say."""
    numbers = {name.removeprefix(layers).partition(".")[0] for name in weights if name.startswith(layers)}
    hidden, _, _, patch = weights[patches].shape
    return {
        "hidden_size": hidden, "patch_size": patch, "image_size": side,
        "num_hidden_layers": len(numbers), "num_attention_heads": HEADS,
    }  # fmt: skip


def _config(source: str) -> dict[str, Any]:
    from transformers.utils.hub import cached_file

    file = cached_file(source, "config.json")
    found: dict[str, Any] = json.loads(Path(str(file)).read_text(encoding="utf-8"))
    return found


def _folder(source: str) -> Path:
    """Where its files are; the hub's are fetched."""
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(source, allow_patterns=["*.json", "*.safetensors", "tokenizer*"]))


def _read(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """All weights under their own names. Raises `ModelSetupError` for a folder without safetensors."""
    from safetensors import safe_open

    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelSetupError(f"{folder} holds no weights as safetensors; other files of weights are not read")
    for file in files:
        with safe_open(file, "pt") as opened:
            for name in opened.keys():  # noqa: SIM118
                yield name, opened.get_tensor(name)
