"""LLaVA's own checkpoints, as its authors' code writes them: LLaVA-1.5 and LLaVA-Med v1.5 (arXiv 2310.03744, 2306.00890).

Their config.json is the language model's with `mm_` fields, their weights are named `model.mm_projector.0…`, and the CLIP
tower is inside the checkpoint where it was trained too (LLaVA-Med), else named by `mm_vision_tower`. Here they become
transformers' `LlavaForConditionalGeneration` by renaming; no code of theirs runs. Pictures are filled up to a square with
the mean colour, and chats have the form the model was trained in.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import (
    AutoTokenizer,
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    CLIPVisionModel,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaImageProcessorPil,
    LlavaProcessor,
)

from anyprefer.core.errors import ModelSetupError
from anyprefer.models.local.configurations import LLAVA
from anyprefer.models.local.llava_chats import MISTRAL_INSTRUCT, VICUNA_V1
from anyprefer.models.local.model_files import model_source

_CHATS = {"mistral": MISTRAL_INSTRUCT, "llama": VICUNA_V1}
"""What each language model was trained in."""
CLIP = "openai/clip-vit-large-patch14-336"
"""The tower of LLaVA-1.5 and LLaVA-Med v1.5, whose shape is `LlavaConfig`'s own."""
IMAGE = "<image>"
RENAMED = {
    r"^model\.mm_projector\.0\.": "model.multi_modal_projector.linear_1.",
    r"^model\.mm_projector\.2\.": "model.multi_modal_projector.linear_2.",
    r"^model\.vision_tower\.vision_tower\.": "model.vision_tower.",
    r"^model\.layers\.": "model.language_model.layers.",
    r"^model\.embed_tokens\.": "model.language_model.embed_tokens.",
    r"^model\.norm\.": "model.language_model.norm.",
}
"""Their names of weights as regular expressions, and transformers' names."""


def model_of(config: Mapping[str, Any], source: Path | str, dtype: torch.dtype) -> tuple[Any, dict[str, Any]]:
    """The model and transformers' loading info. Raises `ModelSetupError` for a form that is none of LLaVA-1.5's."""
    shape = configuration(config, source)
    head: Any = LlavaForConditionalGeneration  # its annotations leave out the loading info
    model, found = head.from_pretrained(
        source, config=shape, dtype=dtype, key_mapping=RENAMED, use_safetensors=True, output_loading_info=True
    )
    model._weight_conversions = []  # else `save_pretrained` would give the weights their old names again
    lacking = {name for name in found["missing_keys"] if name.startswith("model.vision_tower.")}
    if lacking:
        tower = CLIPVisionModel.from_pretrained(_tower(config, source), dtype=dtype, use_safetensors=True)
        model.model.vision_tower.load_state_dict(tower.state_dict())
        found["missing_keys"] = set(found["missing_keys"]) - lacking
    model.resize_token_embeddings(shape.image_token_id + 1, mean_resizing=False)
    return model, found


def configuration(config: Mapping[str, Any], source: Path | str) -> Any:
    """transformers' configuration of it; the image token is the first id behind the vocabulary."""
    kind = _kind(config)
    text = {name: value for name, value in config.items() if not name.startswith(("mm_", "tune_", "freeze_"))}
    tower = {} if config["mm_vision_tower"] == CLIP else _tower_config(config, source).to_dict()
    return LlavaConfig(
        vision_config=tower or None,
        text_config={**text, "model_type": kind},
        image_token_index=config["vocab_size"],
        vision_feature_layer=config.get("mm_vision_select_layer", -2),
        vision_feature_select_strategy=_strategy(config),
    )


def processor_of(config: Mapping[str, Any], source: Path | str) -> Any:
    """The processor of such a model: its tokenizer with `<image>`, CLIP's image processor and the chat template."""
    shape = configuration(config, source)
    tokenizer = AutoTokenizer.from_pretrained(source, config=shape.text_config)  # their own model_type is not known
    tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE]})
    if tokenizer.convert_tokens_to_ids(IMAGE) != shape.image_token_id:
        raise ModelSetupError(
            f"{source}: its tokenizer has {len(tokenizer) - 1} tokens and its config.json {config['vocab_size']}; they "
            "must be of the same model"
        )
    about = {"vision_feature_select_strategy": _strategy(config), "num_additional_image_tokens": 1}
    made: Any = LlavaProcessor  # not annotated
    return made(
        _image_processor(config, source, shape.vision_config.image_size),
        tokenizer,
        patch_size=shape.vision_config.patch_size,
        chat_template=_CHATS[_kind(config)],
        **about,
    )


def _kind(config: Mapping[str, Any]) -> str:
    """The language model. Raises `ModelSetupError` for a checkpoint that is not of version 1.5."""
    anyres = config.get("image_aspect_ratio") == "anyres" or config.get("mm_patch_merge_type", "flat") != "flat"
    if anyres or config.get("mm_use_im_start_end") or config.get("mm_projector_type") != "mlp2x_gelu":
        raise ModelSetupError(
            "this LLaVA checkpoint is not of version 1.5 (mm_projector_type mlp2x_gelu, no anyres, no mm_use_im_start_end); load the copy that "
            "was converted for transformers (llava-hf)"
        )
    return next(LLAVA[name] for name in config["architectures"] if name in LLAVA)


def _strategy(config: Mapping[str, Any]) -> Literal["default", "full"]:
    return "full" if config.get("mm_vision_select_feature", "patch") == "cls_patch" else "default"


def _image_processor(config: Mapping[str, Any], source: Path | str, size: int) -> Any:
    square = {"height": size, "width": size}
    sizes: dict[str, Any] = {"size": {"shortest_edge": size}, "crop_size": square}
    if config["mm_vision_tower"] != CLIP:
        given = CLIPImageProcessorPil.from_pretrained(_tower(config, source))
        sizes |= {"image_mean": given.image_mean, "image_std": given.image_std}
    return LlavaImageProcessorPil(do_pad=config.get("image_aspect_ratio") == "pad", **sizes)


def _tower_config(config: Mapping[str, Any], source: Path | str) -> Any:
    return CLIPVisionConfig.from_pretrained(_tower(config, source))


def _tower(config: Mapping[str, Any], source: Path | str) -> Path | str:
    """Where the CLIP tower's files are: a folder beside the weights that has its name, else what is named itself."""
    named = str(config["mm_vision_tower"])
    beside = Path(source) / Path(named).name
    return beside if beside.is_dir() else model_source(named)
