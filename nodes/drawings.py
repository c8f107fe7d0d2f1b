"""The picture of a task with the regions that a tool found, for a judge that sees.

It is drawn when the judge is asked, so that rows and the ledger keep regions, a few numbers each, and no picture twice.
"""

from __future__ import annotations

import base64
import io
import json
import logging
from functools import lru_cache
from typing import Any

from anyprefer.core.errors import InputError
from anyprefer.core.images import image_key
from anyprefer.core.records import Knowledge
from anyprefer.core.regions import regions_in
from anyprefer.core.task import Task

_log = logging.getLogger("anyprefer")
_QUALITY = 90


def drawing_of(item: Knowledge, task: Task) -> list[str]:
    """A `data:` URL of the task's first picture with the finding's regions; those whose label is in the data's `named`,
    what the candidate names, are marked so. Empty where it has no regions, or the picture cannot be drawn into."""
    found = regions_in(item.data)
    if found is None or not found[0] or not task.images:
        return []
    try:
        return [_drawing(task.images[0], image_key(task.images[0]), json.dumps(item.data, sort_keys=True))]
    except (InputError, ValueError, ImportError) as error:  # the judge has the finding's words
        _log.warning("%s: what %s found cannot be drawn: %s", task.id, item.tool, error)
        return []


@lru_cache(maxsize=16)
def _drawing(image: str, key: str, data: str) -> str:
    """Drawn once for all passes and forms of a round's judge; `key` says what the image shows now."""
    from anyprefer.core.drawing import drawn
    from anyprefer.core.pictures import opened

    told: dict[str, Any] = json.loads(data)
    regions, size = regions_in(told) or ([], (0, 0))
    picture, file = opened(image), io.BytesIO()
    if picture.size != size:
        raise ValueError(f"its regions are of a picture of {size}, not of {picture.size}")
    named = told.get("named")
    marked = [str(label) for label in named] if isinstance(named, list) else None
    drawn(picture, regions, marked).save(file, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
