"""A target's answers in a file that several runs share: ablations sample identical candidates once.

    Synthesis(settings, "runs/a", assemble(settings, samples="samples.db"))
    Synthesis(others, "runs/b", assemble(others, samples="samples.db"))   # the same candidates, judged otherwise

An answer is known by model, server, task (its images by their content), prompt, sampling settings and seed; a model in a
folder also by its files' time. An answer from the file is no model call and is counted nowhere. Several processes may share
a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from anyprefer.core.images import image_keys
from anyprefer.core.kept import Kept, weights_stamp
from anyprefer.core.roles import Target, closed, opened
from anyprefer.core.secrets import without_secrets
from anyprefer.core.settings import Settings
from anyprefer.core.task import Task
from anyprefer.core.trajectories import Trajectory
from anyprefer.core.values import stable_hash
from anyprefer.models.packing import content_of, content_told
from anyprefer.models.traits import who_and_where


class SharedTarget:
    """A target whose answers are looked up in a file before they are asked for."""

    def __init__(self, target: Target, settings: Settings, file: str | Path) -> None:
        """Raises `RunFolderError` when the file cannot be opened."""
        self.target = target
        self.name = target.name
        self.model = getattr(target, "model", None)
        """The target's chat model, None where it is no chat model."""
        self.checkpoint: str = getattr(target, "checkpoint", "")
        noise = [settings.image_noise, settings.seed] if settings.image_noise else []
        self._sampling = [settings.temperature, settings.top_p, settings.max_new_tokens, *noise]
        self._kept = Kept(file, "samples file")

    async def open(self) -> None:
        """What the target wants before its first task."""
        await opened(self.target)

    async def close(self) -> None:
        """What the target wants after its last one."""
        await closed(self.target)

    async def sample(self, task: Task, prompt: str, seeds: Sequence[int]) -> list[Any]:
        """One content per seed, in order; only those the file lacks are asked for."""
        before = [] if isinstance(task.prompt, str) else [task.prompt]
        images = image_keys(task.images)
        asked = [self._who(), task.system, *before, prompt, images, task.start, *self._sampling]
        keys = {seed: stable_hash([*asked, seed])[:40] for seed in seeds}
        known = await self._kept.get(list(keys.values()))
        missing = [seed for seed in seeds if keys[seed] not in known]
        if missing:
            made = await self.target.sample(task, prompt, missing)
            contents = {keys[seed]: _packed(content) for seed, content in zip(missing, made, strict=True)}
            known |= await self._kept.keep(contents)
        return [content_of(orjson.loads(known[keys[seed]])) for seed in seeds]

    def _who(self) -> list[Any]:
        folder = self.name if self.model is not None else self.checkpoint.rpartition(":")[2]
        return [who_and_where(self.model) if self.model is not None else self.name, weights_stamp(folder)]


def _packed(content: Any) -> bytes:
    plain = content.model_dump(mode="json") if isinstance(content, Trajectory) else content
    return without_secrets(orjson.dumps(content_told(plain)).decode()).encode()
