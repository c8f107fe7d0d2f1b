"""No engine: feedback off."""

from __future__ import annotations

from anyprefer.core.records import Prompts
from anyprefer.core.roles import Played


class NoEngine:
    """Stands where nobody rewrites prompts."""

    name = "none"
    task_only = True

    async def rewrite(self, name: str, prompts: Prompts, played: Played) -> tuple[str, str]:
        """The old prompt."""
        return prompts.of(name), "no engine rewrites prompts in this run"


offers = NoEngine
