"""Listens to one task's game and builds its tree: task → round 1 → judge → call. LangGraph knows steps, not rounds.

It listens in the event loop, where LangChain would else tell every event in a thread of its own, and keeps what is cheap to
keep: hashing, cleaning and sending are `sending.py`'s, in the background.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult

from anyprefer.core.records import Row
from anyprefer.core.task import Task
from anyprefer.graph.tracing.shown import (
    GLANCE,
    changed,
    clipped,
    plain,
    prompts_read,
    read,
    task_read,
    tool_inputs,
    tool_output,
)
from anyprefer.graph.tracing.shown import messages as told_messages
from anyprefer.graph.tracing.tree import Kind, Span, Usage
from anyprefer.models.prices import Prices

SILENT = ("start", "__default_error_handler__", "accept")
"""Steps that say nothing of their own: the first prompts stand in round 1, an error with the node that raised it, the router's
answer in the round's."""
_KINDS: dict[str, Kind] = {"judge": "judgment", "reward": "judgment"}


class Recorder(BaseCallbackHandler):
    """The spans of one task while it is played."""

    run_inline = True

    def __init__(self, task: Task, prices: Prices) -> None:
        self.root = Span(f"task {task.id}", "task", inputs=task_read(task))
        self.spans = [self.root]
        self._prices = prices
        self._under: dict[UUID, Span] = {}
        """By LangChain's run: its span, or that which stands for one that is not shown."""
        self._game: UUID | None = None
        self._round: Span | None = None
        self._prompts: Any = None
        self._systems: set[str] = set()

    def finish(self, row: Row) -> None:
        """Ends what is open with what the row says."""
        for span in reversed(self.spans):
            played = next(
                (one for one in row.rounds if span.kind == "round" and one.number == span.facts["round"]), None
            )
            if played:
                span.outputs = {
                    "reward": played.reward and played.reward.score,
                    "feedback": clipped(played.feedback, GLANCE),
                }
                span.outputs |= {"usage": plain(dict(played.usage))} if played.usage else {}
            if span is not self.root:
                span.end(span.outputs, span.error)
        if row.outcome == "failed" and self._round:
            self._round.error = row.reason
        told = {"outcome": row.outcome, "reason": row.reason, "reward": row.reward, "usage": plain(dict(row.usage))}
        if row.pair:
            told |= {"chosen": plain(row.pair.chosen), "rejected": plain(row.pair.rejected)}
        self.root.end(
            {name: value for name, value in told.items() if value}, row.reason if row.outcome == "failed" else ""
        )

    # what LangChain calls

    def on_chain_start(self, serialized: Any, inputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None,
                       tags: list[str] | None = None, name: str | None = None, **more: Any) -> None:  # fmt: skip
        """A node of the game, or what one runs."""
        if parent_run_id is None:
            self._game, self._under[run_id] = run_id, self.root
            return
        node = parent_run_id == self._game and any(tag.startswith("graph:step:") for tag in tags or ())
        parent, name = self._parent(parent_run_id), name or "step"
        if name in SILENT:
            self._under[run_id] = parent
        elif node:
            self._open(run_id, name, _KINDS.get(name, "step"), self._in_round(inputs), read(name, inputs))
        else:
            self._open(run_id, name, "step", parent, plain(inputs))

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **more: Any) -> None:
        """Its end; with the prompts' rewriting ends a round."""
        span = self._ended(run_id)
        if span is None:
            return
        span.end(changed(outputs, any(one.parent is span and one.kind == "model" for one in self.spans)))
        if span.name == "update_prompts" and self._round and span.parent is self._round:
            self._round.end()
            self._round = None

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """The same for one that failed."""
        if span := self._ended(run_id):
            span.end(None, _said(error))

    def on_chat_model_start(self, serialized: Any, messages: list[list[BaseMessage]], *, run_id: UUID,
                            parent_run_id: UUID | None = None, metadata: dict[str, Any] | None = None,
                            name: str | None = None, **more: Any) -> None:  # fmt: skip
        """A call; it is named by its role."""
        given, about = more.get("invocation_params") or {}, metadata or {}
        settings = {key: value for key, value in given.items() if key in _SETTINGS and value is not None}
        model = about.get("ls_model_name") or given.get("model") or given.get("model_name") or ""
        told = [self._once(one) for one in told_messages(messages[0])]
        span = self._open(run_id, name or "model", "model", self._parent(parent_run_id), told)
        span.usage = Usage(str(model), str(about.get("ls_provider") or ""), plain(settings))

    def on_llm_start(self, serialized: Any, prompts: list[str], *, run_id: UUID, parent_run_id: UUID | None = None,
                     name: str | None = None, **more: Any) -> None:  # fmt: skip
        """A call of a model that completes a text."""
        told = [{"role": "user", "content": plain(prompts[0])}]
        self._open(run_id, name or "model", "model", self._parent(parent_run_id), told).usage = Usage()

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **more: Any) -> None:
        """Its answer, a message a choice."""
        if span := self._ended(run_id):
            answers = [_answer(one) for one in response.generations[0]]
            self._count(span, answers)
            span.end(told_messages(answers))

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """The same for one that failed."""
        self.on_chain_error(error, run_id=run_id)

    def on_tool_start(self, serialized: Any, input_str: str, *, run_id: UUID, parent_run_id: UUID | None = None,
                      inputs: dict[str, Any] | None = None, name: str | None = None, **more: Any) -> None:  # fmt: skip
        """A tool's use; of one that looks at an answer the number is in its name."""
        tool = name or str((serialized or {}).get("name") or "tool")
        told = tool_inputs(inputs) if inputs is not None else {"input": plain(input_str)}
        number = told.get("answer")
        span = self._open(
            run_id, f"{tool} answer {number}" if number else tool, "tool", self._parent(parent_run_id), told
        )
        span.facts |= {"tool": tool, **({"answer": number} if number else {})}

    def on_tool_end(self, output: Any, *, run_id: UUID, **more: Any) -> None:
        """What it found."""
        if span := self._ended(run_id):
            span.end(tool_output(output))

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **more: Any) -> None:
        """The same for one that failed."""
        self.on_chain_error(error, run_id=run_id)

    def on_custom_event(self, name: str, data: Any, *, run_id: UUID, **more: Any) -> None:
        """What `core.listening.note` tells: a retry, an answer that an earlier run had paid for."""
        span = Span(name, "note", self._parent(run_id), facts=dict(self._parent(run_id).facts))
        self.spans.append(span)
        span.end(plain({key: value for key, value in data.items() if key != "error"}) or None, data.get("error", ""))

    # the tree

    def _open(self, run_id: UUID, name: str, kind: Kind, parent: Span, inputs: Any) -> Span:
        span = Span(name, kind, parent, inputs, facts=dict(parent.facts))
        self.spans.append(span)
        self._under[run_id] = span
        return span

    def _ended(self, run_id: UUID) -> Span | None:
        span = self._under.get(run_id)
        return None if span is None or span.ended or span.kind in ("task", "round") else span

    def _parent(self, run_id: UUID | None) -> Span:
        return self._under.get(run_id, self.root) if run_id else self.root

    def _in_round(self, state: Any) -> Span:
        """The round's span, begun with the first of its nodes."""
        if self._round is None:
            number, prompts = len(state.get("rounds", ())) + 1, state.get("prompts")
            told = prompts_read(prompts, self._prompts) if prompts else {}
            facts = {"round": number, **({"prompt_version": prompts.version} if prompts else {})}
            self._round = Span(f"round {number}", "round", self.root, told, facts=facts)
            self._prompts = prompts
            self.spans.append(self._round)
        return self._round

    def _once(self, message: dict[str, Any]) -> dict[str, Any]:
        """The message; of a system prompt that the task's calls have shown before, its beginning."""
        text = message["content"]
        if message["role"] != "system" or not isinstance(text, str) or text not in self._systems:
            self._systems.add(text if isinstance(text, str) else "")
            return message
        return {**message, "content": clipped(text, GLANCE)}

    def _count(self, span: Span, answers: Sequence[AIMessage]) -> None:
        """Every choice of one request reports the whole request."""
        told, taken = answers[0].usage_metadata, span.usage
        if told is None or taken is None:
            return
        taken.input_tokens, taken.output_tokens = told["input_tokens"], told["output_tokens"]
        if price := self._prices.named(taken.model):
            taken.cost = (taken.input_tokens * price[0] + taken.output_tokens * price[1]) / 1e6


_SETTINGS = (
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "seed",
    "n",
    "stop",
    "tool_choice",
    "response_format",
)


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _answer(one: Generation) -> AIMessage:
    """A choice as a message; a model that completes texts gives none."""
    message = one.message if isinstance(one, ChatGeneration) else None
    return message if isinstance(message, AIMessage) else AIMessage(one.text)
