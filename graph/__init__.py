"""The game: state, settings, wiring, models, the runner, storage, the command line.

`build.py` is the file to read first. The names below are the public interface.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anyprefer.graph.build import build_graph
    from anyprefer.graph.inputs import read_tasks
    from anyprefer.graph.roles import Engine, Judge, RewardModel, Target
    from anyprefer.graph.row_files import read_rows
    from anyprefer.graph.runner import Synthesis
    from anyprefer.graph.settings import Settings, load_settings
    from anyprefer.graph.state import (
        Candidate,
        GameState,
        Judgment,
        Knowledge,
        PreferencePair,
        Reward,
        Round,
        Row,
        Task,
    )
    from anyprefer.graph.synthesis import asynth, synth

_HOMES = {
    "build": ["build_graph"],
    "inputs": ["read_tasks"],
    "roles": ["Engine", "Judge", "RewardModel", "Target"],
    "row_files": ["read_rows"],
    "runner": ["Synthesis"],
    "settings": ["Settings", "load_settings"],
    "state": ["Candidate", "GameState", "Judgment", "Knowledge", "PreferencePair", "Reward", "Round", "Row", "Task"],
    "synthesis": ["asynth", "synth"],
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Candidate",
    "Engine",
    "GameState",
    "Judge",
    "Judgment",
    "Knowledge",
    "PreferencePair",
    "Reward",
    "RewardModel",
    "Round",
    "Row",
    "Settings",
    "Synthesis",
    "Target",
    "Task",
    "asynth",
    "build_graph",
    "load_settings",
    "read_rows",
    "read_tasks",
    "synth",
]


def __getattr__(name: str) -> Any:
    """Loads a public name on first use, so that `anyprefer --help` does not import torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
