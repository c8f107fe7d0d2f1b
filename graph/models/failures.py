"""Why an attempt at a model server failed, in the server's words and without secrets."""

from __future__ import annotations

import asyncio
import time
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import orjson

from anyprefer.graph.models.traits import redact

WORDS = 500
"""Characters kept of what a server says."""
SECRET = 6
"""Characters from which a key is taken out of errors wherever it stands; a shorter one may be a word."""


class HTTPStatusError(Exception):
    """A status other than 2xx. Its message is `Error code: <status> - <the server's words>`."""

    def __init__(self, status: int, words: str, retry_after: float | None = None) -> None:
        super().__init__(status, words, retry_after)
        self.status = status
        self.retry_after = retry_after
        """Seconds the server asks to wait, None where it does not say."""

    def __str__(self) -> str:
        return f"Error code: {self.status} - {self.args[1]}"

    @property
    def retryable(self) -> bool:
        """Whether the same request may be answered later."""
        return self.status in (408, 409, 429) or self.status >= 500


class TransportError(Exception):
    """No whole answer came: no connection, a dropped one, a timeout, half an answer."""

    retry_after: float | None = None

    def __init__(self, words: str, permanent: bool = False) -> None:
        super().__init__(words, permanent)
        self.retryable = not permanent

    def __str__(self) -> str:
        return str(self.args[0])

    @classmethod
    def of(cls, error: Exception, secrets: tuple[str, ...] = ()) -> TransportError:
        """From what aiohttp raised; a certificate that is not trusted and a URL that is none stay so."""
        permanent = isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.InvalidURL)
        what = "Connection timed out" if isinstance(error, asyncio.TimeoutError) else "Connection error"
        return cls(clean(f"{what}: {error or type(error).__name__}", secrets), permanent)


Failure = HTTPStatusError | TransportError


def clean(text: str, secrets: tuple[str, ...] = ()) -> str:
    """The text without keys of the environment, anything shaped like a key, and the model's own secrets."""
    text = redact(text)
    for secret in secrets:
        if len(secret) >= SECRET:
            text = text.replace(secret, "[secret]")
    return text


def server_words(content: bytes, secrets: tuple[str, ...] = ()) -> str:
    """What an error's body says, at most WORDS characters: the message and the code of OpenAI's form, else the text."""
    text = content.decode("utf-8", "replace").strip()
    try:
        said = _said(orjson.loads(content))
    except ValueError:
        said = ""
    return clean(said or text, secrets)[:WORDS] or "(nothing)"


def _said(answer: Any) -> str:
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    if not isinstance(error, dict):
        return str(error)
    message = str(error.get("message") or error.get("detail") or "")
    named = [str(error[key]) for key in ("param", "code") if error.get(key) and str(error[key]) not in message]
    return f"{message} ({', '.join(named)})" if message and named else message


def retry_after(header: str | None) -> float | None:
    """Seconds to wait, ≥ 0, from a Retry-After header: seconds or an HTTP date."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time.time()
        except ValueError:
            return None
    return max(0.0, seconds) if seconds == seconds else None
