"""A choice of tools that a model spelled out in its text, in the forms that models are trained to write.

| form | who writes it so |
|---|---|
| `[{"tool": …, "arguments": …}]`, `["tool"]`, `{"name": …, "arguments": …}` | what the text protocol asks for, and its kin |
| `<tool_call>{…}</tool_call>`, `{"tool_calls": […]}`, `{"type": "function", "function": {…}}` | Hermes, Qwen, servers without a parser |
| `[TOOL_CALLS] […]`, `[TOOL_CALLS]name{…}`, `[TOOL_CALLS]name[ARGS]{…}` | Mistral |
| `<function=name>{…}</function>`, `<function=name><parameter=query>…</parameter></function>` | Llama, Qwen-Coder |
| `name(query="…")` on a line of its own, in a code fence or not | Gemma, Llama |
"""

from __future__ import annotations

import ast
import json
import re
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from anyprefer.nodes.scores.found_json import MOST_BROKEN, all_json

Call = dict[str, Any]
"""A call as it was spelled: `tool` and `arguments`, neither checked."""

_NAMED = re.compile(
    r"(?:\[TOOL_CALLS\]|<function=|<\|tool_call_begin\|>|functions?\.)\s{0,3}([\w.-]{1,64})(?::\d+)?\s{0,3}(?:\[ARGS\]|>|(?=\{))"
)
_PARAMETER = re.compile(r"<parameter=([\w.-]{1,64})>([^<]*)</parameter>")
_LONGEST = 2000
"""Characters of a call's arguments behind a mark."""
_LAST_LINES, _LONGEST_LINE = 20, 500
"""Lines and characters of calls in Python's form: it takes milliseconds to find that deep nesting is none."""
_NONE = re.compile(
    r"\b(?:choose|select|use|need|call|pick)\s(?:none|no tools?)\b|\bno tools? (?:(?:is|are|was|were|will be) )?(?:needed|required|necessary|chosen|used)\b"
    r"|\b(?:none|nothing) (?:of (?:them|the tools|these) )?(?:is|are|will be) (?:needed|required|necessary|chosen|used|helpful)\b"
    r"|^\W{0,4}(?:none|no tools?|no tools? needed)\W{0,4}$",
    re.IGNORECASE | re.MULTILINE,
)


def spelled(text: str, names: Sequence[str]) -> list[Call] | None:
    """The calls of the last choice in the text; [] where it chooses none, None where it holds no choice.

    Calls in a row are one choice, a list is a choice of its own, and the last one counts: what comes before is
    quoted or drafted. An empty list behind a choice contradicts it, and gives None.
    """
    found = sorted([*_in_json(text), *_in_tags(text), *_in_python(text, names)], key=lambda choice: choice[0])
    none = max((match.end() for match in _NONE.finditer(text)), default=-1)
    choices: list[list[Call]] = []
    joins = end = 0
    for begun, stop, calls, alone in found:
        if begun < end:
            continue
        if alone and joins and choices:
            choices[-1] += calls
        else:
            choices.append(calls)
        joins, end = alone, stop
    if none > end or (not choices and none >= 0):
        return []
    if not choices or (not choices[-1] and any(choices)):
        return None
    return choices[-1]


_Choice = tuple[int, int, list[Call], bool]
"""Where it stands, its calls, and whether it is one call that others may join."""


def _in_json(text: str) -> Iterator[_Choice]:
    for found in all_json(text):
        calls = _calls(found.value)
        if calls is not None:
            yield found.start, found.end, calls, isinstance(found.value, dict)


def _calls(value: Any) -> list[Call] | None:
    """The calls of a JSON value; None for one that is no choice."""
    if isinstance(value, dict):
        for name in ("tool_calls", "tools", "calls", "selected_tools", "chosen_tools"):
            if isinstance(value.get(name), list):
                return _calls(value[name])
        call = _call(value)
        return None if call is None else [call]
    if not isinstance(value, list):
        return None
    calls = [_call({"tool": item} if isinstance(item, str) else item) for item in value]
    known = [call for call in calls if call is not None]
    return known if len(known) == len(calls) else None


def _call(item: Any) -> Call | None:
    if not isinstance(item, dict):
        return None
    if isinstance(item.get("function"), dict):
        item = item["function"]
    name = next((item[key] for key in ("tool", "name", "tool_name", "function") if item.get(key)), None)
    given: Any = next((item[key] for key in ("arguments", "args", "parameters", "input") if key in item), {})
    return {"tool": name, "arguments": given} if isinstance(name, str) else None


def _in_tags(text: str) -> Iterator[_Choice]:
    """A tool's name in a mark, with JSON or parameters behind it."""
    for match in islice(_NAMED.finditer(text), MOST_BROKEN):
        at = match.end()
        if text[at : at + 1] == "{":
            found = next(all_json(text[at : at + _LONGEST]), None)
            if found and found.start == 0:
                yield match.start(), at + found.end, [{"tool": match[1], "arguments": found.value}], True
        elif match[0].startswith("<function="):
            stop = text.find("</function>", at, at + _LONGEST)
            body = text[at : stop if stop >= 0 else at]
            given = {name: value.strip() for name, value in _PARAMETER.findall(body)}
            yield match.start(), at + len(body), [{"tool": match[1], "arguments": given}], True


def _in_python(text: str, names: Sequence[str]) -> Iterator[_Choice]:
    """Lines such as `look_up(query="x")`: read as syntax and never evaluated."""
    if not names:
        return
    line = re.compile(rf"^[\s\[]{{0,8}}(?:print\()?((?:{'|'.join(map(re.escape, names))})\([^\n]*)$", re.MULTILINE)
    for match in deque(line.finditer(text), maxlen=_LAST_LINES):
        said = match[1].strip()[:_LONGEST_LINE]
        call = _python(said) or _python(said.rstrip(",]")) or _python(said.rstrip("),]") + ")")
        if call:
            yield match.start(), match.end(), [call], True


def _python(said: str) -> Call | None:
    try:
        made = ast.parse(said, mode="eval").body
        if not isinstance(made, ast.Call) or not isinstance(made.func, ast.Name) or made.args:
            return None
        given = {word.arg: ast.literal_eval(word.value) for word in made.keywords if word.arg}
        json.dumps(given)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None
    return {"tool": made.func.id, "arguments": given}


def arguments_of(given: Any) -> dict[str, Any] | None:
    """A call's arguments, also where they are a text of JSON, or that once more; None for anything else."""
    for _ in range(3):
        if isinstance(given, dict):
            return _well_formed(given)
        if given is None or given == "":
            return {}
        if not isinstance(given, str):
            return None
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            return None
    return None


def _well_formed(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments without half surrogate pairs, which no row can keep."""
    made: dict[str, Any] = json.loads(json.dumps(arguments, ensure_ascii=False).encode("utf-8", "replace"))
    return made
