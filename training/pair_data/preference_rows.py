"""Rows of preference data of any data set in one shape; `read.py` reads files of them.

| a row has | known as |
|---|---|
| a prompt, and `chosen` and `rejected`: texts, messages or content parts | TRL; our own pairs |
| a prompt, and `chosen` and `rejected` as whole dialogues | UltraFeedback |
| `chosen` and `rejected` alone: dialogues that part in their last message | TRL's implicit prompt |
| `chosen` and `rejected` alone: texts with `\\n\\nHuman:` and `\\n\\nAssistant:` | HH-RLHF |
| `chosen` and `rejected` alone: texts that begin with the same words | TRL's implicit prompt |

The prompt is the column `prompt`, `question`, `instruction` (with `input` and `history`), `query`, `input`,
`conversations`, `conversation` or `messages`: a text, messages of {role, content}, or of {from, value} (ShareGPT).
A column `system` is its system message (orca).
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from anyprefer.core.conversation import Message, turns
from anyprefer.core.errors import InputError
from anyprefer.core.input_files import EmptyLine, Located, Source, kind_of, located_rows
from anyprefer.core.task import Task

_Read = TypeVar("_Read")
_log = logging.getLogger("anyprefer")
_PROMPTS = ("prompt", "question", "instruction", "query", "input", "conversations", "conversation", "messages")
_ANSWERS = ("chosen", "rejected")
_TURN = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):")


@dataclass(frozen=True)
class Preference:
    """One preference pair."""

    prompt: tuple[Message, ...]
    """The dialogue before the answers, with a system message where there is one; all contents are texts."""
    chosen: str
    rejected: str


class UnusableRow(InputError):
    """A fault of one row, not of the file's form: an empty answer (HH-RLHF has some), or dialogues that part before their
    last message."""


def readable(rows: Iterable[Located], read: Callable[[str, Any], _Read]) -> Iterator[_Read]:
    """What `read` makes of each row and of where it stands.

    Unusable rows are left out and counted in the log; when all of them are, the first one's `UnusableRow` is raised. So is
    every other `InputError` of `read`, at once.
    """
    left_out, readable_rows = list[UnusableRow](), 0
    for where, row in rows:
        try:
            yield read(where, row)
            readable_rows += 1
        except UnusableRow as error:
            left_out.append(error)
    if left_out and not readable_rows:
        raise left_out[0]
    if left_out:
        _log.warning("%d rows are left out, %d are not; the first: %s", len(left_out), readable_rows, left_out[0])


def preference_file(source: Source) -> Iterator[Located]:
    """The rows of a source, empty lines left out; text columns that hold messages as JSON are opened."""
    flat = isinstance(source, str | Path) and kind_of(Path(source)).removesuffix(".gz") in (".parquet", ".csv", ".tsv")
    for where, row in located_rows(source):
        if isinstance(row, Mapping) and flat:
            yield where, {key: _opened(value) for key, value in row.items()}
        elif not isinstance(row, EmptyLine):
            yield where, row


def read_preference(where: str, row: Any) -> Preference:
    """The pair of one row. Raises `InputError` naming `where` and the columns that are there."""
    row = columns_of(where, row)
    columns = ", ".join(map(str, row)) or "none"
    if any(row.get(name) is None for name in _ANSWERS):
        raise InputError(f"{where}: a pair needs columns chosen and rejected; it has: {columns}")
    try:
        return _preference(row)
    except (ValueError, UnusableRow) as error:
        kind = UnusableRow if isinstance(error, UnusableRow) else InputError
        raise kind(f"{where}: {error} (columns: {columns})") from error


def columns_of(where: str, row: Any) -> Mapping[str, Any]:
    """The row, which must be one. Raises `InputError` naming `where`."""
    if isinstance(row, InputError):
        raise InputError(f"{where}: {row}")
    if not isinstance(row, Mapping):
        raise InputError(f"{where}: a row must be a JSON object with columns, not {type(row).__name__}")
    return row


def task_of(where: str, identifier: str, prompt: Sequence[Message], **fields: Any) -> Task:
    """The prompt as a task. Raises `InputError` naming `where` for a dialogue that no model can be asked to answer."""
    try:
        return Task(id=identifier, prompt=tuple(prompt), **fields)
    except ValidationError as error:
        raise InputError(f"{where}: {error.errors()[0]['msg']}") from error


def _preference(row: Mapping[str, Any]) -> Preference:
    asked = prompt_of(row)
    chosen, rejected = (row[name] for name in _ANSWERS)
    texts = isinstance(chosen, str) and isinstance(rejected, str)
    if not texts and (isinstance(chosen, str) or isinstance(rejected, str)):
        raise ValueError("one of chosen and rejected is a text and the other is not; write both alike")
    spoken = (_dialogue(chosen), _dialogue(rejected)) if texts else None
    if not texts:
        prompt, best, worst = _dialogues(asked, *(_messages(row[name], name) for name in _ANSWERS))
    elif spoken and spoken[0] and spoken[1]:
        prompt, best, worst = _dialogues(asked, spoken[0], spoken[1])
    else:
        prompt, best, worst = _texts(asked, chosen, rejected)
    for name, text in zip(_ANSWERS, (best, worst), strict=True):
        if not text.strip():
            raise UnusableRow(f"column {name!r}: the answer is empty; it must hold text")
    for text in (*(message["content"] for message in prompt), best, worst):
        text.encode()  # half a surrogate pair is a `ValueError`: no tokenizer takes it, and no file
    if not any(message["role"] == "user" and message["content"].strip() for message in prompt):
        raise ValueError("there is no question: the prompt is empty or has no user message")
    return Preference(tuple(prompt), best, worst)


def prompt_of(row: Mapping[str, Any]) -> list[Message]:
    """The messages of the prompt's column, its system message first; none where there is no such column.

    Raises `ValueError` naming the column that is in no known form.
    """
    name = next((name for name in _PROMPTS if row.get(name)), "")
    if not name:
        return []
    prompt = row[name]
    if isinstance(prompt, str):
        more = row.get("input") if name == "instruction" else None
        prompt = f"{prompt}\n\n{more}" if isinstance(more, str) and more.strip() else prompt
        asked = [*_history(row), *(_spoken(prompt) or [{"role": "user", "content": prompt}])]
    else:
        asked = _messages(prompt, name)
    system = row.get("system")
    if isinstance(system, str) and system.strip() and asked[0]["role"] != "system":
        asked = [{"role": "system", "content": system}, *asked]
    # HH-RLHF's prompts end with "Assistant:"
    return asked[:-1] if asked[-1]["role"] == "assistant" and not asked[-1]["content"] else asked


def _history(row: Mapping[str, Any]) -> list[Message]:
    """Earlier turns as pairs of a question and its answer (LLaMA-Factory)."""
    history = row.get("history") or []
    if not isinstance(history, Sequence) or not all(isinstance(two, list | tuple) and len(two) == 2 for two in history):
        raise ValueError("column 'history' must be a list of pairs: a question and its answer")
    said = [text for two in history for text in two]
    return [
        {"role": ("user", "assistant")[at % 2], "content": _text(text, "'history'")} for at, text in enumerate(said)
    ]


def _dialogue(text: str) -> list[Message] | None:
    """The turns of a text that is a whole dialogue as HH-RLHF tells it, else None."""
    spoken = _spoken(text)
    return spoken if spoken and len(spoken) > 1 and spoken[0]["role"] == "user" else None


def _spoken(text: str) -> list[Message] | None:
    """The turns of a text with `Human:` and `Assistant:`; None where it does not begin with one."""
    parts = _TURN.split(text)
    if len(parts) < 3 or parts[0].strip():
        return None
    names = {"Human": "user", "Assistant": "assistant"}
    return [{"role": names[who], "content": said.strip()} for who, said in zip(parts[1::2], parts[2::2], strict=True)]


def _messages(value: Any, name: str) -> list[Message]:
    given = [value] if isinstance(value, Mapping) else value
    if not isinstance(given, Sequence) or not given:
        raise ValueError(
            f"column {name!r} must be a text or a list of messages like {{'role': 'user', 'content': '…'}}"
        )
    try:
        read = turns(given)
    except ValueError as error:
        raise ValueError(f"column {name!r}: {error}") from error
    return [{**turn, "content": _text(turn["content"], f"{name!r}, message {at}")} for at, turn in enumerate(read, 1)]


def _text(content: Any, where: str) -> str:
    """Text as it is, parts of text joined; the place of an image is left out."""
    if content is None or isinstance(content, str):
        return content or ""
    parts = content if isinstance(content, Sequence) else [content]
    found = list[str]()
    for part in parts:
        text = part.get("text") if isinstance(part, Mapping) else part
        if isinstance(text, str):
            found.append(text)
        elif not (isinstance(part, Mapping) and str(part.get("type")).startswith("image")):
            raise ValueError(f"column {where}: the content is no text but {json.dumps(content, default=str)[:80]}")
    return "\n".join(found)


def _dialogues(asked: list[Message], chosen: list[Message], rejected: list[Message]) -> tuple[list[Message], str, str]:
    """Prompt and answers of two dialogues that differ in their last message, the assistant's."""
    most = min(len(chosen), len(rejected)) - 1
    same = next((at for at in range(most) if chosen[at] != rejected[at]), most)
    if len(chosen) != len(rejected) or same < most:
        raise UnusableRow(
            "the dialogues of chosen and rejected part before their last message, so there is no common prompt"
        )
    for name, answer in zip(_ANSWERS, (chosen[-1], rejected[-1]), strict=True):
        if answer["role"] != "assistant":
            raise ValueError(f"column {name!r} must end with exactly one assistant message, not the {answer['role']}'s")
    return _joined(asked, chosen[:-1]), chosen[-1]["content"], rejected[-1]["content"]


