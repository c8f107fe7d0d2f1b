"""Which server gets which key. A key belongs to one server and is sent to no other; further headers likewise.

| key | sent to |
|---|---|
| OPENAI_API_KEY | https://api.openai.com alone |
| `api_key`, `api_key_file` or `key_env` of `[servers."URL"]` | the server of that URL, and what lies below its path |
| `key_env = "URL=NAME,URL=NAME"` | the same, for a command line |
| `api_key`, or the file `api_key_file` names | the one server the models are at |
| `key_env = "NAME"`: the environment variable's | the one server that is not OpenAI |
| nothing of these | none |

Where a command has no such settings, the variable ANYPREFER_KEY_ENV says the same as `key_env`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

from anyprefer.core.errors import ModelSetupError
from anyprefer.core.secrets import keep_secret, public_url
from anyprefer.core.server_settings import ServerSettings, origin
from anyprefer.core.settings import RunSettings

OPENAI = "https://api.openai.com/v1"
NO_KEY = "none"
"""What stands for a key that there is not."""
_Given = TypeVar("_Given", str, dict[str, str])


class Keys:
    """The keys and headers of one run's servers."""

    def __init__(self, settings: RunSettings | None = None) -> None:
        """Raises `ModelSetupError` for a file that cannot be read or is empty."""
        self._settings = settings or RunSettings()
        if not self._settings.key_env and not any(table.key_env for table in self._settings.servers.values()):
            named = RunSettings(key_env=os.environ.get("ANYPREFER_KEY_ENV", ""))
            servers = {url: self._with_key(url, table) for url, table in named.servers.items()}
            update = {"key_env": named.key_env, "servers": {**self._settings.servers, **servers}}
            self._settings = self._settings.model_copy(update=update)
        self._given = _given(self._settings)
        self._only: dict[str, str] = {}
        """What was given without a URL, and to which server it went."""

    def _with_key(self, url: str, named: ServerSettings) -> ServerSettings:
        table = self._settings.servers.get(url, ServerSettings())
        return table.model_copy(update={"key_env": named.key_env})

    def of(self, url: str) -> str:
        """The key for a base URL, empty where it has none. Raises `ModelSetupError` for a variable that is not set and
        for one key that two servers would get."""
        table, variable = self._settings.table(url), self._settings.key_env
        if own := _given(table):
            return own
        if table.key_env:
            return _from_environment(table.key_env, url)
        if self._given:
            return self._alone("api_key", url, self._given)
        if origin(url) == origin(OPENAI):
            return os.environ.get("OPENAI_API_KEY", "").strip()
        return self._alone("key_env", url, _from_environment(variable, url)) if variable else ""

    def headers(self, url: str) -> dict[str, str]:
        """The further headers for a base URL; they may hold keys, so they are one server's too."""
        if own := self._settings.table(url).headers:
            return own
        return self._alone("headers", url, self._settings.headers) if self._settings.headers else {}

    def _alone(self, setting: str, url: str, given: _Given) -> _Given:
        first = self._only.setdefault(setting, url)
        if origin(first) != origin(url):
            raise ModelSetupError(
                f"{setting} is one server's, but models are at {public_url(first)} and {public_url(url)}; "
                f'give each server\'s own: [servers."URL"] with {setting}, or key_env = URL=NAME, with NAME an environment variable'
            )
        return given


def _given(server: ServerSettings) -> str:
    """The key that is there without the environment, or empty."""
    key = server.api_key.strip() or (_from_file(server.api_key_file) if server.api_key_file else "")
    keep_secret(key)
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
