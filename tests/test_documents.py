"""What the documents name exists: files that are linked or named, and the floors in their order."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
FLOORS = CONTRACTS[0]["layers"]
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
NAMED = re.compile(rf"`((?:{'|'.join([*FLOORS, 'tests', 'benchmarks', 'examples'])})/[a-z_/.]*)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_is_there(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_files_that_say_where_things_are_name_what_is_there(page: str) -> None:
    named = NAMED.findall((ROOT / page).read_text(encoding="utf-8"))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_files_that_sources_name_are_there() -> None:
    written = re.compile(rf"(?<![\w/.-])(?:{'|'.join([*FLOORS, 'tests'])})/[a-z_/]+\.(?:py|toml|txt|jsonl)")
    sources = [path for floor in FLOORS for path in (ROOT / floor).rglob("*.py")]
    named = {(path.name, name) for path in sources for name in written.findall(path.read_text(encoding="utf-8"))}
    assert len(named) > 10
    assert [one for one in sorted(named) if not (ROOT / one[1]).exists()] == []


def test_the_floors_are_drawn_in_the_order_that_is_checked() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawing = text.split("```")[1]
    assert re.findall(r"^(\w+)/", drawing, re.MULTILINE) == FLOORS
    [rooms] = [one["layers"] for one in CONTRACTS if one["name"] == "The rooms of training"]
    assert " > ".join(rooms) in drawing
