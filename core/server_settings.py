"""Settings of one model server: how much is asked of it, how long it is waited for, and what it is shown.

A run's own (`RunSettings`) hold for every server; a table in `servers` changes some of them for one:

    [servers."https://api.groq.com/openai/v1"]
    key_env = "GROQ_API_KEY"
    rpm = 30
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from anyprefer.core.secrets import public_url

LISTED = BeforeValidator(lambda given: tuple(filter(None, given.split(","))) if isinstance(given, str) else given)
"""A list that may also be text with commas."""
Part = Literal["temperature", "top_p", "seed", "max_tokens", "n", "tools", "response_format", "logprobs", "system"]


class ServerSettings(BaseModel):
    """One server's settings. What is excluded from dumps may hold secrets and is written nowhere."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    api_key: str = Field(
        "",
        exclude=True,
        repr=False,
        description="The server's key; other users of the machine see flags, so rather use api_key_file or key_env.",
    )
    api_key_file: str = Field("", description="File with the server's key.")
    key_env: str = Field(
        "",
        description="Environment variable with the key; for several servers URL=NAME,URL=NAME. OPENAI_API_KEY goes to OpenAI alone.",
    )
    headers: dict[str, str] = Field(
        default_factory=dict, exclude=True, repr=False, description="Further headers of every request."
    )
    extra_body: dict[str, Any] = Field(
        default_factory=dict, exclude=True, repr=False, description="Further fields of every request's body."
    )
    leave_out: Annotated[tuple[Part, ...], LISTED] = Field(
        (),
        description="Parts of requests that are never sent; what a server refuses is found out without this.",
    )
    connections: int = Field(256, ge=1, description="Requests in flight at once; fewer while the server answers 429.")
    rpm: int = Field(0, ge=0, description="Requests per minute, retries counted; 0: no limit.")
    tpm: int = Field(0, ge=0, description="Tokens per minute, read and written; 0: no limit.")
    image_side: int = Field(
        0,
        ge=0,
        description="Most pixels at the longer side of an image sent to a model; a larger one is made smaller. 0: as it is. Tools always see the image itself.",
    )
    timeout: float = Field(
        600.0, gt=0, description="Seconds a request may take before it is sent again; a model that thinks takes long."
    )
    retries: int = Field(
        8,
        ge=0,
        le=100,
        description="Further requests after a passing error (408, 409, 425, 5xx, connection lost), while the server answers others.",
    )
    patience: float = Field(
        600.0,
        ge=0,
        description="Seconds to wait for a server that answers nobody before the run stops, and for one call before it fails.",
    )


ALONE = ServerSettings(patience=60.0)
"""For a model made outside a run: nobody wants a single call to wait for ten minutes."""


def origin(url: str) -> tuple[str, str, int | None]:
    """(scheme, host, port) of a URL, as two URLs of one server share it."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or {"https": 443, "http": 80}.get(scheme)


def below(url: str, named: str) -> bool:
    """Whether a URL is the named one or lies below its path, at the same server."""
    path, above = (urlsplit(public_url(one)).path.rstrip("/") for one in (url, named))
    return origin(url) == origin(named) and (path == above or path.startswith(f"{above}/"))
