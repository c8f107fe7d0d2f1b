"""OpenVLA's architecture made tiny, with a tokenizer made on the spot, saved to a folder."""

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import Dinov2WithRegistersConfig, LlamaConfig, PreTrainedTokenizerFast, SiglipVisionConfig

from anyprefer.models.policies.openvla_model import OpenVLA, OpenVLAConfig

TEXT = "<s> ▁ In : What action should the robot take to ? Out put carrot spoon plate towel on place moves"
SIDE, PATCH = 28, 14
STATISTICS = {"q01": [-0.03] * 6 + [0.0], "q99": [0.03] * 6 + [1.0], "mask": [True] * 6 + [False]}


def tokenizer():
    words = {word: number for number, word in enumerate(TEXT.split())}
    made = Tokenizer(models.WordLevel(words | {"<unk>": len(words)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", unk_token="<unk>")


def tiny_openvla(folder):
    """The folder of a model with random weights: 4 patches, 64 words, 256 bins, 64 rows that stand for nothing."""
    layers = {"num_hidden_layers": 2, "num_attention_heads": 2}
    sight = {**layers, "image_size": SIDE, "patch_size": PATCH}
    config = OpenVLAConfig(
        text_config=LlamaConfig(hidden_size=32, intermediate_size=64, vocab_size=64 + 256 + 64, **layers),
        dino_config=Dinov2WithRegistersConfig(hidden_size=24, **sight),
        siglip_config=SiglipVisionConfig(hidden_size=16, intermediate_size=32, vision_use_head=False, **sight),
        norm_stats={"bridge_orig": {"action": STATISTICS}, "other": {"action": STATISTICS}},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = OpenVLA(config)
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder
