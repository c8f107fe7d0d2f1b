"""What must never be written: keys, passwords and tokens, taken out of everything that leaves the program.

| a secret is | where from |
|---|---|
| the value of a variable named as one (`…_KEY`, `…_TOKEN`, `…_SECRET`, `…_PASSWORD`) | environment |
| a key given to us | `api_key`, `api_key_file`, a chat model object, its headers and further fields of its requests |
| userinfo, keys in the query, and parts of the path that look like a key | models' URLs, proxies |
| anything shaped like a key (`sk-…`, `hf_…`, `Bearer …`) | error messages alone: an answer may speak of such |

Each is looked for as it is and in the forms in which writers spell it: JSON, JSON within JSON, Python's repr, URLs, base64.
Files, ledger, traces, tapes, logs, messages and the terminal all go through here.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit, urlunsplit

from anyprefer.core.screen import visible

SHORTEST_SECRET = 8
"""Characters from which on a value counts as a secret; shorter ones would blot out ordinary text. With a digit: 6."""
LONGEST_WORD = 16
"""Characters from which on a part of a URL's path with letters and digits counts as a key."""

Scrub = Callable[[str], str]

_KEY = re.compile(r"\b(?:sk-|hf_|lsv2_)[\w*-]{6,}|(?<=Bearer )\S+")
_SECRET_NAME = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL)S?(?:_?\d+)?$", re.IGNORECASE)
_SECRET_FIELD = re.compile(r"key|token|secret|pass|pwd|auth|sig|cred|code$", re.IGNORECASE)
_URL = re.compile(r"[a-z][a-z0-9+.-]{1,15}://[^\s'\"<>]+", re.IGNORECASE)
_MODELS = ("models", "deployments", "engines", "endpoints", "projects")
"""Parts of a path after which names come, not keys."""

_given: dict[str, str] = {}


def keep_secret(value: str, name: str = "api_key") -> None:
    """From now on the value is a secret like those of the environment."""
    for text in {value, value.strip()}:
        if _long_enough(text):
            _given[text] = name


def keep_url_secrets(text: str, name: str = "url") -> None:
    """From now on the keys in the text's URLs are secrets."""
    for value in _in_urls(text):
        _given[value] = name


def keep_secrets_in(given: Any, name: str = "") -> None:
    """From now on the texts in headers, or in a request's further fields, that are named as secrets or look like keys
    are secrets. Other texts are words such as a service's tier, which answers may hold too."""
    if isinstance(given, Mapping):
        for field, value in given.items():
            keep_secrets_in(value, field if _SECRET_FIELD.search(field) or not name else name)
    elif isinstance(given, list | tuple):
        for value in given:
            keep_secrets_in(value, name)
    elif isinstance(given, str):
        text = given.removeprefix("Bearer ")
        if _SECRET_FIELD.search(name) or _like_a_key(text):
            keep_secret(text, name or "header")
        keep_url_secrets(text, name)


def _long_enough(value: str) -> bool:
    return len(value) >= SHORTEST_SECRET or (len(value) >= 6 and any(letter.isdigit() for letter in value))


def _in_urls(text: str) -> Iterator[str]:
    for url in _URL.findall(text) if "://" in text else ():
        try:
            parts = urlsplit(url)
            user, password = parts.username, parts.password
        except ValueError:
            continue
        found = [
            password or user or "",
            *(value for name, value in parse_qsl(f"{parts.query}&{parts.fragment}") if _SECRET_FIELD.search(name)),
        ]
        found += _path_keys(parts.path)
        for value in found:
            yield from {one for one in (value, unquote(value)) if _long_enough(one)}


def _path_keys(path: str) -> Iterator[str]:
    for segment in path.split("/"):
        if segment in _MODELS:
            return
        if _like_a_key(segment):
            yield segment


def _like_a_key(text: str) -> bool:
    mixed = any(letter.isalpha() for letter in text) and any(letter.isdigit() for letter in text)
    return (len(text) >= LONGEST_WORD and mixed and not re.search(r"[./\s]", text)) or bool(_KEY.search(text))


def public_url(url: str) -> str:
    """The URL without userinfo and without the keys in its query and path; what is no URL stays."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return url
    shown = urlunsplit((parts.scheme, host, parts.path, parts.query, parts.fragment)) if "@" in parts.netloc else url
    for value in sorted(_in_urls(url), key=len, reverse=True):
        shown = shown.replace(value, "[key]")
    return shown


def _secrets() -> dict[str, str]:
    """Every secret with its name."""
    found = dict(_given)
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name):
            for text in {value, value.strip()}:
                if len(text) >= SHORTEST_SECRET:
                    found.setdefault(text, name)
        elif "://" in value and ("@" in value or "?" in value):
            for text in _in_urls(value):
                found.setdefault(text, name)
    return found


def _forms(value: str) -> Iterator[str]:
    """The value as writers spell it."""
    for text in (value, repr(value)[1:-1], ascii(value)[1:-1]):
        yield text
        for to_ascii in (False, True):
            written = json.dumps(text, ensure_ascii=to_ascii)[1:-1]
            yield from (written, json.dumps(written, ensure_ascii=to_ascii)[1:-1])
    yield from (quote(value, safe=""), quote(value), quote_plus(value))
    for data in (value, f"user:{value}"):
        yield base64.b64encode(data.encode("utf-8", "replace")).decode().rstrip("=")


_made: tuple[dict[str, str], Scrub] | None = None


def scrubber() -> Scrub:
    """`without_secrets` with the secrets as they are now, looked up once: for writing many lines."""
    global _made
    known = _secrets()
    if _made is None or _made[0] != known:
        _made = known, _scrubber(known)
    return _made[1]


def _scrubber(known: dict[str, str]) -> Scrub:
    forms = {form: f"[{name}]" for value, name in known.items() for form in _forms(value)}
    ordered = sorted(forms.items(), key=lambda pair: -len(pair[0]))

    def scrub(text: str) -> str:
        for value, shown in ordered:
            if value in text:
                text = text.replace(value, shown)
        return text

    return scrub


def without_secrets(text: str) -> str:
    """The text without secrets in any of their forms; the last guard before a file."""
    return scrubber()(text)


def redact(text: str) -> str:
    """The text without secrets, keys in its URLs and anything shaped like a key: for messages."""
    return _KEY.sub("[secret]", without_secrets(public_urls(text)))


def public_urls(text: str) -> str:
    """The text with every URL as `public_url` gives it."""
    return _URL.sub(lambda found: public_url(found[0]), text) if "://" in text else text


def cleaned(value: Any) -> Any:
    """JSON-like data without secrets and without keys in URLs, keys of dicts included: for notes of what was run."""
    return each_text(value, lambda text: without_secrets(public_urls(text)))


def each_text(value: Any, clean: Scrub) -> Any:
    """JSON-like data with every text cleaned, keys of dicts included."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {each_text(key, clean): each_text(one, clean) for key, one in value.items()}
    return [each_text(one, clean) for one in value] if isinstance(value, list | tuple) else value


class _Guard(logging.Filter):
    """No record of ours leaves with a secret in it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Writes the message out, clean and fit for a terminal."""
        said = record.getMessage()
        clean = visible(redact(said))
        if clean != said:
            record.msg, record.args = clean, ()
        return True


logging.getLogger("anyprefer").addFilter(_Guard())
