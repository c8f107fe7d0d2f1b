"""A prompt rewriter without any model: documented rules over what the tools found (Eq. 2 with no key and no network).

It is no TextGrad and every row says so. It rewrites p_t only, a judge of rules reads no prompt. After a
round below τ the target is asked x again, with a hint of at most `MOST_WORDS` words:

1. What is known: the first passage of each tool that looked at candidates (`Finding.data` with a `text`);
   where those have none, the first of each that looked at the task.
2. The form asked for, once more, when an answer broke it (`form` with a verdict below 1).

The hint is made from x each time and never from `Task.reference`. Pairs are written with x itself, so
what the hinted target answered trains the one without hints.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from anyprefer.core.records import Knowledge, Prompts
from anyprefer.core.roles import Played
from anyprefer.nodes import prompt_texts as texts

MOST_WORDS = 60
"""What a model of 135M parameters can still use."""


class EvidenceEngine:
    """Rewrites p_t by the module's rules."""

    name = "evidence (rules over tool findings, no model)"
    task_only = True

    async def rewrite(self, name: str, prompts: Prompts, played: Played) -> tuple[str, str]:
        """x with the hint, or the old prompt where the tools found nothing that helps."""
        old = prompts.of(name)
        if name != "target":
            return old, "rules over tool findings rewrite the target's prompt only"
        task, last = played[-1]
        known, form = known_of(last.knowledge), broken_form(last.knowledge)
        if not (known or form):
            return old, "the tools found nothing that would help the target"
        new = texts.fill(
            texts.text("engines/evidence"), query=task.text, known=f"What is known: {known}" if known else "", form=form
        )
        return (new, "") if new != old else (old, "the rewrite is the same text")


def known_of(knowledge: Sequence[Knowledge]) -> str:
    """What the tools state as right, each statement once, cut to `MOST_WORDS` words."""
    about = [item for item in knowledge if item.candidate is not None]
    alone = [item for item in knowledge if item.candidate is None]
    words = " ".join(dict.fromkeys(_passages(about)) or dict.fromkeys(_passages(alone))).split()
    return " ".join(words[:MOST_WORDS]) + (" …" if len(words) > MOST_WORDS else "")


def broken_form(knowledge: Sequence[Knowledge]) -> str:
    """The form asked for, where an answer did not keep it."""
    forms = (_entry(item, "form") for item in knowledge if item.verdict is not None and item.verdict < 1)
    return next((form for form in forms if form), "")


def _passages(knowledge: Sequence[Knowledge]) -> Iterator[str]:
    return (text for item in knowledge if (text := _entry(item, "text")))


def _entry(item: Knowledge, name: str) -> str:
    """An entry of a finding's data, or of the first in a list of them; "" where there is none."""
    data: Any = item.data[0] if isinstance(item.data, list) and item.data else item.data
    text = data.get(name) if isinstance(data, dict) else None
    return text.strip() if isinstance(text, str) else ""


offers = EvidenceEngine
