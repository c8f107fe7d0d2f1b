"""Versions of the libraries that shape a result."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("anyprefer", "langgraph", "langchain-core", "langchain-openai", "transformers", "trl", "peft", "torch")


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Version of each package, those that shape a result by default; those that are not installed are left out."""
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
