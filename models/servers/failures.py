"""Why an attempt at a model server failed, in the server's words and without secrets.

```
Failure
├── HTTPStatusError   a status other than 2xx, also one written into a 200
└── TransportError    no answer: no connection, a dropped one, a timeout
    └── BadAnswer     a whole 200 that is none: no JSON, no choices, too large
```
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import aiohttp
import orjson

from anyprefer.core.secrets import redact

WORDS = 500
"""Characters kept of what a server says."""
SECRET = 6
"""Characters from which a key is taken out of errors wherever it stands; a shorter one may be a word."""

Kind = Literal["busy", "broken", "refused", "forbidden", "account", "never", "final"]
"""`busy`: asks to wait. `broken`: may pass. `refused`: of every call or of this one, to be found out. `forbidden`: so
until a call was answered, then this call's own. `account`: of every call. `never`: no waiting helps any call.
`final`: this call's own."""

_NO_CREDIT = re.compile(
    r"insufficient[_ ](?:quota|balance|credits?|funds)|credit balance is too low|out of credits?|no credits?\b"
    r"|billing_(?:hard_limit|not_active)|account\W+(?:is\W+)?(?:overdue|deactivated|suspended|not active|in arrears)",
    re.IGNORECASE,
)
ELSEWHERE = re.compile(
    r"model\b.*\bnot (?:found|exist)|model_not_found|(?:no such|unknown) model|unexpected endpoint", re.I
)
"""Words of a 404 that speak of no part of a request: the model or the path is unknown."""
_MONEY = re.compile(r"billing|credits?\b|payment|quota|balance|overdue|arrears", re.IGNORECASE)
_LATER = re.compile(r"retry|try again|per (?:minute|hour|day)|rate.?limit", re.IGNORECASE)


class HTTPStatusError(Exception):
    """A status other than 2xx. Its message is `Error code: <status> - <the server's words>`."""

    def __init__(self, status: int, words: str, retry_after: float | None = None) -> None:
        super().__init__(status, words, retry_after)
        self.status = status
        self.retry_after = retry_after
        """Seconds the server asks to wait, None where it does not say."""
        self.tried = ""
        """How often and how long it was tried, once it was given up."""

    def __str__(self) -> str:
        return f"Error code: {self.status} - {self.args[1]}{self.tried}"

    @property
    def retryable(self) -> bool:
        """Whether the same request may be answered later."""
        return self.status in (408, 409, 425, 429) or self.status >= 500

    @property
    def of_all(self) -> bool:
        """Whether it is about the key, the model or the path, and not about what was asked."""
        return self.status == 401 or (self.status == 404 and ELSEWHERE.search(str(self.args[1])) is not None)

    @property
    def kind(self) -> Kind:
        """What it means for this call and for others."""
        words = str(self.args[1])
        if self.status == 402:
            return "account"
        if self.status == 429:
            later = self.retry_after is not None or _LATER.search(words)
            return "refused" if _NO_CREDIT.search(words) or (_MONEY.search(words) and not later) else "busy"
        if self.status == 403:
            return "refused" if _MONEY.search(words) else "forbidden"
        if self.status in (401, 404) or self.status < 400:
            return "refused"
        if self.status == 400 and _NO_CREDIT.search(words):
            return "refused"
        return "broken" if self.retryable else "final"


class TransportError(Exception):
    """No whole answer came: no connection, a dropped one, a timeout, half an answer."""

    retry_after: float | None = None

    def __init__(self, words: str, permanent: bool = False) -> None:
        super().__init__(words, permanent)
        self.retryable = not permanent
        self.tried = ""
        """How often and how long it was tried, once it was given up."""

    def __str__(self) -> str:
        return f"{self.args[0]}{self.tried}"

    @property
    def kind(self) -> Kind:
        """What it means for this call and for others."""
        return "broken" if self.retryable else "never"

    @classmethod
    def of(
        cls, error: Exception, secrets: tuple[str, ...] = (), timeout: aiohttp.ClientTimeout | None = None
    ) -> TransportError:
        """From what aiohttp raised; a certificate that is not trusted and a URL that is none stay so."""
        permanent = isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.InvalidURL)
        if isinstance(error, asyncio.TimeoutError):
            return cls(_late(error, timeout or aiohttp.ClientTimeout()))
        return cls(clean(f"Connection error: {error or type(error).__name__}", secrets), permanent)


class BadAnswer(TransportError):
    """A whole answer with a status of 2xx that does not hold what the protocol says."""


Failure = HTTPStatusError | TransportError


def _late(error: Exception, timeout: aiohttp.ClientTimeout) -> str:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return f"Connection timed out: no connection within {timeout.connect} s"
    seconds = timeout.sock_read if isinstance(error, aiohttp.SocketTimeoutError) else timeout.total
    return f"Request timed out: no whole answer within timeout ({seconds} s); a model that thinks for long needs a larger one"


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
    words = clean(said or text, secrets)[:WORDS]
    return "".join(char if char.isprintable() else _shown(char) for char in words) or "(nothing)"


def _shown(char: str) -> str:
    """White space as a space; what would control a terminal as its escape."""
    return " " if char.isspace() else char.encode("unicode_escape").decode()


def _said(answer: Any) -> str:
    answer = answer[0] if isinstance(answer, list) and len(answer) == 1 else answer
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    if not isinstance(error, dict):
        return str(error)
    message = str(error.get("message") or error.get("detail") or "")
    named = [str(error[key]) for key in ("param", "code") if error.get(key) and str(error[key]) not in message]
    return f"{message} ({', '.join(named)})" if message and named else message


def retry_after(header: str | None) -> float | None:
    """Seconds to wait, ≥ 0, from a Retry-After header: seconds or an HTTP date; None for anything else."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
    return None if math.isnan(seconds) else max(0.0, seconds)
