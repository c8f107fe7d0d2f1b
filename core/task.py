"""The task: x, one input of the game. A prompt is a text or a conversation (`conversation.py`)."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from anyprefer.core import conversation
from anyprefer.core.conversation import Message, Prompt
from anyprefer.core.errors import InputError


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


class NewTask(Task):
    """A task as somebody types it: without an id it gets one that is new each time, and with it samples of its own."""

    id: str = Field(
        default_factory=lambda: uuid4().hex[:12],
        description="Names the task, and seeds its candidates. Left out: a new one each time.",
    )
    prompt: Prompt = Field(description="What the target is asked: a text, or the messages of a conversation.")
    system: str | None = Field(None, description="System message of the target.")
    images: tuple[str, ...] = Field((), description="Paths, http(s) URLs or data: URLs.")
    reference: Any = Field(None, description="Gold answer where there is one.")

    @classmethod
    def taken(cls, given: Any) -> Task:
        """The task that was given, or typed. Raises `InputError` naming the field that is wrong."""
        if isinstance(given, Task):
            return given
        try:
            return Task(**dict(cls.model_validate(given)))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, ("task", *first["loc"])))
            raise InputError(f'{place}: {first["msg"]}; a task is {{"prompt": "…"}}') from None
