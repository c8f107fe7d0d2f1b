"""A task's trace, whatever shows it: spans in a tree, scores on them, and what the whole is found by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import time_ns
from typing import Any, Literal
from uuid import UUID

from langchain_core.utils.uuid import uuid7

from anyprefer.core.secrets import Scrub, each_text

Kind = Literal["task", "round", "step", "judgment", "model", "tool", "note"]
"""`judgment` is a step that scores; `note` stands for what took place within a step and is no call, such as a retry."""


@dataclass(frozen=True)
class Score:
    """What a candidate, a pair or a task was found to be worth."""

    name: str
    """`judge_score` of a candidate, `margin` and `pair_reward` of a pair, `reward` and `outcome` of the task."""
    value: float | str
    why: str = ""
    """The analysis it rests on."""
    by_model: bool = False
    """Whether a model gave it, or a rule."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """`answer` and `round`, both from 1."""


@dataclass
class Usage:
    """What a model call took."""

    model: str = ""
    provider: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    """US dollars; None where the price is unknown."""


@dataclass
class Span:
    """One thing that took place."""

    name: str
    kind: Kind
    parent: Span | None = None
    inputs: Any = None
    """JSON-like, as all that follows."""
    outputs: Any = None
    error: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    """Small things to filter by: round, prompt version, the answer's number."""
    usage: Usage | None = None
    scores: list[Score] = field(default_factory=list)
    begun: int = field(default_factory=time_ns)
    """Nanoseconds since 1970."""
    ended: int = 0
    id: UUID = field(default_factory=uuid7)

    @property
    def short_id(self) -> int:
        """The last 8 bytes of its id, as OpenTelemetry has them."""
        return self.id.int & (2**64 - 1)

    def end(self, outputs: Any = None, error: str = "") -> None:
        """Ends it, once."""
        if not self.ended:
            self.outputs, self.error, self.ended = outputs, error or self.error, time_ns()


@dataclass(frozen=True)
class Trace:
    """The spans of one task, its root first and parents before their children; the root's id is the trace's."""

    spans: tuple[Span, ...]
    session: str
    """What groups traces: the run's folder, in `iterate` with the iteration in it."""
    labels: Mapping[str, str]
    """Of the task and its run: application, arm, iteration, seed, players, the run's folder."""

    @property
    def root(self) -> Span:
        """The task's span."""
        return self.spans[0]

    @property
    def tags(self) -> list[str]:
        """The labels that viewers filter by, as `name:value`."""
        return [f"{name}:{self.labels[name]}" for name in TAGS if name in self.labels]

    def cleaned(self, clean: Scrub) -> Trace:
        """The same with every text cleaned."""
        made: dict[UUID, Span] = {}
        for span in self.spans:
            parent = made[span.parent.id] if span.parent else None
            texts = {
                name: each_text(getattr(span, name), clean) for name in ("name", "inputs", "outputs", "error", "facts")
            }
            scores = [replace(one, why=clean(one.why), value=each_text(one.value, clean)) for one in span.scores]
            usage = span.usage and replace(span.usage, settings=each_text(span.usage.settings, clean))
            made[span.id] = replace(span, **texts, parent=parent, scores=scores, usage=usage)
        return replace(
            self, spans=tuple(made.values()), session=clean(self.session), labels=each_text(dict(self.labels), clean)
        )


TAGS = ("application", "arm", "iteration", "outcome")
