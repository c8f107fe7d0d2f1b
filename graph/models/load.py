"""A model from a string.

| string | model |
|---|---|
| `openai:NAME` | OpenAI, key from OPENAI_API_KEY |
| `openai:NAME@URL` | any server that speaks the OpenAI protocol: vLLM, SGLang, Ollama, llama.cpp |
| `hf:ID-or-folder` | transformers in this process; a LoRA adapter's folder works too |
| `smollm2` | the embedded default, SmolLM2-135M-Instruct |
| `replay:FILE` | answers recorded by `record`; no model at all |

What else a role's string may be (`evidence`, `target`, `accept`) is no model of its own; see `graph/players.py`.
"""

from __future__ import annotations

import difflib
import os

from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

from anyprefer.graph.errors import ModelSetupError
from anyprefer.graph.models.endpoint import Endpoints
from anyprefer.graph.models.openai_chat import CompatibleChat, OpenAIChat, PostedChat
from anyprefer.graph.models.replay import ReplayChat

FORMS = "openai:NAME, openai:NAME@http://host:port/v1, hf:ID-or-folder, smollm2, replay:FILE"
OTHERS = {"judge": ("evidence", "target"), "reward": ("evidence", "target", "accept"), "engine": ("evidence", "target")}
"""What a role may be beside a model, for the message about an unknown one."""


def load_model(spec: str, role: str = "target", endpoints: Endpoints | None = None, api_key: str = "") -> BaseChatModel:
    """The chat model a string describes; `role` picks whose recorded traits a replay takes on, `endpoints`
    are the servers as a run shares them, `api_key` is used instead of OPENAI_API_KEY. Nothing is contacted
    and no weights are loaded before the first call.

    Raises `ModelSetupError` naming the mend: unknown form, missing key, missing file.
    """
    kind, _, rest = spec.partition(":")
    if spec == "smollm2" or (kind == "hf" and rest):
        from anyprefer.graph.models.local import LocalChat

        return LocalChat(model=rest or spec)
    if kind == "replay" and rest:
        return ReplayChat.from_file(rest, role)
    if kind == "openai" and rest:
        return _openai(rest, endpoints, api_key or os.environ.get("OPENAI_API_KEY", ""))
    raise ModelSetupError(_unknown(spec, role))


def _unknown(spec: str, role: str) -> str:
    others = OTHERS.get(role, ())
    near = difflib.get_close_matches(spec, ("smollm2", *others), n=1)
    mend = f"; did you mean {near[0]!r}?" if near else f"; use {', '.join((FORMS, *others))}"
    places = " and ".join(name for name, allowed in OTHERS.items() if spec in allowed)
    return f"unknown model {spec!r}{f' (only as {places})' if places else ''}{mend}"


def _openai(rest: str, endpoints: Endpoints | None, key: str) -> BaseChatModel:
    name, at, url = rest.partition("@")
    if at:
        if not url.startswith(("http://", "https://")) or not name:
            raise ModelSetupError(f"model 'openai:{rest}': after @ comes a URL such as http://localhost:8000/v1")
        return _shared(CompatibleChat(model=name, base_url=url, api_key=SecretStr(key or "none")), endpoints)
    if not key:
        raise ModelSetupError(
            f"model 'openai:{rest}' needs a key: set OPENAI_API_KEY, or name your own server with openai:{rest}@URL"
        )
    return _shared(OpenAIChat(model=name, api_key=SecretStr(key)), endpoints)


def _shared(model: PostedChat, endpoints: Endpoints | None) -> BaseChatModel:
    """The model at the endpoint of its URL, which other models may share."""
    if endpoints:
        model.endpoint = endpoints.at(model.base_url)
    return model
