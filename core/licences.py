"""A model's licence, by the table or by the card in its folder."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

UNKNOWN = "not known"


def licence_of(name: str) -> str:
    """A model's licence, by the table or by the card in its folder; "not known" for all others."""
    bare = without_prefix(name)
    known = tomllib.loads(Path(__file__).with_name("licences.toml").read_text(encoding="utf-8"))
    found = next((known[begin] for begin in sorted(known, key=len, reverse=True) if bare.startswith(begin)), "")
    return found or _of_card(Path(bare).expanduser() / "README.md") or UNKNOWN


def without_prefix(name: str) -> str:
    """The model's own name: `openai:gpt-4o@https://…` is `gpt-4o`."""
    return re.sub(r"^(?:hf|openai|gguf):", "", name.partition("@http")[0])


def _of_card(card: Path) -> str:
    try:
        found = re.search(r"^license: *(\S+)", card.read_text(encoding="utf-8", errors="replace")[:4000], re.MULTILINE)
    except (OSError, ValueError):
        return ""
    return found[1] if found else ""
