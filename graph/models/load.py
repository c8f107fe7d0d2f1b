"""A model from a string.

| string | model |
|---|---|
| `openai:NAME` | OpenAI, key from OPENAI_API_KEY |
| `openai:NAME@URL` | any server that speaks the OpenAI protocol: vLLM, SGLang, Ollama, llama.cpp |
| `hf:ID-or-folder` | transformers in this process; a LoRA adapter's folder works too |
| `smollm2` | the embedded default, SmolLM2-135M-Instruct |
| `replay:FILE` | answers recorded by `record`; no model at all |

`evidence` is a judge or reward by rules, not a model; see `nodes/evidence.py`.
"""

from __future__ import annotations

import os
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from langchain_openai.chat_models.base import BaseChatOpenAI
from pydantic import SecretStr

from anyprefer.graph.errors import ModelSetupError
from anyprefer.graph.models.replay import ReplayChat

FORMS = "openai:NAME, openai:NAME@http://host:port/v1, hf:ID-or-folder, smollm2, replay:FILE"


class CompatibleChat(BaseChatOpenAI):
    """A server of the OpenAI protocol that is not OpenAI: `max_tokens` goes out under that name, which all know."""


def load_model(spec: str, role: str = "target") -> BaseChatModel:
    """The chat model a string describes; `role` picks whose recorded traits a replay takes on. Nothing is contacted and no weights are loaded before the first call.

    Raises `ModelSetupError` naming the mend: unknown form, missing key, missing file.
    """
    kind, _, rest = spec.partition(":")
    if spec == "smollm2" or (kind == "hf" and rest):
        from anyprefer.graph.models.local import LocalChat

        return LocalChat(model=rest or spec)
    if kind == "replay" and rest:
        return ReplayChat.from_file(rest, role)
    if kind == "openai" and rest:
        return _openai(rest)
    extra = " (`evidence` can judge and reward, it is no model)" if spec == "evidence" else ""
    raise ModelSetupError(f"unknown model {spec!r}{extra}; use {FORMS}")


def _openai(rest: str) -> BaseChatModel:
    name, at, url = rest.partition("@")
    key = os.environ.get("OPENAI_API_KEY", "")
    if at:
        if not url.startswith(("http://", "https://")) or not name:
            raise ModelSetupError(f"model 'openai:{rest}': after @ comes a URL such as http://localhost:8000/v1")
        settings: dict[str, Any] = {"model": name, "base_url": url, "api_key": SecretStr(key or "none")}
        return CompatibleChat(**settings)
    if not key:
        raise ModelSetupError(
            f"model 'openai:{rest}' needs a key: set OPENAI_API_KEY, or name your own server with openai:{rest}@URL"
        )
    return ChatOpenAI(model=name)
