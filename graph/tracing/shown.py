"""What a span says of the game: what a node read and what it changed, a tool's arguments, a model's messages. Never the whole
state, which LangGraph tells with every node; images as hashes; texts bounded, since a row has all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from pydantic import BaseModel

from anyprefer.core.images import url_key
from anyprefer.core.records import Candidate, Finding, Judgment, Knowledge, PreferencePair, Prompts, Round, texts_of
from anyprefer.core.secrets import each_text
from anyprefer.core.task import Task

LONGEST = 16_000
"""Characters shown of a text: viewers refuse or cut payloads of a megabyte, and a judge's page is seldom longer."""
GLANCE = 300
"""Characters of a text that is no main thing of its span."""
HINT = 60
"""Characters of a candidate by which it is recognised: the call that wrote it has it in full."""

State = Mapping[str, Any]


def clipped(text: str, longest: int = LONGEST) -> str:
    """The text, or its beginning and how long it is."""
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters)"


def plain(value: Any) -> Any:
    """Any value as bounded JSON-like data."""
    if isinstance(value, str):
        return clipped(_reference(value))
    if isinstance(value, BaseModel):
        return plain(value.model_dump(exclude_defaults=True))
    if isinstance(value, BaseMessage):
        return _message(value)
    if isinstance(value, Mapping):
        return _bounded({str(name): plain(one) for name, one in value.items()})
    if isinstance(value, list | tuple):
        return _bounded([plain(one) for one in value])
    return value if value is None or isinstance(value, bool | int | float) else clipped(repr(value), GLANCE)


def shortened(value: Any) -> Any:
    """JSON-like data with a glance at each of its texts."""
    return each_text(value, lambda text: clipped(text, GLANCE))


def _bounded(value: Any) -> Any:
    """A structure such as a mask or a trajectory, as text where it is long."""
    if len(value) <= _FEW:
        return value
    text = json.dumps(value, ensure_ascii=False, default=str)
    return value if len(text) <= LONGEST else clipped(text, GLANCE)


_FEW = 32
"""Entries of a structure from which on its length is looked at."""


def _reference(text: str) -> str:
    """A `data:` URL as its image's hash, which rows and the ledger have too."""
    head, comma, _ = text.partition(";base64,") if text.startswith("data:") else (text, "", "")
    return f"{head};sha256,{url_key(text)}" if comma else text


def task_read(task: Task) -> dict[str, Any]:
    """What a task asks; its images as they were given, or as hashes where they came as data."""
    return plain(task.model_dump(exclude_defaults=True, exclude={"id"}))  # type: ignore[no-any-return]


def prompts_read(prompts: Prompts, before: Prompts | None) -> dict[str, Any]:
    """The prompts a round begins with; after the first one those that were rewritten."""
    told = {"target": prompts.target, "judge": prompts.judge, **{f"tools.{n}": t for n, t in prompts.tools.items()}}
    then = (
        {}
        if before is None
        else {name: before.of(name) for name in told if "." not in name or name[6:] in before.tools}
    )
    return {name: clipped(text) for name, text in told.items() if then.get(name) != text}


def answers_read(candidates: Sequence[Candidate], longest: int = LONGEST) -> dict[str, str]:
    """Candidates by their numbers, from 1, as judges and tools count them."""
    return {
        f"answer {one.index + 1}": clipped(text, longest)
        for one, text in zip(candidates, texts_of(candidates), strict=True)
    }


def _last_feedback(state: State) -> dict[str, Any]:
    last: Round | None = next(iter(state["rounds"][-1:]), None)
    return {"feedback": clipped(last.feedback, GLANCE)} if last and last.feedback else {}


_READS: dict[str, Callable[[State], Any]] = {
    "sample": lambda state: {"prompt": clipped(state["prompts"].asked(state["task"]))},
    "select_tools": _last_feedback,
    "use_tools": lambda state: {"selected": [one.tool for one in state["selected"]]},
    "judge": lambda state: {"context": clipped(state["context"], HINT), **answers_read(state["candidates"], HINT)},
    "reward": lambda state: {f"answer {one.candidate + 1}": one.score for one in state["judgments"]},
    "update_prompts": _last_feedback,
}


def read(node: str, state: Any) -> Any:
    """What a node reads of the state; of a user's own node, what the round has so far."""
    if not isinstance(state, Mapping) or "rounds" not in state:
        return plain(state)
    if node in _READS:
        return _READS[node](state)
    return {name: value for name, value in changed(state).items() if value and name != "task"}


