"""Images of tasks and what tools saw in them, small and each once, as `data:` URLs for one HTML file."""

from __future__ import annotations

import base64
import io
import warnings
from hashlib import sha256
from pathlib import Path

from anyprefer.core.errors import InputError
from anyprefer.core.images import images_of
from anyprefer.core.pictures import WEB, opened
from anyprefer.core.records import Knowledge
from anyprefer.core.task import Task
from anyprefer.nodes.drawings import drawing_of

SIDE = 512
"""Pixels of the longer side, at most."""
_QUALITY = 72


class Pictures:
    """Pictures by a short key, none twice, until `budget` bytes are used."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.urls: dict[str, str] = {}
        self.left_out = 0
        """Pictures for which no room was left."""
        self._keys: dict[str, str] = {}

    def of_task(self, task: Task, roots: list[Path]) -> list[dict[str, str]]:
        """`{"key": …}` of each image, or `{"note": …}` with why it is not shown. Nothing is fetched from elsewhere."""
        return [self._shown(image, roots) for image in task.images]

    def of_finding(self, item: Knowledge, task: Task, roots: list[Path]) -> list[dict[str, str]]:
        """The task's picture with the finding's boxes and masks drawn over it, or the finding's own images."""
        first = self._readable(task.images[0], roots) if task.images else None
        drawn = drawing_of(item, task.model_copy(update={"images": (first,)})) if first else []
        return [self._shown(image, roots) for image in (*item.images, *drawn)]

    def of_frame(self, url: str) -> dict[str, str]:
        """A frame of a video, small already."""
        return {"key": self._put(url)} if self.budget > 0 else {"note": "no room was left for this frame"}

    def _shown(self, image: str, roots: list[Path]) -> dict[str, str]:
        if image.startswith(WEB):
            return {"note": f"an image at {image[:200]}, which is not fetched for a report"}
        name = sha256(image.encode("utf-8", "replace")).hexdigest()
        if name not in self._keys:
            if self.budget <= 0:
                self.left_out += 1
                return {"note": "no room was left for this image; the run folder has it"}
            try:
                self._keys[name] = self._kept(images_of(image, roots) or [image])
            except InputError as error:
                return {"note": str(error)[:300]}
        return {"key": self._keys[name]}

    def _kept(self, found: list[str]) -> str:
        return self._put(thumbnail(found[0]))

    def _put(self, url: str) -> str:
        key = f"i{sha256(url.encode()).hexdigest()[:10]}"
        if key not in self.urls:
            self.urls[key] = url
            self.budget -= len(url)
        return key

    def _readable(self, image: str, roots: list[Path]) -> str | None:
        """The image as a text that may be read here."""
        if image.startswith(WEB):
            return None
        try:
            found = images_of(image, roots)
        except InputError:
            return None
        return found[0] if found else None


def thumbnail(image: str, side: int = SIDE) -> str:
    """The `data:` URL of the image as WebP with at most `side` pixels at its longer side. Raises `InputError` for what
    cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture, made = opened(image), io.BytesIO()
    picture.thumbnail((side, side))
    picture.save(made, format="WEBP", quality=_QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(made.getvalue()).decode()}"
