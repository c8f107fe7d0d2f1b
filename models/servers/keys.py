"""Which server gets which key. A key belongs to one server and is sent to no other.

| key | sent to |
|---|---|
| OPENAI_API_KEY | https://api.openai.com alone |
| `api_key`, or the file `api_key_file` names | the one server the models are at |
| `key_env = ["NAME"]`: the environment variable's | the one server that is not OpenAI |
| `key_env = ["URL=NAME", …]`: each variable's | the server of that URL, and what lies below its path |
| nothing of these | none |

Where a command has no such settings, the variable ANYPREFER_KEY_ENV says the same as `key_env`, with commas.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from anyprefer.core.errors import ModelSetupError
from anyprefer.core.secrets import keep_secret, public_url

OPENAI = "https://api.openai.com/v1"
NO_KEY = "none"
"""What stands for a key that there is not."""


class Keys:
    """The keys of one run."""

    def __init__(self, api_key: str = "", key_env: Sequence[str] = (), api_key_file: str = "") -> None:
        """Raises `ModelSetupError` for a file that cannot be read or is empty."""
        self._given = api_key.strip() or (_from_file(api_key_file) if api_key_file else "")
        keep_secret(self._given)
        named = key_env or [part.strip() for part in os.environ.get("ANYPREFER_KEY_ENV", "").split(",") if part.strip()]
        self._by_url = {url: name for url, equals, name in (part.rpartition("=") for part in named) if equals}
        self._any = next((part for part in named if "=" not in part), "")
        self._only: dict[str, str] = {}
        """What a key without a URL was given for, and to which server."""

    def of(self, url: str) -> str:
        """The key for a base URL, empty where it has none. Raises `ModelSetupError` for a variable that is not set and
        for one key that two servers would get."""
        for named, variable in self._by_url.items():
            if _below(url, named):
                return _from_environment(variable, url)
        if self._given:
            return self._alone("api_key", url, self._given)
        if _origin(url) == _origin(OPENAI):
            return os.environ.get("OPENAI_API_KEY", "").strip()
        return self._alone("key_env", url, _from_environment(self._any, url)) if self._any else ""

    def _alone(self, setting: str, url: str, key: str) -> str:
        first = self._only.setdefault(setting, url)
        if _origin(first) != _origin(url):
            raise ModelSetupError(
                f"{setting} is one server's key, but models are at {public_url(first)} and {public_url(url)}; "
                "give each server's own: key_env = URL=NAME, with NAME an environment variable"
            )
        return key


def _from_environment(variable: str, url: str) -> str:
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ModelSetupError(f"key_env names {variable} for {public_url(url)}, but it is not set; export {variable}=…")
    keep_secret(key, variable)
    return key


def _from_file(path: str) -> str:
    try:
        key = Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelSetupError(f"api_key_file {path} cannot be read: {error}") from None
    if not key or len(key.split()) > 1:
        raise ModelSetupError(f"api_key_file {path} must hold one key and nothing else")
    return key


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or {"https": 443, "http": 80}.get(scheme)


def _below(url: str, named: str) -> bool:
    path, above = urlsplit(url).path.rstrip("/"), urlsplit(named).path.rstrip("/")
    return _origin(url) == _origin(named) and (path == above or path.startswith(f"{above}/"))
