"""The embedded target's vocabulary of words, its chat template and its processor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from anyprefer.core.scene_labels import COLOURS, SHAPES
from anyprefer.models.local.lite0 import Lite0ImageProcessor, Lite0TowerConfig

PAD, UNKNOWN, BEGIN, END, IMAGE, ANSWER = "<pad>", "<unk>", "<s>", "</s>", "<image>", "<answer>"
_SPECIAL = (PAD, UNKNOWN, BEGIN, END, IMAGE, ANSWER)
_PLAIN = (
    *("a", "and", ",", ".", "?", "yes", "no", "describe", "the", "picture", "is", "there"),
    *("what", "which", "colour", "shape"),
)
_TEMPLATE = """{{ bos_token }}{% for message in messages %}\
{% if message.role == 'assistant' %}{{ '<answer>' }}{% endif %}\
{% if message.content is string %}{{ message.content }}{% else %}\
{% for part in message.content if part.type == 'image' %}{{ '<image>' }}{% endfor %}\
{% for part in message.content if part.type == 'text' %}{{ part.text }}{% endfor %}{% endif %}\
{% if message.role == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}\
{% if add_generation_prompt %}{{ '<answer>' }}{% endif %}"""
"""A picture first, then what is asked; roles have no marks but the answer's."""


def scene_tokenizer() -> Any:
    """The tokenizer of the world of scenes."""
    return word_tokenizer((*_PLAIN, *COLOURS, *SHAPES))


def word_tokenizer(plain: Iterable[str]) -> Any:
    """A fast tokenizer whose tokens are whole words in small letters, and full stops, commas and question marks; what it
    does not know is `<unk>`."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = (*_SPECIAL, *plain)
    made = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token=UNKNOWN))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex(r"[.,?]"), "isolated")]
    )
    made.decoder = decoders.WordPiece(prefix="##", cleanup=True)  # words with blanks between, none before a full stop
    fast: Any = PreTrainedTokenizerFast  # its types are left out
    return fast(
        tokenizer_object=made,
        pad_token=PAD,
        unk_token=UNKNOWN,
        bos_token=BEGIN,
        eos_token=END,
        extra_special_tokens={"image_token": IMAGE, "answer_token": ANSWER},
        padding_side="left",
        model_max_length=1024,
    )


def scene_processor(tower: Lite0TowerConfig) -> Any:
    """Pictures and conversations to what the target of scenes reads."""
    return word_processor(tower, (*_PLAIN, *COLOURS, *SHAPES))


def word_processor(tower: Lite0TowerConfig, plain: Iterable[str]) -> Any:
    """Pictures and conversations in these words to what a target reads."""
    from transformers import LlavaProcessor

    processor: Any = LlavaProcessor  # its types are left out
    return processor(
        image_processor=Lite0ImageProcessor(),
        tokenizer=word_tokenizer(plain),
        patch_size=tower.patch_size,
        vision_feature_select_strategy="full",
        chat_template=_TEMPLATE,
    )
