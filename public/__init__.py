"""Preference data from an agent graph, and models aligned on it.

>>> from anyprefer import synth
>>> for row in synth(["What is 34 + 57? Answer with the number only."], target="smollm2"): print(row.outcome)

The names of `anyprefer.graph`, and the version.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anyprefer.graph import *  # noqa: F403

try:
    __version__ = version("anyprefer")
except PackageNotFoundError:  # run from its folders, not installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    """Loads a public name on first use, so that `anyprefer --help` does not import torch."""
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    graph = import_module("anyprefer.graph")
    if name == "__all__" or name not in graph.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(graph, name)


def __dir__() -> list[str]:
    return ["__version__", *import_module("anyprefer.graph").__all__]
