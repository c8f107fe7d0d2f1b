"""`provenance`: one row a task, accepted, rejected or failed, with everything that led there."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from anyprefer.core.records import Row, Usage
from anyprefer.core.secrets import each_text, scrubber
from anyprefer.graph.runs.parts import RunPart
from anyprefer.training.export.tables import Description, value

COLUMNS: Description = {
    **{name: value("string") for name in ("id", "source", "outcome", "reason")},
    "iteration": value("int64"), "rounds": value("int64"), "reward": value("float64"),
    "input_tokens": value("int64"), "output_tokens": value("int64"), "cost": value("float64"), "seed": value("int64"),
    **{name: value("string") for name in ("task", "pair", "history", "models", "usage")},
}  # fmt: skip
"""`history` holds the rounds: prompts, candidates, findings, judgments, updates. The last five columns are JSON texts."""


def provenance_row(row: Row, part: RunPart, name: str, images: Mapping[str, str]) -> dict[str, Any]:
    """One task's row; `images` are the task's by where they are kept, `name` is its id in the data set."""
    whole = public(row.model_dump(mode="json"), images)
    used = sum(row.usage.values(), Usage())
    return {
        "id": name, "source": part.source, "outcome": row.outcome, "reason": short_paths(whole["reason"]),
        "iteration": part.iteration, "rounds": len(row.rounds), "reward": row.reward,
        "input_tokens": used.input_tokens, "output_tokens": used.output_tokens, "cost": used.cost, "seed": row.seed,
        "task": _json(whole["task"]), "pair": _json(whole["pair"]), "history": _json(whole["rounds"]),
        "models": short_paths(_json(whole["models"])), "usage": _json(whole["usage"]),
    }  # fmt: skip


def public(told: Any, images: Mapping[str, str] | None = None) -> Any:
    """JSON-like data as it may be published: without secrets, images by their names in the data set."""
    kept, scrub = images or {}, scrubber()
    return each_text(told, lambda text: scrub(kept.get(text, text)))


def short_paths(text: str) -> str:
    """A name, a command or a reason in which a path of this machine is told by its last two parts."""
    return _PATH.sub(lambda found: "/".join(found[0].split("/")[-2:]), text)


_PATH = re.compile(r"(?<![\w/.~])~?(?:/[^\s/,;:'\"()]+){3,}")


def _json(told: Any) -> str:
    return json.dumps(told, ensure_ascii=False)
