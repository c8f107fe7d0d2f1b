"""Chats of LLaVA models that come without a chat template, in the form they were trained in.

From `conversation.py` of the authors' code: `vicuna_v1` of LLaVA-1.5 and `mistral_instruct` of LLaVA-Med v1.5. Pictures
stand before the text of their turn, each with a line of its own, as in their training data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SYSTEM = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions."
)
_TEXTS = (
    "{% for part in message['content'] if part['type'] == 'text' %}"
    "{{ ('' if loop.first else '\\n\\n') + part['text'] }}{% endfor %}"
)
_PICTURES = "{% for part in message['content'] if part['type'] == 'image' %}{{ '<image>\\n' }}{% endfor %}"

VICUNA_V1 = (
    "{% if messages[0]['role'] != 'system' %}" + _SYSTEM + " {% endif %}{% for message in messages %}"
    "{% if message['role'] == 'system' %}" + _TEXTS + " "
    "{% elif message['role'] == 'assistant' %}ASSISTANT: " + _TEXTS + "{{ eos_token }}"
    "{% else %}USER: " + _PICTURES + _TEXTS + " {% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
MISTRAL_INSTRUCT = (
    "{% for message in messages %}{% if message['role'] == 'system' %}{{ raise_exception('no system role') }}"
    "{% elif message['role'] == 'assistant' %} " + _TEXTS + " {{ eos_token }}"
    "{% else %}[INST] " + _PICTURES + _TEXTS + " [/INST]{% endif %}{% endfor %}"
)
_VICUNA = {"model_type": "llama", "vocab_size": 32064}
"""The text model of LLaVA-1.5 as transformers' copy has it: Vicuna's vocabulary, widened by `<image>` and `<pad>`."""


def default_template(config: Mapping[str, Any]) -> str | None:
    """LLaVA-1.5's chat for an early copy of it in transformers' layout, which has no template; None for all others."""
    text = config.get("text_config") or {}
    vicuna = all(text.get(name) == value for name, value in _VICUNA.items())
    return VICUNA_V1 if config.get("model_type") == "llava" and vicuna else None
