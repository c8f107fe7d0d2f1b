"""Tiny image-text-to-text models in the shape of the named ones, saved with their processors, and pictures for them.

Heavy imports stay inside the functions: most tests need none of them.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

from tests.stand_ins import tokenizer

LLAVA_15 = (
    "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': ' }}{% endif %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' ' }}{% endfor %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
IN_ORDER = (
    "{% for message in messages %}{{ '<s>' + message['role'] + ':' }}{% for content in message['content'] %}"
    "{% if content['type'] == 'image' %}{{ 'IMAGE' }}{% else %}{{ content['text'] }}{% endif %}{% endfor %}"
    "{{ '</s>' }}{% endfor %}{% if add_generation_prompt %}{{ '<s>assistant:' }}{% endif %}"
)
"""Parts in their order; IMAGE is what the processor replaces."""
NAMES = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")
IDEFICS = ("<fake_token_around_image>", "<image>", "<global-img>", "<end_of_utterance>")
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,
}
TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 8}


def picture(colour: str, size: tuple[int, int] = (40, 30)) -> str:
    """A PNG of one colour with a square in it, as a `data:` URL."""
    from PIL import Image

    made = Image.new("RGB", size, colour)
    made.paste("white", (4, 4, 14, 14))
    file = io.BytesIO()
    made.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def save_llava(folder: Path, text: str = "llama", template: str | None = LLAVA_15) -> Path:
    """LLaVA's shape: a CLIP tower of 16 image tokens, a projector, and Llama (LLaVA-1.5) or Mistral (LLaVA-Med) text;
    rows of the vocabulary that are no token, as there."""
    import transformers as hf

    tokens = tokenizer((*SPECIAL, "<image>"), None, starts=True, merges=False, **NAMES)
    tower = hf.CLIPVisionConfig(image_size=32, **TOWER)
    language = hf.AutoConfig.for_model(text, vocab_size=len(tokens) + 8, **_ids(tokens), **TEXT)
    image = tokens.convert_tokens_to_ids("<image>")
    config = hf.LlavaConfig(vision_config=tower, text_config=language, image_token_index=image, image_seq_length=16)
    size = {"height": 32, "width": 32}
    images = hf.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=size)
    about = {"patch_size": 8, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
    processor = hf.LlavaProcessor(images, tokens, chat_template=template, **about)
    return _save(folder, hf.LlavaForConditionalGeneration, config, processor)


def save_qwen_vl(folder: Path) -> Path:
    """Qwen2.5-VL's shape: as many image tokens as the picture is large, positions in two dimensions (M-RoPE)."""
    import transformers as hf

    from anyprefer.models.local.processors import without_films

    marks = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    tokens = tokenizer((*SPECIAL, *marks), None, merges=False, **NAMES)
    named = dict(
        zip(("vision_start", "vision_end", "image", "video"), tokens.convert_tokens_to_ids(list(marks)), strict=True)
    )
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    config = hf.Qwen2_5_VLConfig(
        text_config={"vocab_size": len(tokens), "rope_parameters": rope, **_ids(tokens), **TEXT},
        vision_config={
            **{"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 32},
            **{"patch_size": 8, "window_size": 32, "fullatt_block_indexes": [1]},
        },
        **{f"{name}_token_id": token for name, token in named.items()},
    )
    images = hf.Qwen2VLImageProcessorPil(patch_size=8, min_pixels=16 * 16, max_pixels=64 * 64)
    template = IN_ORDER.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
    processor = without_films(hf.Qwen2_5_VLProcessor)(images, tokens, chat_template=template)
    return _save(folder, hf.Qwen2_5_VLForConditionalGeneration, config, processor)


def save_idefics(folder: Path) -> Path:
    """SmolVLM's shape (Idefics3): a SigLIP-like tower, pixel shuffle, and a picture as one tile."""
    import transformers as hf

    tokens = tokenizer((*SPECIAL, *IDEFICS), None, merges=False, **NAMES)
    config = hf.Idefics3Config(**_idefics(tokens))
    largest = {"longest_edge": 32}
    images = hf.Idefics3ImageProcessorPil(size=largest, max_image_size=largest, do_image_splitting=False)
    template = IN_ORDER.replace("IMAGE", "<image>")
    processor = hf.Idefics3Processor(images, tokens, image_seq_len=4, chat_template=template)
    return _save(folder, hf.Idefics3ForConditionalGeneration, config, processor)


def save_smolvlm(folder: Path) -> Path:
    """SmolVLM2's shape: as many tiles as the picture is large, and the whole."""
    import transformers as hf

    from anyprefer.models.local.processors import without_films

    named = dict(
        zip(("fake_image_token", "image_token", "global_image_token", "end_of_utterance_token"), IDEFICS, strict=True)
    )
    tiles = [f"<row_{row}_col_{column}>" for row in (1, 2) for column in (1, 2)]
    tokens = tokenizer((*SPECIAL, *IDEFICS, *tiles), None, merges=False, **NAMES, extra_special_tokens=named)
    config = hf.SmolVLMConfig(**_idefics(tokens))
    sizes = {"size": {"longest_edge": 64}, "max_image_size": {"longest_edge": 32}}
    parts = (hf.SmolVLMImageProcessorPil(**sizes), tokens, None)
    processor = without_films(hf.SmolVLMProcessor)(
        *parts, image_seq_len=4, chat_template=IN_ORDER.replace("IMAGE", "<image>")
    )
    return _save(folder, hf.SmolVLMForConditionalGeneration, config, processor)


def _idefics(tokens: Any) -> dict[str, Any]:
    import transformers as hf

    return {
        "text_config": hf.LlamaConfig(vocab_size=len(tokens), **_ids(tokens), **TEXT).to_dict(),
        "vision_config": {"image_size": 32, **TOWER},
        "image_token_id": tokens.convert_tokens_to_ids("<image>"),
        "scale_factor": 2,
        **_ids(tokens),
    }


def _ids(tokens: Any) -> dict[str, int]:
    return {name: getattr(tokens, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}


def _save(folder: Path, head: Any, config: Any, processor: Any) -> Path:
    import torch

    torch.manual_seed(0)
    model = head(config)
    for weight in model.parameters():  # a tower's own small ones would make all pictures alike
        torch.nn.init.normal_(weight, std=0.2) if weight.dim() > 1 else None
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
