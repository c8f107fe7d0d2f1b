"""The shell completes names and run folders, and loads nothing heavy for it."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from anyprefer.cli import app


def completed(*words: str) -> list[str]:
    """What bash is offered at the end of the words, as typer's own completion answers it."""
    given = {"_ANYPREFER_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(("anyprefer", *words))}
    result = CliRunner().invoke(app, [], env={**given, "COMP_CWORD": str(len(words))}, prog_name="anyprefer")
    return result.output.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("synth", "--judge", "evid"), ["evidence"]),
        (("synth", "--judge-form", "point"), ["pointwise"]),
        (("synth", "--target", "smol"), ["smollm2"]),
        (("synth", "--tools", "calculator,fact"), ["calculator,fact_check"]),
        (("synth", "--app", "nat"), ["natural-language"]),
        (("train", "--trainer", "text"), ["text_dpo"]),
        (("evaluate", "arc_e"), ["arc_easy"]),
        (("list", "eng"), ["engines"]),
        (("apps", "med"), ["medical"]),
        (("rep",), ["report", "reproduce"]),
    ],
)
def test_names(words, offered):
    assert completed(*words) == offered


def test_run_folders(tmp_path, monkeypatch):
    for folder in ("runs/first", "runs/second", "runs/.hidden", "other/one"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert completed("show", "") == ["other", "runs", "runs/first", "runs/second"]
    assert completed("report", "runs/f") == ["runs/first"]
    assert completed("export", "other/") == ["other/one"]
    assert completed("show", "nowhere/") == []


def test_nothing_heavy_is_loaded():
    words = "from anyprefer.cli import completion as c; import sys\n"
    words += "for kind in c.REGISTRIES: assert c.names(kind)('')\n"
    words += "c.apps(''), c.runs(''), c.models('')\n"
    words += "print(sorted({'torch', 'transformers', 'datasets', 'mlflow', 'trl'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
