"""A model call as an act (`calls.py`): it waits for a slot, is admitted by the budget, and counted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from anyprefer.core.records import Usage
from anyprefer.models.packing import Form, packed, unpacked
from anyprefer.models.spending import Sending, Spending, sending

if TYPE_CHECKING:
    from anyprefer.models.calls import Calls

Once = Callable[[], Awaitable[list[AIMessage]]]
"""Makes a call; a message a choice."""


class ChatCall(Form[list[AIMessage]]):
    """One call of so many characters."""

    def __init__(self, calls: Calls, model: BaseChatModel, once: Once, role: str, round: int, size: int) -> None:
        self.turn = calls.slots
        self._calls, self._model, self._once = calls, model, once
        self._role, self._round, self._size = role, round, size
        self._sent: Sending | None = None

    async def make(self) -> list[AIMessage]:
        """Makes it, its requests counted."""
        await self._calls.admitted()
        with sending(self._calls) as self._sent:
            return await self._once()

    def pack(self, value: list[AIMessage]) -> bytes:
        """Its choices as JSON."""
        return packed(value)

    def unpack(self, kept: bytes) -> list[AIMessage]:
        """The choices."""
        return unpacked(kept)

    def spending(self, value: list[AIMessage] | None) -> Spending | None:
        """What it took; None for one that was never sent."""
        if value is None and not self._sent:
            return None
        usage = Usage() if value is None else self._calls.used(value, self._model, self._size)
        return Spending(self._role, self._round, usage, self._sent.requests if self._sent else 0)
