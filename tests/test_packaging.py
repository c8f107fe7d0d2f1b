import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOLDERS = ("public", "cli", "core", "graph", "models", "nodes", "tools", "training")
SOURCES = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info")

OPTIONAL = (
    "av", "gymnasium", "matplotlib", "mlflow", "mujoco", "nltk", "num2words", "onnxruntime", "plotly", "pycocotools",
    "rapidocr", "ray", "sklearn", "tensorboard",
)  # fmt: skip
"""Modules that extras bring."""


def installed(path: Path) -> str:
    """Where a file or folder of the checkout goes: `public` is the package itself."""
    inner = path.parts[1:] if path.parts[0] == "public" else path.parts
    return "/".join(("anyprefer", *inner))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The names in a wheel built from a copy, so that no build folder appears in the repository."""
    place = tmp_path_factory.mktemp("wheel")
    for name in (*FOLDERS, "pyproject.toml", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, place / name, **({"ignore": LEFT_OUT} if (ROOT / name).is_dir() else {}))
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", "out", "."]
    subprocess.run(command, cwd=place, check=True, capture_output=True)
    [built] = (place / "out").glob("anyprefer-*.whl")
    return zipfile.ZipFile(built)


def test_the_list_of_packages_is_the_folders_with_code():
    folders = {path.parent.relative_to(ROOT) for path in SOURCES}
    assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == sorted(installed(f).replace("/", ".") for f in folders)
    mapped = {installed(Path(folder)).replace("/", "."): folder for folder in FOLDERS}
    assert PROJECT["tool"]["setuptools"]["package-dir"] == mapped


def test_the_wheel_holds_every_file_of_the_packages(wheel):
    names = {name for name in wheel.namelist() if not name.startswith("anyprefer-")}
    there = {
        installed(path.relative_to(ROOT))
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    assert names == there
    assert "anyprefer/nodes/judges/listwise.txt" in names
    assert "anyprefer/nodes/py.typed" in names
    assert "anyprefer/tools/facts.jsonl" in names
    assert "anyprefer/graph/langgraph.json" in names


def test_the_wheel_brings_the_licence(wheel):
    [licence] = [name for name in wheel.namelist() if name.endswith("licenses/LICENSE")]
    assert wheel.read(licence) == (ROOT / "LICENSE").read_bytes()
    assert PROJECT["project"]["license"] == "Apache-2.0"


def test_the_wheel_declares_the_command(wheel):
    [entry] = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "anyprefer = anyprefer.cli:main" in wheel.read(entry).decode()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_short_enough_to_read(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
    assert path.name != "utils.py"


def test_what_there_is_can_be_listed_without_any_extra():
    words = f"""import sys
sys.modules.update(dict.fromkeys({OPTIONAL!r}))
from anyprefer.cli import main
for sys.argv[1:] in (["list"], ["list", "benchmarks"], ["list", "tools"], ["apps"], ["apps", "control"]):
    try:
        main()
    except SystemExit as end:
        assert not end.code, sys.argv
"""
    told = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, "")
