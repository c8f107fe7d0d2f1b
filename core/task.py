"""The task: x, one input of the game. A prompt is a text or a conversation (`conversation.py`)."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from anyprefer.core import conversation
from anyprefer.core.conversation import Message, Prompt


class Record(BaseModel):
    """What never changes once made and takes no unknown field."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Task(Record):
    """x, one input of the game (§2.1)."""

    id: str
    """Unique in a run. Rows without one are numbered."""
    prompt: Prompt
    """What the target is asked: a text, or a conversation's messages in the form of `core/conversation.py`."""
    system: str | None = None
    """System message of the target, or None for the chat template's own."""
    images: tuple[str, ...] = ()
    """Paths, http(s) URLs or data: URLs, shown to every model that sees the task."""
    reference: Any = None
    """Gold answer where there is one. Read by `reference_chosen` and the `reference` tool alone."""
    start: Any = None
    """Seeded start state for targets that act in a simulator; any JSON value."""
    meta: dict[str, Any] = Field(default_factory=dict)
    """The row's other columns, carried through untouched."""

    @model_validator(mode="before")
    @classmethod
    def _one_form(cls, given: Any) -> Any:
        if type(given) is dict and isinstance(given.get("prompt"), list | tuple):
            fields = conversation.normal(given["prompt"], given.get("system"), given.get("images") or ())
            return {**given, **fields}
        return given

    @property
    def text(self) -> str:
        """The prompt as judges and tools read it: a conversation with its turns under each other."""
        return self.prompt if isinstance(self.prompt, str) else conversation.rendered(self.prompt)

    @property
    def question(self) -> str:
        """The last user turn's text, where p_t starts (§2.2: p_t is initialised with x)."""
        return conversation.question(self.prompt)

    def messages(self, asked: str | None = None) -> list[Message]:
        """The system message if any and the conversation, with `asked` for the last user turn's text where given.

        p_t speaks for the last user turn alone: it starts as that turn's text and is rewritten in its place; what was
        said before is part of x, which no rewrite touches.
        """
        head: list[Message] = [{"role": "system", "content": self.system}] if self.system else []
        return [*head, *conversation.asked(self.prompt, self.question if asked is None else asked)]
