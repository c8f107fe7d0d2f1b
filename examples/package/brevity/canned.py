"""A target that is no language model: `target = "canned:answers.txt"`."""

import random
from collections.abc import Sequence
from pathlib import Path

from anyprefer.core.errors import InputError
from anyprefer.core.task import Task


class CannedTarget:
    """Draws its answers from a file's lines, by seed."""

    def __init__(self, argument: str) -> None:
        """Raises `InputError` for a file that is not there."""
        if not Path(argument).is_file():
            raise InputError(f"target canned:{argument}: there is no such file")
        self.lines = Path(argument).read_text(encoding="utf-8").splitlines()
        self.checkpoint = argument
        self.name = f"canned ({Path(argument).name})"

    async def sample(self, task: Task, prompt: str, seeds: Sequence[int]) -> list[str]:
        """One line per seed."""
        return [random.Random(seed).choice(self.lines) for seed in seeds]
