"""Trainers by name: files of this folder, packages' entry points in `anyprefer.trainers`, or your own `FILE.py:NAME`.

trainer("text_dpo", {"epochs": 1}, preset="embedded").train([Path("runs/first")], "smollm2", Path("models/a"), seed=0)
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from anyprefer.core.errors import TrainingError, near
from anyprefer.core.registry import Registry
from anyprefer.core.roles import Trainer
from anyprefer.training.trainers.checked import checked

TRAINERS = Registry("trainer", "anyprefer.training.trainers", TrainingError)
TEXT = "text_dpo"
"""The trainer of language models, where none is named."""


def trainer_class(name: str) -> type[Trainer]:
    """The trainer of that name, not made yet. Raises `TrainingError` that names the near one, or `SettingsError` for
    own code that cannot be loaded."""
    found = TRAINERS.get(name)
    if not (inspect.isclass(found) and issubclass(found, Trainer)):
        raise TrainingError(f"trainer {name!r} is no subclass of anyprefer.Trainer")
    return found


def trainer(name: str, values: Mapping[str, Any] | None = None, preset: str = "") -> Trainer:
    """A trainer with its settings: those of the preset, then `values`, those that are None left out.

    Raises `TrainingError` naming the setting and the fix.
    """
    kind = trainer_class(name)
    if preset and preset not in kind.presets:
        raise TrainingError(f"unknown preset {preset!r} of trainer {kind.name}; {near(preset, kind.presets)}")
    given = {key: value for key, value in (values or {}).items() if value is not None}
    merged = {**(kind.presets[preset] if preset else {}), **given}
    what = "training setting" if name == TEXT else f"setting of trainer {kind.name}"
    return kind(checked(kind.settings_type, merged, what))