def changed(update: Any, called: bool = False) -> Any:
    """What a node changed; the rounds so far, which LangGraph passes along, are left out. What was `called` for
    stands whole with the calls that wrote it."""
    if not isinstance(update, Mapping):
        return plain(update)
    told = {
        name: _CHANGES.get(name, plain)(value) for name, value in update.items() if name not in ("rounds", "prompts")
    }
    closed: Sequence[Round] = update.get("rounds") or ()
    told |= _closing(closed[-1], "prompts" in update) if closed else {}
    if called and "candidates" in update:
        return told | answers_read(update["candidates"], HINT) | {"candidates": len(update["candidates"])}
    return shortened(told) if called else told


def _closing(closed: Round, rewritten: bool) -> dict[str, Any]:
    if rewritten:
        return {"updates": [plain(one) for one in closed.updates]}
    return {"reward": closed.reward and closed.reward.score, "feedback": clipped(closed.feedback)}


def _pair(pair: PreferencePair | None) -> dict[str, Any] | None:
    """The pair by the candidates' numbers; what is no candidate, a reference or a corrected answer, as text."""
    if pair is None:
        return None
    places = {"chosen": (pair.chosen_index, pair.chosen), "rejected": (pair.rejected_index, pair.rejected)}
    told = {name: plain(text) if index is None else f"answer {index + 1}" for name, (index, text) in places.items()}
    return {**told, "margin": pair.margin}


def _candidates(candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    told = [one.model_dump(exclude_defaults=True, exclude={"content", "index"}) for one in candidates]
    texts = texts_of(candidates)
    return [
        {"answer": one.index + 1, "text": clipped(text), **plain(more)}
        for one, text, more in zip(candidates, texts, told, strict=True)
    ]


def _judgments(judgments: Sequence[Judgment]) -> list[dict[str, Any]]:
    return [{"answer": one.candidate + 1, "score": one.score, "spread": one.spread} for one in judgments]


def _knowledge(found: Sequence[Knowledge]) -> list[dict[str, Any]]:
    """What tools found: whose it is, and the verdict; their spans have the rest."""
    return [
        {
            "tool": one.tool,
            **({} if one.candidate is None else {"answer": one.candidate + 1}),
            **({"error": clipped(one.error, GLANCE)} if one.error else {"verdict": one.verdict}),
        }
        for one in found
    ]


_CHANGES: dict[str, Callable[[Any], Any]] = {
    "candidates": _candidates,
    "judgments": _judgments,
    "pair": _pair,
    "task_knowledge": _knowledge,
    "candidate_knowledge": _knowledge,
}


def tool_inputs(given: Mapping[str, Any]) -> dict[str, Any]:
    """A tool's arguments, and the number of the answer it looks at, with how that begins."""
    told: dict[str, Any] = {
        name: plain(value) for name, value in given.items() if name not in ("task", "candidate", "candidates")
    }
    if isinstance(one := given.get("candidate"), Candidate):
        told |= {"answer": one.index + 1, "text": clipped(one.text, HINT)}
    return told


def tool_output(found: Any) -> Any:
    """What a tool returned."""
    if not isinstance(found, Finding):
        return plain(found)
    told = {"text": found.text, "verdict": found.verdict, "data": found.data, "images": list(found.images)}
    return plain({name: value for name, value in told.items() if value not in (None, [])})


def messages(asked: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """What a model is asked, or what it answered: roles and contents."""
    return [_message(one) for one in asked]


_ROLES = {"human": "user", "ai": "assistant"}


def _message(one: BaseMessage) -> dict[str, Any]:
    told: dict[str, Any] = {"role": _ROLES.get(one.type, one.type), "content": _content(one.content)}
    if isinstance(one, AIMessage) and one.tool_calls:
        told["tool_calls"] = [{"name": call["name"], "arguments": plain(call["args"])} for call in one.tool_calls]
    return told


def _content(content: Any) -> Any:
    if isinstance(content, str):
        return clipped(content)
    parts = [_part(part) for part in content]
    return parts[0]["text"] if len(parts) == 1 and parts[0].get("type") == "text" else parts


def _part(part: Any) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": clipped(part)}
    if "image_url" in part:
        url = part["image_url"]["url"] if isinstance(part["image_url"], dict) else part["image_url"]
        return {"type": "image_url", "image_url": {"url": plain(url)}}
    return plain(part)  # type: ignore[no-any-return]
