"""Tools on a tape: their findings recorded, and played back."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from anyprefer.core.images import image_keys
from anyprefer.core.secrets import redact
from anyprefer.core.task import Task
from anyprefer.models.tape import Tape
from anyprefer.tools import Finding, KnowledgeTool, ToolFailure, as_finding, failure_text


def recorded_tool(tool: KnowledgeTool, tape: Tape) -> KnowledgeTool:
    """The same tool, with every finding and failure put on the tape."""

    async def function(**inputs: Any) -> Finding:
        begun = time.perf_counter()
        try:
            finding = as_finding(await tool._arun(**inputs))
        except Exception as error:
            tape.record(asked_of(tool, inputs), {"error": redact(failure_text(error))})
            raise
        finding = dataclasses.replace(finding, seconds=round(time.perf_counter() - begun, 6))
        tape.record(asked_of(tool, inputs), {"finding": dataclasses.asdict(finding)})
        return finding

    return tool.model_copy(update={"function": function})


def replayed_tool(tool: KnowledgeTool, tape: Tape) -> KnowledgeTool:
    """The same tool, played from the tape; the tool itself is never run."""

    async def function(**inputs: Any) -> Finding:
        value = tape.play(asked_of(tool, inputs))
        if "error" in value:
            raise ToolFailure(value["error"])
        return Finding(**value["finding"])

    return tool.model_copy(update={"function": function})


def asked_of(tool: KnowledgeTool, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What identifies a use: all that the tool's function is given, its options too. Images stand there by what they show,
    not by their paths. Raises `InputError` for one that cannot be read."""
    return {"tool": tool.name, "inputs": {name: _dumped(value) for name, value in inputs.items()}}


def _dumped(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_dumped(one) for one in value]
    if isinstance(value, Task):
        return {**value.model_dump(), "images": image_keys(value.images)}
    return value.model_dump() if isinstance(value, BaseModel) else value
