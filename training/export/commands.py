"""The command that makes a run again, from what its folder says."""

from __future__ import annotations

import json
import shlex
from typing import Any

from anyprefer.core.settings import RunSettings
from anyprefer.graph.runs.parts import RunPart
from anyprefer.training.export.provenance import short_paths

_IN_A_FILE = ("headers", "extra_body", "servers")
_ELSEWHERE = ("record", "trace", "trace_share", "api_key", "api_key_file", "key_env")


def command_of(part: RunPart) -> str:
    """`anyprefer synth …` with every setting that is not the default one."""
    source = part.note.get("source") or "INPUT"
    words = ["anyprefer", "synth", str(source)]
    for name, field in RunSettings.model_fields.items():
        usual = json.loads(json.dumps(field.get_default(call_default_factory=True), default=list))
        given = part.settings.get(name, usual)
        if given != usual and name not in (*_IN_A_FILE, *_ELSEWHERE):
            words += _flags(name, given)
    words += ["--out", "/".join(part.folder.parts[-2:])]
    notes = [f"  # with {name} from a settings file" for name in _IN_A_FILE if part.settings.get(name)]
    return short_paths(shlex.join(words)) + "".join(notes)


def _flags(name: str, given: Any) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    if isinstance(given, bool):
        return [flag if given else f"--no-{flag[2:]}"]
    if isinstance(given, dict):
        return [
            f"{flag[:-1]}={tool}.{option}={one}" for tool, options in given.items() for option, one in options.items()
        ]
    return [f"{flag}={','.join(map(str, given)) if isinstance(given, list) else given}"]
