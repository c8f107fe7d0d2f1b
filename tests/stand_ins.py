"""Small random models in the shape of the paper's, and a search engine that is none: real code paths, no network.

Heavy imports stay inside the functions: most tests need none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

LLAMA_2 = (
    "{% if messages[0]['role'] == 'system' %}{% set chat = messages[1:] %}{% set first = messages[0]['content'] %}"
    "{% else %}{% set chat = messages %}{% set first = '' %}{% endif %}"
    "{% for m in chat %}{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' }}"
    "{% if loop.first and first %}{{ '<<SYS>>\n' + first + '\n<</SYS>>\n\n' }}{% endif %}"
    "{{ m['content'].strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'].strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
LLAMA_3 = (
    "{% for m in messages %}{% if loop.first %}{{ bos_token }}{% endif %}"
    "{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'].strip() + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
PLAIN = (
    "{% for m in messages %}{{ '<s>' + m['role'] + ':' + m['content'] + '</s>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<s>assistant:' }}{% endif %}"
)
LINES = (
    "What is the sum of 34 and 57? The answer is 91.",
    "Let us add them step by step: 30 + 50 = 80, 4 + 7 = 11, so 80 + 11 = 91.",
    "Natalia sold 48 clips in April and half as many in May. How many clips did she sell altogether?",
)
"""What the tokenizers learn their few merges from."""


def tokenizer(
    special: Sequence[str], template: str | None, starts: bool = False, merges: bool = True, **names: Any
) -> Any:
    """Byte-level BPE with `special` as ids 0, 1, …; it puts the start token first itself when it `starts`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokens = Tokenizer(models.BPE())
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=320 if merges else 0, special_tokens=list(special), initial_alphabet=alphabet
    )
    tokens.train_from_iterator(LINES, trainer)
    if starts:
        start = names["bos_token"]
        added = [(start, tokens.token_to_id(start))]
        tokens.post_processor = processors.TemplateProcessing(single=f"{start} $A", special_tokens=added)
    return PreTrainedTokenizerFast(tokenizer_object=tokens, chat_template=template, **names)


def save_llama(folder: Path, tokens: Any, head: str = "LlamaForCausalLM", **shape: Any) -> Path:
    """A random two-layer Llama with this tokenizer as a safetensors folder; `shape` are fields of its config."""
    import torch
    import transformers

    torch.manual_seed(0)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    ids = {name: getattr(tokens, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
    config = transformers.LlamaConfig(vocab_size=len(tokens), **{**size, "initializer_range": 0.3, **ids, **shape})
    getattr(transformers, head)(config).save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


def save_llama_2(folder: Path) -> Path:
    """Llama-2-7B-chat's shape: as many key as query heads, no padding token, <unk> <s> </s> first, its chat template."""
    names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    tokens = tokenizer(("<unk>", "<s>", "</s>"), LLAMA_2, starts=True, **names)
    return save_llama(folder, tokens, intermediate_size=86, max_position_embeddings=4096, rms_norm_eps=1e-5)


def save_reward_model(folder: Path, template: str | None = LLAMA_3, head: str = "", **shape: Any) -> Path:
    """FsfairX-LLaMA3-RM's shape: grouped-query attention, one label, Llama-3's template, a padding token of its own."""
    special = ("<|begin_of_text|>", "<|eot_id|>", "[PAD]", "<|start_header_id|>", "<|end_header_id|>")
    names = {"bos_token": special[0], "eos_token": special[1], "pad_token": special[2]}
    tokens = tokenizer(special, template, starts=True, **names)
    shape = {"num_labels": 1, "num_key_value_heads": 2, "rope_theta": 500000.0, "initializer_range": 0.1, **shape}
    return save_llama(folder, tokens, head or "LlamaForSequenceClassification", **shape)


class FakeEngine:
    """Stands in for the `ddgs` client, the one seam to the network."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.answer: list[dict[str, str]] | Exception = [
            {"title": "Lima {x}", "body": "Capital of Peru", "href": "https://example.org/lima"}
        ]

    def __enter__(self) -> FakeEngine:
        return self

    def __exit__(self, *_: object) -> None: ...

    def text(self, query: str, **options: Any) -> list[dict[str, str]]:
        self.calls.append({"query": query, **options})
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer
