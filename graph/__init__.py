"""The game as a graph: its wiring, who plays it, one task, and runs of many.

`build.py` is the file to read first. The names below are the public interface.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anyprefer.core.game_state import GameState
    from anyprefer.core.inputs import read_tasks
    from anyprefer.core.records import Candidate, Judgment, Knowledge, PreferencePair, Reward, Round, Row
    from anyprefer.core.results import EvalResult
    from anyprefer.core.roles import Engine, Judge, RewardModel, Target, Trainer
    from anyprefer.core.server_settings import ServerSettings
    from anyprefer.core.settings import RunSettings, Settings, load_settings
    from anyprefer.core.task import Task
    from anyprefer.core.trajectories import Trajectory
    from anyprefer.graph.build import build_graph, state_graph
    from anyprefer.graph.runs.row_files import read_rows
    from anyprefer.graph.runs.runner import Synthesis
    from anyprefer.graph.synthesis import asynth, synth

_HOMES = {
    "core.game_state": ["GameState"],
    "core.inputs": ["read_tasks"],
    "core.records": ["Candidate", "Judgment", "Knowledge", "PreferencePair", "Reward", "Round", "Row"],
    "core.results": ["EvalResult"],
    "core.roles": ["Engine", "Judge", "RewardModel", "Target", "Trainer"],
    "core.server_settings": ["ServerSettings"],
    "core.settings": ["RunSettings", "Settings", "load_settings"],
    "core.task": ["Task"],
    "core.trajectories": ["Trajectory"],
    "graph.build": ["build_graph", "state_graph"],
    "graph.runs.row_files": ["read_rows"],
    "graph.runs.runner": ["Synthesis"],
    "graph.synthesis": ["asynth", "synth"],
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Candidate",
    "Engine",
    "EvalResult",
    "GameState",
    "Judge",
    "Judgment",
    "Knowledge",
    "PreferencePair",
    "Reward",
    "RewardModel",
    "Round",
    "Row",
    "RunSettings",
    "ServerSettings",
    "Settings",
    "Synthesis",
    "Target",
    "Task",
    "Trainer",
    "Trajectory",
    "asynth",
    "build_graph",
    "load_settings",
    "read_rows",
    "read_tasks",
    "state_graph",
    "synth",
]


def __getattr__(name: str) -> Any:
    """Loads a public name on first use, so that `anyprefer --help` does not import torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"anyprefer.{_HOME[name]}"), name)
