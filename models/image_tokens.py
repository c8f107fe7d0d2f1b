"""How many tokens an image takes, where the server did not say: for rate limits, and for budgets.

OpenAI's rule for gpt-4o at high detail (platform.openai.com/docs/guides/images-vision, "Calculating costs"): the image is
made to fit into 2048 x 2048 pixels, then so that its shorter side has at most 768; 85 tokens, and 170 for each tile of
512 x 512 that is needed. Its examples: 1024 x 1024 takes 765, 2048 x 4096 takes 1105. Other models count otherwise (one
token for 28 x 28 or 32 x 32 pixels, 576 an image in LLaVA-1.5), so this is an estimate; limits are corrected by what
servers tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from anyprefer.core.errors import InputError
from anyprefer.core.images import sent

BYTES_PER_TOKEN = 4
_BASE, _TILE = 85, 170
_UNKNOWN = (1024, 1024)
"""Pixels of an image behind a URL."""


def image_tokens(size: tuple[int, int] | None) -> int:
    """Tokens of an image of so many pixels, None where they are not known; 255 to 1445."""
    width, height = size or _UNKNOWN
    scale = min(1.0, 2048 / max(width, height))
    scale = min(scale, 768 / min(width, height))
    across, down = (max(1, -(-round(side * scale) // 512)) for side in (width, height))
    return _BASE + _TILE * across * down


def text_size(contents: Sequence[Any]) -> int:
    """Characters that messages' contents would have as texts: an image counts as a text of as many tokens."""
    return sum(_size(content) for content in contents)


def surplus(contents: Sequence[Any]) -> int:
    """Characters that the images among contents take beyond those of `text_size`."""
    return sum(len(url) - _shown(url) for content in contents for url in _urls(content))


def _size(content: Any) -> int:
    if isinstance(content, str):
        return len(content)
    texts = [part.get("text") if isinstance(part, dict) else part for part in content]
    said = sum(len(text) for text in texts if isinstance(text, str))
    return said + sum(map(_shown, _urls(content)))


def _shown(url: str) -> int:
    try:
        return BYTES_PER_TOKEN * image_tokens(sent(url).size)
    except InputError:  # the server says what is wrong with it
        return BYTES_PER_TOKEN * image_tokens(None)


def _urls(content: Any) -> Iterator[str]:
    for part in content if isinstance(content, list) else ():
        shown = part.get("image_url") if isinstance(part, dict) else None
        url = shown.get("url") if isinstance(shown, dict) else None
        if isinstance(url, str):
            yield url
