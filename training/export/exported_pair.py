"""What is exported of an accepted task: one preference pair with where it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from anyprefer.core.conversation import Message
from anyprefer.core.records import Row
from anyprefer.core.task import Task
from anyprefer.graph.runs.parts import RunPart

REFERENCE = "reference"
"""The `chosen_model` of an answer that came with the task."""


@dataclass(frozen=True)
class ExportedPair:
    """One pair, as every configuration tells it."""

    id: str
    """Unique in the data set."""
    source: str
    iteration: int
    """From 1."""
    prompt: tuple[Message, ...]
    """Messages of `role` and `content`, a text; the system message first where there is one."""
    marked: tuple[Message, ...]
    """The same with `<image>` at the place of each image."""
    chosen: Any
    """A text, or any other content such as a trajectory."""
    rejected: Any
    images: tuple[str, ...] = ()
    """As `Pictures.keep` names them."""
    score_chosen: float | None = None
    score_rejected: float | None = None
    reward: float | None = None
    judge: str = ""
    chosen_model: str = ""
    rejected_model: str = ""
    own: Mapping[str, Any] = field(default_factory=dict)
    """The user's columns."""
    task: Task | None = None
    """Where the answers are no texts: what they were played from."""
    analyses: tuple[str, str] = ("", "")
    """The judge's, of the chosen and of the rejected answer."""

    @property
    def is_text(self) -> bool:
        """Whether both answers are texts; trainers of policies take the others."""
        return isinstance(self.chosen, str) and isinstance(self.rejected, str)

    @property
    def margin(self) -> float | None:
        """score_chosen - score_rejected; None where either was not scored."""
        if self.score_chosen is None or self.score_rejected is None:
            return None
        return self.score_chosen - self.score_rejected

    @property
    def asked(self) -> str:
        """What is asked, in one text: the turns before the answers."""
        return "\n".join(message["content"] for message in self.prompt if message["role"] != "system")

    @property
    def alternates(self) -> bool:
        """Whether user and assistant speak in turn and the user last: the only form LLaMA-Factory takes."""
        roles = [message["role"] for message in self.prompt if message["role"] != "system"]
        turns = all(role == ("user", "assistant")[at % 2] for at, role in enumerate(roles))
        return turns and len(roles) % 2 == 1 and all(message["role"] != "system" for message in self.prompt[1:])


def exported_pair(row: Row, part: RunPart, name: str, images: Sequence[str], own: Mapping[str, Any]) -> ExportedPair:
    """The pair of an accepted row; `name` is its id in the data set, `images` are kept ones."""
    task, pair = row.task, row.pair
    if task is None or pair is None:
        raise ValueError(f"row {row.id} is accepted without a task or a pair")
    target = row.models.get("target", "")
    messages = task.messages()
    return ExportedPair(
        id=name,
        source=part.source,
        iteration=part.iteration,
        prompt=tuple({"role": one["role"], "content": _said(one)} for one in messages),
        marked=tuple(marked(messages, len(images))),
        chosen=pair.chosen,
        rejected=pair.rejected,
        images=tuple(images),
        score_chosen=pair.chosen_score,
        score_rejected=pair.rejected_score,
        reward=row.reward,
        judge=row.models.get("judge", ""),
        chosen_model=REFERENCE if pair.chosen_index is None else target,
        rejected_model=REFERENCE if pair.rejected_index is None else target,
        own=own,
        task=None if isinstance(pair.chosen, str) and isinstance(pair.rejected, str) else task,
        analyses=(_analysis(row, pair.chosen_index), _analysis(row, pair.rejected_index)),
    )


def _analysis(row: Row, index: int | None) -> str:
    judged = row.rounds[-1].judgments if row.rounds else ()
    return next((one.analysis for one in judged if one.candidate == index), "")


def marked(messages: Sequence[Message], images: int) -> list[Message]:
    """The messages with as many marks as images: at their places, the rest at the end of the last user turn, all
    before the first user turn's text where no place is told (as TRL puts them)."""
    made = [{"role": one["role"], "content": _with_marks(one)} for one in messages]
    placed = sum(one["content"].count(MARK) for one in made)
    users = [at for at, one in enumerate(made) if one["role"] == "user"]
    if users and placed < images:
        left, at = MARK * (images - placed), users[-1] if placed else users[0]
        text = made[at]["content"]
        made[at] = {**made[at], "content": f"{text}\n{left}" if placed else f"{left}\n{text}"}
    return made


MARK = "<image>"


def unmarked(text: str) -> str:
    """A text in which no reader counts an image that is not there."""
    return text.replace(MARK, "< image >")


def _said(message: Message) -> str:
    """The message as one text; of an assistant that called a tool, the call as JSON."""
    content = message.get("content")
    if not isinstance(content, str):
        content = "\n".join(part["text"] for part in content or () if part.get("type") == "text")
    calls = message.get("tool_calls")
    return "\n".join(filter(None, (content, json.dumps(calls, ensure_ascii=False)))) if calls else content


def _with_marks(message: Message) -> str:
    content = message.get("content")
    if isinstance(content, str) or message.get("tool_calls"):
        return unmarked(_said(message))
    return "\n".join(MARK if part.get("type") == "image" else unmarked(part["text"]) for part in content or ())
