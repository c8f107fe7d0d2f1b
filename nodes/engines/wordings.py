"""Other wordings of a task in place of a model that rewrites p_t: feedback without words of its own.

A task names them in `meta["wordings"]`; each round without an accepted pair continues with the next one.
"""

from __future__ import annotations

from anyprefer.core.records import Prompts
from anyprefer.core.roles import Played


class WordingsEngine:
    """Says the same to the target in other words; a policy that knows few can be told its task in several ways."""

    name = "wordings"
    task_only = True

    async def rewrite(self, name: str, prompts: Prompts, played: Played) -> tuple[str, str]:
        """The wording after the one that was played, round and round; other players' prompts stay."""
        if name != "target":
            return prompts.of(name), "other wordings are the target's alone"
        wordings = played[-1][0].meta.get("wordings")
        known = [str(one) for one in wordings] if isinstance(wordings, list | tuple) else []
        others = [one for one in known if one != prompts.target]
        if not others:
            return prompts.target, "the task has no other wording (meta.wordings)"
        at = known.index(prompts.target) if prompts.target in known else -1
        return known[(at + 1) % len(known)], ""


offers = WordingsEngine
