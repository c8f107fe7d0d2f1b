"""A model from a string.

| string | model |
|---|---|
| `openai:NAME` | OpenAI, key from OPENAI_API_KEY |
| `openai:NAME@URL` | any server that speaks the OpenAI protocol: vLLM, SGLang, Ollama, llama.cpp; its key: `servers/keys.py` |
| `hf:ID-or-folder` | transformers in this process; a LoRA adapter's folder works too |
| `smollm2` | the embedded default, SmolLM2-135M-Instruct |
| `scenes`, `scenes-1`, … | the embedded model that sees, by seed; `anyprefer build scenes` makes it |
| `replay:FILE` | answers recorded by `record`; no model at all |

What else a role's string may be (`evidence`, `target`, `FILE.py:NAME`) is no model of its own; see `graph/players.py`.
"""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import urlsplit

from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

from anyprefer.core.errors import ModelSetupError, near
from anyprefer.core.secrets import keep_secret, keep_secrets_in, keep_url_secrets, public_urls
from anyprefer.models.local.built import is_built
from anyprefer.models.servers.endpoint import Servers
from anyprefer.models.servers.keys import NO_KEY, OPENAI, Keys
from anyprefer.models.servers.openai_chat import CompatibleChat, OpenAIChat
from anyprefer.models.tape import ReplayChat

FORMS = ("openai:NAME", "openai:NAME@http://host:port/v1", "hf:ID-or-folder", "smollm2", "scenes", "replay:FILE")


def is_model(spec: str) -> bool:
    """Whether a string has the form of a model; nothing is loaded."""
    kind, _, rest = spec.partition(":")
    return is_local(spec) or (kind in ("openai", "replay") and bool(rest))


def is_local(spec: str) -> bool:
    """Whether it is a model of transformers in this process."""
    kind, _, rest = spec.partition(":")
    return spec == "smollm2" or is_built(spec) or (kind == "hf" and bool(rest))


def load_model(spec: str, role: str = "target", servers: Servers | None = None) -> BaseChatModel:
    """The chat model a string describes; `role` picks whose recorded traits a replay takes on, `servers` are those of
    a run, with their keys. Nothing is contacted and no weights are loaded before the first call.

    Raises `ModelSetupError` naming the fix: unknown form, missing key, missing file.
    """
    kind, _, rest = spec.partition(":")
    if is_local(spec):
        from anyprefer.models.local.chat import LocalChat

        return LocalChat(model=rest or spec)
    if kind == "replay" and rest:
        return ReplayChat.from_file(rest, role)
    if kind == "openai" and rest:
        return _openai(rest, servers)
    raise ModelSetupError(f"unknown model {spec!r}; {near(spec, FORMS)}")


_AT = re.compile(r".*@(?=https?://)", re.IGNORECASE | re.DOTALL)


def split_server(rest: str) -> tuple[str, str]:
    """(model's name, URL or empty) of what stands behind `openai:`. Names may hold an @ themselves, so the URL begins
    at the last `@http`. Raises `ModelSetupError` for a name that is empty, or ends in what looks like a server."""
    keep_url_secrets(rest)
    found = _AT.match(rest)
    name, url = (found[0][:-1], rest[found.end() :]) if found else (rest, "")
    ends = "" if found else rest.rpartition("@")[2]
    no_url = "@" in rest and not found and (not ends or re.search(r":\d|://|^localhost", ends))
    if not name or no_url or (found and not _host(url)):
        raise ModelSetupError(
            f"model 'openai:{public_urls(rest)}': after @ comes a URL such as http://localhost:8000/v1"
        )
    return name, url.rstrip("/")


def _host(url: str) -> str | None:
    """The URL's host; None where it is no URL of a server."""
    try:
        parts = urlsplit(url)
        odd = parts.port == 0 or parts.fragment or not url.isprintable() or " " in url
    except ValueError:
        return None
    return None if odd else parts.hostname


def _openai(rest: str, servers: Servers | None) -> BaseChatModel:
    name, url = split_server(rest)
    url = url or os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE") or OPENAI
    keys = servers.keys if servers else Keys()
    key, endpoint = keys.of(url), servers.at(url) if servers else None
    shown: dict[str, Any] = {
        "default_headers": keys.headers(url) or None,
        "extra_body": (endpoint and endpoint.limits.extra_body) or None,
    }
    if rest != name or url != OPENAI:
        return CompatibleChat(model=name, base_url=url, api_key=SecretStr(key or NO_KEY), endpoint=endpoint, **shown)
    if not key:
        raise ModelSetupError(
            f"model 'openai:{rest}' needs a key: set OPENAI_API_KEY, or name your own server with openai:{rest}@URL"
        )
    return OpenAIChat(model=name, api_key=SecretStr(key), endpoint=endpoint, **shown)


def keep_secrets_of(model: BaseChatModel) -> None:
    """Nothing that a model object was given to show its server is ever written."""
    if isinstance(secret := getattr(model, "openai_api_key", None), SecretStr):
        keep_secret(secret.get_secret_value())
    keep_url_secrets(str(getattr(model, "openai_api_base", None) or ""))
    for given in ("default_headers", "extra_body"):
        keep_secrets_in(getattr(model, given, None) or {})
