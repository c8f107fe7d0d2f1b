"""No setting without a reader and a test that turns it."""

import ast
import re
from pathlib import Path

import pytest

from anyprefer.core.server_settings import ServerSettings
from anyprefer.core.settings import RunSettings, Settings

ROOT = Path(__file__).parents[2]
FLOORS = ("core", "models", "tools", "nodes", "graph", "training")
DECLARED = ("core/settings.py", "core/server_settings.py")
HOLDERS = re.compile(r"(settings|limits|server|table|chosen|given)$")
"""What code calls an object of settings."""
ABOUT_ALL = ("tests/cli/test_settings.py", "tests/core/test_settings.py", "tests/core/test_settings_used.py")
"""Tests that go through all settings, whatever each does."""


def readers(name):
    """Files that read the setting from an object of settings."""
    for file in (file for floor in FLOORS for file in (ROOT / floor).rglob("*.py")):
        if file.relative_to(ROOT).as_posix() not in DECLARED and name in READ.setdefault(file, _read(file)):
            yield file


def _read(file):
    nodes = [node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Attribute)]
    return {node.attr for node in nodes if HOLDERS.search(ast.unparse(node.value))}


READ: dict[Path, set[str]] = {}


def turned(name):
    """Test files that give the setting a value."""
    given = re.compile(
        rf"""\b{name}=(?!=)|["']{name}["']|--{name.replace("_", "-").removesuffix("s")}|^{name} = """, re.MULTILINE
    )
    files = (file for file in (ROOT / "tests").rglob("*.py") if file.relative_to(ROOT).as_posix() not in ABOUT_ALL)
    return (file for file in files if given.search(file.read_text("utf-8")))


@pytest.mark.parametrize(
    "name", sorted({*Settings.model_fields, *RunSettings.model_fields, *ServerSettings.model_fields})
)
def test_every_setting_has_a_reader_and_a_test(name):
    assert any(readers(name)), f"nothing reads {name}"
    assert any(turned(name)), f"no test turns {name}"
