"""`trajectories/`: pairs of what a policy did, one a row."""

from __future__ import annotations

import json
from typing import Any

from anyprefer.training.export.exported_pair import ExportedPair
from anyprefer.training.export.tables import SCORES, Description, scores, value

TRAJECTORY_COLUMNS: Description = {
    **{name: value("string") for name in ("id", "source", "instruction", "chosen", "rejected", "chosen_model", "judge")},
    "iteration": value("int64"), "reward": value("float64"), **SCORES,
}  # fmt: skip
"""`chosen` and `rejected` are JSON texts: `{"states": [[…], …], "actions": [[…], …]}` and what else a policy recorded."""


def trajectory_row(one: ExportedPair) -> dict[str, Any]:
    """One pair."""
    return {
        "id": one.id, "source": one.source, "iteration": one.iteration, "instruction": one.asked,
        "chosen": json.dumps(one.chosen), "rejected": json.dumps(one.rejected), "reward": one.reward,
        "chosen_model": one.chosen_model, "judge": one.judge, **scores(one),
    }  # fmt: skip
