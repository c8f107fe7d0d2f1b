"""Tools' models made tiny: the real architectures from shrunken configurations, with tokenizers made on the spot.

Heavy imports stay inside the functions: most tests need none of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.stand_ins import tokenizer

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
NAMES = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
WORDS = ("a", "red", "blue", "circle", "square", "dog", "cat", "bus", "on", "the", "bench", "two", "person")


def save_florence(folder: Path) -> str:
    """Florence-2: DaViT and BART."""
    import torch
    from transformers import (
        CLIPImageProcessorPil,
        Florence2Config,
        Florence2ForConditionalGeneration,
        Florence2Processor,
    )

    torch.manual_seed(0)
    special = [*SPECIAL, "<image>", *(f"<loc_{place}>" for place in range(1000))]
    tokens = tokenizer(special, None, merges=False, **NAMES, extra_special_tokens={"image_token": "<image>"})
    text = {
        "model_type": "bart", "vocab_size": len(tokens), "d_model": 16, "encoder_layers": 1, "decoder_layers": 1,
        "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
        "max_position_embeddings": 600, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2,
        "decoder_start_token_id": 2, "forced_eos_token_id": 2,
    }  # fmt: skip
    vision = {
        "depths": (1, 1, 1, 1), "embed_dim": (8, 8, 8, 8), "num_heads": (2, 2, 2, 2), "num_groups": (2, 2, 2, 2),
        "projection_dim": 16, "window_size": 4,
    }  # fmt: skip
    config = Florence2Config(text_config=text, vision_config=vision, image_token_id=4)
    images = CLIPImageProcessorPil(
        size={"height": 64, "width": 64}, crop_size={"height": 64, "width": 64}, do_center_crop=False
    )
    images.image_seq_length = 5  # 2 x 2 places and their mean
    rules = {"pure_text": {}, "description_with_bboxes": {}}
    Florence2Processor(images, tokens, post_processor_config=rules).save_pretrained(folder)
    Florence2ForConditionalGeneration(config).eval().save_pretrained(folder)
    return str(folder)


def save_blip2(folder: Path) -> str:
    """BLIP-2 with OPT; the tokenizer declares no image token, or its processor breaks (transformers 5.23)."""
    import torch
    from transformers import Blip2Config, Blip2ForConditionalGeneration, Blip2Processor, BlipImageProcessorPil

    torch.manual_seed(0)
    tokens = tokenizer(SPECIAL, None, merges=False, **NAMES)
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    text = {
        "model_type": "opt", "vocab_size": len(tokens) + 1, "hidden_size": 16, "num_hidden_layers": 1,
        "ffn_dim": 16, "num_attention_heads": 2, "word_embed_proj_dim": 16, "max_position_embeddings": 128,
        "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    config = Blip2Config(
        vision_config={**small, "image_size": 32, "patch_size": 16},
        qformer_config={**small, "vocab_size": 8, "encoder_hidden_size": 16},
        text_config=text,
        num_query_tokens=4,
        image_token_index=len(tokens),
    )
    images = BlipImageProcessorPil(size={"height": 32, "width": 32})
    Blip2Processor(images, tokens, num_query_tokens=4).save_pretrained(folder)
    Blip2ForConditionalGeneration(config).eval().save_pretrained(folder)
    return str(folder)


def save_grounding_dino(folder: Path) -> str:
    """Grounding DINO: Swin and BERT, whose ids 101, 102, 1012 and 1029 stand in the architecture's code."""
    import torch
    from transformers import (
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessorPil,
        GroundingDinoProcessor,
    )

    torch.manual_seed(0)
    config = GroundingDinoConfig(
        backbone_config={
            "model_type": "swin", "embed_dim": 8, "depths": (1, 1, 1, 1), "num_heads": (1, 1, 1, 1), "window_size": 2,
            "image_size": 64, "out_features": ["stage2", "stage3", "stage4"],
        },
        text_config={
            "model_type": "bert", "vocab_size": 1100, "hidden_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "intermediate_size": 16,
        },
        d_model=32, encoder_layers=1, decoder_layers=2, encoder_ffn_dim=16, decoder_ffn_dim=16,
        encoder_attention_heads=2, decoder_attention_heads=2, num_queries=8,
    )  # fmt: skip
    images = GroundingDinoImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 96})
    GroundingDinoProcessor(images, _bert()).save_pretrained(folder)
    GroundingDinoForObjectDetection(config).eval().save_pretrained(folder)
    return str(folder)


def _bert() -> Any:
    """Whole words, with BERT's ids where they matter."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    ids = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, ".": 1012, "?": 1029}
    ids |= {word: 1030 + place for place, word in enumerate(WORDS)}
    tokens = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    tokens.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokens.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 101), ("[SEP]", 102)]
    )
    named = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=tokens, **named)


def save_sam(folder: Path) -> str:
    """SAM at 64 pixels instead of 1024."""
    import torch
    from transformers import SamConfig, SamImageProcessorPil, SamModel, SamProcessor

    torch.manual_seed(0)
    config = SamConfig(
        vision_config={
            "hidden_size": 16, "output_channels": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
            "image_size": 64, "patch_size": 16, "window_size": 2, "global_attn_indexes": (1,), "num_pos_feats": 8,
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": 64, "patch_size": 16, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 16, "mlp_dim": 16, "num_attention_heads": 2, "iou_head_hidden_dim": 16,
        },
    )  # fmt: skip
    images = SamImageProcessorPil(
        size={"longest_edge": 64}, pad_size={"height": 64, "width": 64}, mask_size={"longest_edge": 16}
    )
    SamProcessor(images).save_pretrained(folder)
    SamModel(config).eval().save_pretrained(folder)
    return str(folder)


def save_sam2(folder: Path) -> str:
    """SAM 2 at 128 pixels; its image processor needs torchvision, so there is none."""
    import torch
    from transformers import Sam2Config, Sam2Model

    torch.manual_seed(0)
    side, sizes = 128, [[32, 32], [16, 16], [8, 8]]
    config = Sam2Config(
        vision_config={
            "backbone_config": {
                "model_type": "sam2_hiera_det_model", "hidden_size": 8, "num_attention_heads": 1,
                "image_size": [side, side], "blocks_per_stage": [1, 1, 2, 1], "embed_dim_per_stage": [8, 16, 32, 64],
                "num_attention_heads_per_stage": [1, 1, 1, 1], "window_size_per_stage": [4, 4, 4, 4],
                "global_attention_blocks": [3], "window_positional_embedding_background_size": [2, 2],
            },
            "backbone_channel_list": [64, 32, 16, 8], "backbone_feature_sizes": sizes, "fpn_hidden_size": 16,
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": side, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 16, "mlp_dim": 16, "num_attention_heads": 2, "iou_head_hidden_dim": 16,
        },
    )  # fmt: skip
    Sam2Model(config).eval().save_pretrained(folder)
    return str(folder)
