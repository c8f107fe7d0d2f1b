"""A tool that sees, used on another machine: one POST of JSON a use, by `serve.py` or by anybody's server.

    {"tool": "florence", "task": {"prompt": "…", "images": ["data:image/png;base64,…"]}, "candidate": "…",
     "arguments": {"what": "objects"}}
    → {"text": "…", "verdict": 0.5, "weight": 1, "data": {"regions": […], "size": [640, 480]}}

`candidate` is null for a tool that looks at the task alone; of the answer only `text` is needed. What the server says is
data: a finding of another form is an error of this use, not of the run.
"""

from __future__ import annotations

import json
import math
import urllib.error
import urllib.request
from typing import Any

from anyprefer.core.images import image_url
from anyprefer.core.records import Candidate
from anyprefer.core.secrets import keep_url_secrets, public_url
from anyprefer.core.task import Task
from anyprefer.models.servers.keys import Keys
from anyprefer.tools.base import Finding, ToolFailure

SECONDS = 600.0
"""For a server that loads its model at the first use; a run's `tool_timeout` is shorter."""
_MOST = 64 * 2**20
"""Bytes of an answer: masks of a large picture."""


def served(url: str, tool: str, task: Task, candidate: Candidate | None = None, **arguments: Any) -> Finding:
    """What the server at `url` finds. Its key is that of ANYPREFER_KEY_ENV. Raises `ToolFailure` where it does not
    answer, or not with a finding."""
    keep_url_secrets(url)
    asked = {
        "tool": tool,
        "task": {"prompt": task.prompt, "images": [image_url(image) for image in task.images]},
        "candidate": None if candidate is None else candidate.text,
        "arguments": arguments,
    }
    return finding_of(_posted(url, json.dumps(asked).encode()), public_url(url))


def finding_of(answer: bytes, source: str) -> Finding:
    """The finding that JSON tells. Raises `ToolFailure` for any other answer."""
    try:
        told = json.loads(answer)
        text, verdict, weight = told["text"], told.get("verdict"), told.get("weight", 1.0)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ToolFailure(f"{source} answered no finding: {type(error).__name__}") from error
    sided = verdict is None or (_number(verdict) and 0 <= verdict <= 1)
    if not (isinstance(text, str) and sided and _number(weight) and weight > 0):
        raise ToolFailure(f"{source} answered no finding: it needs a text, a verdict of 0..1 or null, a weight above 0")
    return Finding(text, verdict=verdict, weight=weight, data=told.get("data"))


def _posted(url: str, body: bytes) -> bytes:
    keys = Keys()
    headers = {"content-type": "application/json", **keys.headers(url)}
    if key := keys.of(url):
        headers["authorization"] = f"Bearer {key}"
    request = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            found: bytes = answer.read(_MOST + 1)
    except urllib.error.HTTPError as error:
        said = error.read(300).decode("utf-8", "replace")
        raise ToolFailure(f"{public_url(url)} answered {error.code}: {said}") from None
    except (OSError, ValueError) as error:
        raise ToolFailure(f"{public_url(url)} does not answer: {error}; is the server running?") from None
    if len(found) > _MOST:
        raise ToolFailure(f"{public_url(url)} answered more than {_MOST} bytes")
    return found


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
