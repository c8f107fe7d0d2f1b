"""Counts model calls and tokens per role, from what the models report."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from anyprefer.graph.state import Usage


class Meter(BaseCallbackHandler):
    """One per task. Billed calls count also when their answer could not be parsed."""

    run_inline = True

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._roles: dict[UUID, str] = {}
        self._counts: Counter[tuple[str, str]] = Counter()

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        tags: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """Remembers which role the call belongs to."""
        role = next((tag[5:] for tag in tags or () if tag.startswith("role:")), "other")
        with self._lock:
            self._roles[run_id] = role

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Adds the call's tokens; a model that reports none counts as 0 tokens."""
        with self._lock:
            role = self._roles.pop(run_id, "other")
            self._counts[role, "calls"] += 1
            for generation in response.generations[0]:
                used = getattr(getattr(generation, "message", None), "usage_metadata", None)
                self._counts[role, "input_tokens"] += (used or {}).get("input_tokens", 0)
                self._counts[role, "output_tokens"] += (used or {}).get("output_tokens", 0)

    def usage(self) -> dict[str, Usage]:
        """Per role, in alphabetical order."""
        with self._lock:
            roles = sorted({role for role, _ in self._counts})
            return {role: Usage(**{f: self._counts[role, f] for f in Usage.model_fields}) for role in roles}


def total(usages: Iterable[Mapping[str, Usage]]) -> dict[str, Usage]:
    """The sum of several tasks' usage, per role."""
    counts: Counter[tuple[str, str]] = Counter()
    for usage in usages:
        for role, used in usage.items():
            for field in Usage.model_fields:
                counts[role, field] += getattr(used, field)
    roles = sorted({role for role, _ in counts})
    return {role: Usage(**{f: counts[role, f] for f in Usage.model_fields}) for role in roles}
