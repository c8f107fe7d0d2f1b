"""Every script and notebook of examples/ runs as a user runs it; small targets stand in for models where those take long."""

import runpy
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[2] / "examples"
GUESSES = f"{Path(__file__).with_name('guesses.py')}:Guesses"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def script(monkeypatch, capsys):
    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_first_pairs(script):
    said = script("first_pairs.py", GUESSES)
    assert "kenya accepted" in said
    assert "chosen:   Nairobi" in said


@pytest.mark.slow
def test_first_pairs_with_the_embedded_model(script):
    said = script("first_pairs.py")
    assert said.count("accepted") + said.count("rejected ") >= 2
    assert "failed" not in said


def test_your_tool(script):
    said = script("your_tool.py", GUESSES)
    assert "accepted ('Sunday'," in said
    assert said.count("accepted") == 3


def test_your_judge(script):
    said = script("your_judge.py", GUESSES)
    assert len(said.split("\n\n")) == 4


def test_train_and_evaluate(script, tiny):
    said = script("train_and_evaluate.py", GUESSES, f"hf:{tiny}", 8)
    assert "pairs of 8 tasks" in said
    assert "hf:models/sums: 0 of 8 right" in said


def test_images(script):
    said = script("images.py")
    assert "accepted" in said
    assert "rejected: a white ring and a pink cross." in said


def test_control(script):
    said = script("control.py", 2)
    assert said.count(" steps, ") == 2


def test_export_and_train_with_trl(script, tiny):
    said = script("export_and_train_with_trl.py", GUESSES, tiny)
    assert "loss 0.69" in said


def test_rejudge_a_file(script):
    said = script("rejudge_a_file.py")
    assert [line.split(" |")[0] for line in said.splitlines()] == [
        "kept", "flipped", "undecided", "2 pairs in runs/rejudged/dataset",
    ]  # fmt: skip


def test_the_list_of_examples_has_all():
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    files = [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*.ipynb"), *EXAMPLES.glob("*.jsonl")]
    folders = [one for one in EXAMPLES.iterdir() if one.is_dir() and not one.name.startswith((".", "__"))]
    assert [one.name for one in [*files, *folders] if f"({one.name})" not in listed] == []


@pytest.mark.parametrize("name", ["first_pairs.ipynb", "read_a_run.ipynb"])
def test_notebooks(name, tmp_path, monkeypatch):
    for variable in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / "kernel"))
    monkeypatch.setenv("ANYPREFER_TARGET", GUESSES)
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    long = 3600  # seconds, so that a busy machine fails nothing
    NotebookClient(notebook, timeout=long, startup_timeout=long, iopub_timeout=long, kernel_name="python3").execute()
    assert "Nairobi" in str([cell.get("outputs") for cell in notebook.cells])
