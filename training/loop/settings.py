"""How iterations follow each other."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from anyprefer.training.trainers.checked import checked


class IterateSettings(BaseModel):
    """Every knob of `iterate` that is neither of the game nor of one round's training."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    gate: bool = Field(
        True,
        description="Adopt an iteration only if it does not lose held-out tasks beyond chance (exact paired test, 95%); "
        "else the target before it plays on.",
    )
    replay: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the adopted iterations' pairs that is trained on again with the new ones.",
    )


def iterate_settings(**changes: Any) -> IterateSettings:
    """The defaults with changes. Raises `TrainingError` naming the setting and the fix."""
    return checked(IterateSettings, changes, "iterate setting")