def _joined(asked: list[Message], before: list[Message]) -> list[Message]:
    """The dialogue before the answers, where the prompt's column tells some of it, all of it or none."""
    if not asked or not before or before[0]["role"] == "assistant":
        return asked + before
    system = [message for message in asked[:1] if message["role"] == "system" and before[0]["role"] != "system"]
    told = [message["content"].strip() for message in before if message["role"] == "user"]
    if any(message["content"].strip() not in told for message in asked if message["role"] == "user"):
        raise ValueError("the prompt does not occur in the dialogues of chosen and rejected; keep one of them")
    return system + before


def _texts(asked: list[Message], chosen: str, rejected: str) -> tuple[list[Message], str, str]:
    """Prompt and answers of two texts, each of which may begin with the prompt."""
    if asked:
        start = asked[-1]["content"]
        inside = start.strip() and chosen.startswith(start) and rejected.startswith(start)
        return (asked, chosen[len(start) :], rejected[len(start) :]) if inside else (asked, chosen, rejected)
    same = [a for a, _ in takewhile(lambda two: two[0] == two[1], zip(chosen, rejected, strict=False))]
    cut = max((at + 1 for at, sign in enumerate(same) if sign.isspace()), default=0)  # words stay whole
    if not chosen[:cut].strip():
        raise ValueError(f"there is no prompt; name one of the columns {', '.join(_PROMPTS)}")
    return [{"role": "user", "content": chosen[:cut].rstrip()}], chosen[cut:], rejected[cut:]


def _opened(value: Any) -> Any:
    """Messages that a column of texts holds as JSON; anything else as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
        return value
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return value
    first = found[0] if isinstance(found, list) and found else found
    return found if isinstance(first, Mapping) and ({"role", "from"} & first.keys()) else value
