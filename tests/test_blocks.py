"""Every code block of README and docs/ works as printed: it is run, with a stand-in for the embedded model, or, where its
first line says what it needs, its commands, options and names are checked."""

import ast
import importlib
import importlib.util
import json
import re
import shlex
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from anyprefer.cli import app
from anyprefer.models.local.chat import LocalChat
from anyprefer.nodes.judges import JUDGES
from anyprefer.tools import TOOLS
from anyprefer.training.applications.arms import ARMS
from anyprefer.training.evaluation.benchmarks import BENCHMARKS
from anyprefer.training.experiments.studies import STUDIES
from anyprefer.training.trainers.by_name import TRAINERS
from tests.command_line import run
from tests.page_blocks import PAGES, ROOT, Block, anyprefers, blocks, commands

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
PACKAGED = [path.stem for path in (ROOT / "training" / "applications").glob("*.toml")]
OWN = re.compile(r"\.\w+$|^(openai|hf|smollm2|scenes|policy)\b|[A-Z…/]")
"""Files, models and what a reader fills in."""
OTHERS = {"curl", "git", "langgraph", "source", "export", "cd", "apt-get", "pre-commit", "hf", "tensorboard"}
"""Programs that are not ours and whose arguments are not looked at."""
RUN = [page for page in PAGES if any(block.is_run for block in blocks(page, "sh", "python"))]
ALL = [block for page in PAGES for block in blocks(page, "sh", "python", "toml", "json")]


def said(question: str, seed: int) -> str:
    """What the stand-in answers: a sum right or wrong by the seed, else one of a few texts."""
    found = re.search(r"(\d+) \+ (\d+)", question)
    if not found:
        return ["Nairobi", "Mombasa", "It is Nairobi.", "Kisumu, by the lake", "I do not know"][seed % 5]
    total = int(found[1]) + int(found[2])
    return [str(total), f"{found[0]} = {total}", str(total + 1), f"It is {total - 2}.", f"{found[0]} = {total + 7}"][
        seed % 5
    ]


@pytest.fixture
def place(tmp_path, monkeypatch, tiny):
    """An empty folder with the examples; the embedded model is a tiny one that answers by `said`."""

    def answer(self, messages, stop=None, run_manager=None, **given):
        message = AIMessage(
            said(str(messages[-1].content), given.get("seed", self.seed)),
            usage_metadata={"input_tokens": 9, "output_tokens": 3, "total_tokens": 12},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def answer_soon(self, *given, **named):
        return answer(self, *given, **named)

    monkeypatch.setattr(LocalChat, "_generate", answer)
    monkeypatch.setattr(LocalChat, "_agenerate", answer_soon)
    monkeypatch.setattr("anyprefer.models.local.smollm2.smollm2_folder", lambda: tiny)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    return tmp_path


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_pages_blocks_run_one_after_another(page: Path, place: Path) -> None:
    for block in blocks(page, "sh", "python"):
        if block.is_run and block.language == "python":
            exec(compile(block.text, str(block), "exec"), {"__name__": "__main__"})
        elif block.is_run:
            play(block)


def play(block: Block) -> None:
    """Runs what is ours of a shell block; the rest is looked at alone."""
    for words in commands(block.text):
        arguments = anyprefers(words)
        if arguments is None:
            look(words)
            continue
        file = arguments[arguments.index(">") + 1] if ">" in arguments else None
        result = run(*(arguments[: arguments.index(">")] if file else arguments))
        assert result.exit_code == 0, f"{block}: {shlex.join(words)}\n{result.output}"
        if file:
            Path(file).write_text(result.output)


@pytest.mark.parametrize("block", ALL, ids=str)
def test_what_a_block_names_is_there(block: Block) -> None:
    if block.language == "toml":
        tomllib.loads(block.text)
    elif block.language == "json":
        json.loads(block.text)
    elif block.language == "python":
        look_at_imports(ast.parse(block.text))
    else:
        for words in commands(block.text):
            look(words)


@pytest.mark.parametrize("name", typer.main.get_command(app).commands)
def test_the_commands_that_a_help_shows_can_be_typed(name: str) -> None:
    paragraphs = (typer.main.get_command(app).commands[name].help or "").split("\n\n")
    for shown in (one for one in paragraphs if one.lstrip().startswith("anyprefer ")):
        for words in commands(shown):
            look(words)


def look_at_imports(tree: ast.Module) -> None:
    """What is imported of ours is there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("anyprefer"):
            module = importlib.import_module(node.module)
            assert [one.name for one in node.names if not hasattr(module, one.name)] == []


def look(words: list[str]) -> None:
    """A command's program, options and names are there."""
    arguments = anyprefers(words)
    if arguments is not None:
        look_at_anyprefer(arguments[: arguments.index(">")] if ">" in arguments else arguments)
    elif words[0] == "make":
        targets = [word for word in words[1:] if "=" not in word]
        assert [one for one in targets if not re.search(rf"^{re.escape(one)}:", resolved(MAKEFILE), re.MULTILINE)] == []
    elif Path(words[0]).name == "pip":
        named = re.findall(r"anyprefer\[([\w,]+)\]", shlex.join(words))
        assert {extra for extras in named for extra in extras.split(",")} <= EXTRAS.keys()
    elif words[0].startswith("python"):
        look_at_python(words[1:])
    else:
        assert Path(words[0]).name in OTHERS, words


def resolved(makefile: str) -> str:
    """The Makefile with the variable that its targets hold."""
    return makefile.replace("$(VENV)", ".venv")


def look_at_python(words: list[str]) -> None:
    """A module or script that is run is there."""
    if words[:1] == ["-m"]:
        assert importlib.util.find_spec(words[1]) is not None, words
    else:
        assert (ROOT / words[0]).is_file(), words


def look_at_anyprefer(arguments: list[str]) -> None:
    """The command takes these options; what they name is there."""
    group = typer.main.get_command(app)
    if arguments[0].startswith("-"):
        return
    command = group.commands[arguments[0]]
    given = command.make_context(arguments[0], list(arguments[1:])).params
    assert unknown_names(command.name, given) == []


def unknown_names(command: str, given: dict[str, Any]) -> list[str]:
    """Those of applications, tools, judges, trainers, benchmarks, tables and arms that are not there; own files are not
    looked for."""
    names = {
        "app": (given.get("app") or "", PACKAGED),
        "tools": (given.get("tools") or (), TOOLS),
        "judge": (given.get("judge") or (), [*JUDGES, "target"]),
        "trainer": (given.get("trainer") or "", TRAINERS),
        "source": ((given.get("source") or ()) if command == "evaluate" else (), BENCHMARKS),
        "names": ((given.get("names") or ()) if command == "reproduce" else (), [*STUDIES, "all"]),
        "arms": (given.get("arms") or (), ARMS),
    }
    found = ((name, known) for named, known in names.values() for name in listed(named))
    return [name for name, known in found if name.partition(":")[0] not in known and not OWN.search(name)]


def listed(named: str | Sequence[str]) -> list[str]:
    """The names that an option holds, separated by commas or given several times."""
    texts = [named] if isinstance(named, str) else [str(one) for one in named]
    return [name for text in texts for name in text.split(",") if name]
