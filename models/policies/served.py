"""A policy behind a URL, `server:URL`: OpenVLA's own server in its own environment, a robot's, any other.

Each step of the episodes in lock step is one POST of JSON:

    {"observations": [{"pixels": PNG in base64, "agent_pos": [8 numbers]}, …],
     "instructions": [TEXT, …], "seeds": [INTEGER, …], "temperature": NUMBER}

answered by `{"actions": [[7 numbers], …]}` as the simulators take them, and where the policy has them also
`"tokens": [[7 bins, 0 to 255], …]` and `"log_probabilities": [[7 numbers], …]`. What comes back is data: it is bounded, and
read as numbers or refused.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from http.client import HTTPException
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import numpy as np

from anyprefer.core.errors import ModelError, ModelSetupError
from anyprefer.core.secrets import keep_url_secrets, public_urls
from anyprefer.models.policies.action_tokens import BINS
from anyprefer.models.policies.base import DIMENSIONS, Acted, Floats, Inputs, Observation

SECONDS = 120.0
"""For one step of all episodes."""
LARGEST = 2**20
"""Bytes of an answer."""


class _NoRedirects(HTTPRedirectHandler):
    """Pictures go to the server that was named, to no other."""

    def redirect_request(self, *given: Any, **named: Any) -> None:
        """None: the redirect is the answer."""


class ServedPolicy:
    """Asks a server for every action."""

    def __init__(self, url: str) -> None:
        """Raises `ModelSetupError` for what is no http(s) URL; nothing is asked yet."""
        keep_url_secrets(url)
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ModelSetupError(f"policy 'server:{public_urls(url)}' needs a URL such as http://localhost:8000/act")
        self._url, self._opener = url, build_opener(_NoRedirects)
        self.name = self.checkpoint = f"server:{public_urls(url)}"

    def act(
        self,
        observations: Sequence[Observation],
        instructions: Sequence[str],
        seeds: Sequence[int],
        temperature: float,
    ) -> Acted:
        """See `base.Policy`. Raises `ModelError` where the server does not answer, or not with numbers."""
        answer = self._asked(
            {
                "observations": [_told(one) for one in observations],
                "instructions": list(instructions),
                "seeds": [int(seed) for seed in seeds],
                "temperature": temperature,
            }
        )
        rows = len(observations)
        unknown = np.full((rows, DIMENSIONS), np.nan)
        tokens = self._numbers(answer, "tokens", rows, np.zeros((rows, DIMENSIONS)))
        if ((tokens != np.floor(tokens)) | (tokens < 0) | (tokens >= BINS)).any():
            raise ModelError(f"{self.name} gave tokens that are no bins 0 to {BINS - 1}")
        told = self._numbers(answer, "log_probabilities", rows, unknown)
        if (told > 0).any():
            raise ModelError(f"{self.name} gave log_probabilities over 0")
        return Acted(self._numbers(answer, "actions", rows, None), tokens.astype(np.int64), told)

    def inputs(self, observation: Observation) -> Inputs:
        """None: it is not trained here."""
        return {}

    def _asked(self, body: dict[str, Any]) -> dict[str, Any]:
        request = Request(self._url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        try:
            with self._opener.open(request, timeout=SECONDS) as response:
                content = response.read(LARGEST + 1)
            answer = json.loads(content) if len(content) <= LARGEST else None
        except (URLError, HTTPException, OSError, ValueError, RecursionError) as error:
            raise ModelError(f"{self.name} did not answer: {public_urls(str(error))[:300]}") from error
        if not isinstance(answer, dict):
            raise ModelError(f"{self.name} answered with no JSON object of at most {LARGEST} bytes")
        return answer

    def _numbers(self, answer: dict[str, Any], name: str, rows: int, missing: Floats | None) -> Floats:
        given = answer.get(name)
        if given is None and missing is not None:
            return missing
        try:
            found = np.array(given, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            found = np.empty(0)
        if found.shape != (rows, DIMENSIONS) or not np.isfinite(found).all():
            raise ModelError(f"{self.name} gave {name} that are not {rows} times {DIMENSIONS} finite numbers")
        return found


def _told(observation: Observation) -> dict[str, Any]:
    from PIL import Image

    png = io.BytesIO()
    Image.fromarray(observation["pixels"]).save(png, "PNG")
    state = [float(one) for one in observation["agent_pos"]]
    return {"pixels": base64.b64encode(png.getvalue()).decode(), "agent_pos": state}
