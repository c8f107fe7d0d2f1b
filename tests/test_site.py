"""The site of docs/ is built without a warning, from this machine alone, and its pages ask no other server."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import anyprefer
from anyprefer.core.records import PreferencePair, Reward, Round, Row
from anyprefer.core.task import Task
from anyprefer.graph.runs.row_files import pair_row

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; every proxy leads nowhere, so that a request of the build fails."""
    place = tmp_path_factory.mktemp("site")
    environment = {
        **os.environ,
        "NO_MKDOCS_2_WARNING": "1",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(place)]
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return place


def test_a_page_loads_nothing_from_elsewhere(site: Path) -> None:
    loaded = re.compile(
        r"""<(?:script|img|iframe|source)\b[^>]*?\bsrc="(?:https?:)?//[^"]*|<link\b[^>]*?\bhref="(?:https?:)?//[^"]*"""
    )
    found = [
        (page.name, match[0]) for page in site.rglob("*.html") for match in loaded.finditer(page.read_text("utf-8"))
    ]
    assert found == []
    styles = [
        one for file in site.rglob("*.css") for one in re.findall(r"url\(['\"]?https?:[^)]*", file.read_text("utf-8"))
    ]
    assert styles == []


def test_the_reference_has_every_public_name(site: Path) -> None:
    pages = "".join(page.read_text("utf-8") for page in [*site.glob("reference/*.html"), site / "fields.html"])
    names = [name for name in dir(anyprefer) if name != "__version__"]
    missing = [name for name in names if f'.{name}"' not in pages and f">{name}<" not in pages]
    assert missing == []


def test_tables_of_fields_are_those_of_the_code(site: Path) -> None:
    page = (site / "fields.html").read_text("utf-8")
    missing = [
        name for model in (Task, Row, Round) for name in model.model_fields if f"<code>{name}</code>" not in page
    ]
    assert missing == []
    assert "<!-- fields" not in page
    settings = (site / "reference" / "settings.html").read_text("utf-8")
    assert "<code>prompt_scope</code>" in settings
    assert "Sampling temperature of the target." in settings


def test_the_table_of_pairs_names_what_a_pair_has() -> None:
    text = (ROOT / "docs" / "fields.md").read_text("utf-8")
    table = text.split("## Pair")[1].split("## Row")[0]
    named = set(
        re.findall(r"`(\w+)`", " ".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `")))
    )
    prompts = {"target": "1 + 1?", "judge": "", "tools": {}}
    pair = PreferencePair(chosen="2", rejected="3", chosen_score=9, rejected_score=1)
    task = Task(id="sum", prompt="1 + 1?", images=("sum.png",))
    played = Round(number=1, prompts=prompts, pair=pair, reward=Reward(score=9))
    row = Row(id="sum", outcome="accepted", task=task, pair=pair, reward=9, rounds=(played,))
    assert named == pair_row(row).keys()


def test_the_messages_of_the_page_of_errors_are_the_codes() -> None:
    sources = [
        path
        for floor in ("cli", "core", "graph", "models", "nodes", "tools", "training")
        for path in (ROOT / floor).rglob("*.py")
    ]
    # as the texts read: adjacent strings joined, what is filled in left out
    code = re.sub(
        r'"\s*\n\s*f?"|\{[^{}]*\}',
        lambda match: "" if match[0][0] == '"' else "…",
        "\n".join(path.read_text("utf-8") for path in sources),
    )
    shown = re.findall(r"^\| `([^`]+)` \|", (ROOT / "docs" / "guides" / "errors.md").read_text("utf-8"), re.MULTILINE)
    parts = [part.strip(" ;:,.()") for message in shown for part in message.split("…")]
    assert len(shown) > 25
    assert [part for part in parts if len(part) > 8 and part not in code] == []
