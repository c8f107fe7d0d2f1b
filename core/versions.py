"""Versions of the libraries that shape a result."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("anyprefer", "langgraph", "langchain-core", "langchain-openai", "transformers", "trl", "peft", "torch")


def versions() -> dict[str, str]:
    """Version of each library that shapes a result, by name; those that are not installed are left out."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
