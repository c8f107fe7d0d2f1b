"""Shows mkdocstrings the package `anyprefer` as it is installed: links to the folders here, put where nothing else is."""

import tempfile
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority

ROOT = Path(__file__).parents[2]
PLACE = tempfile.TemporaryDirectory(prefix="anyprefer-docs-")
FLOORS = ("cli", "core", "graph", "models", "nodes", "tools", "training")


@event_priority(100)  # before mkdocstrings reads it
def on_config(config: Any) -> Any:
    """Makes the package and tells the Python handler where it is."""
    package = Path(PLACE.name) / "anyprefer"
    if not package.exists():
        package.mkdir()
        (package / "__init__.py").symlink_to(ROOT / "public" / "__init__.py")
        for floor in FLOORS:
            (package / floor).symlink_to(ROOT / floor)
    config["plugins"]["mkdocstrings"].config["handlers"]["python"]["paths"] = [PLACE.name]
    return config
