"""Names of the built-in things and of packages', on a folder of our own."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from anyprefer.core.errors import InputError, SettingsError
from anyprefer.core.registry import Registry


@pytest.fixture
def spices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A folder with one thing, one helper and one broken file; packages offer three names."""
    folder = tmp_path / "spices_of_a_test"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "salt.py").write_text("offers = 'NaCl'\n")
    (folder / "helper.py").write_text("def grind(): ...\n")
    (folder / "broken.py").write_text("import nowhere_to_be_found\n\noffers = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == folder.name]:
        del sys.modules[name]  # another test's folder
    group = "anyprefer.spice_blends"
    points = [
        EntryPoint("curry", "os:sep", group),
        EntryPoint("salt", "os:sep", group),
        EntryPoint("twice", "a:b", group),
    ]
    points.append(EntryPoint("twice", "c:d", group))
    monkeypatch.setattr("anyprefer.core.registry.entry_points", lambda group: [p for p in points if p.group == group])
    return Registry("spice blend", "spices_of_a_test", InputError)


def test_names_are_listed_without_loading(spices: Registry) -> None:
    assert spices.names() == ["broken", "curry", "salt", "twice"]
    assert "spices_of_a_test.salt" not in sys.modules
    assert ("salt" in spices, "curry" in spices, "helper" in spices) == (True, True, False)
    assert (spices.origin("salt"), spices.origin("curry")) == ("salt.py", "a package (os:sep)")


def test_a_built_in_keeps_its_name_and_the_packages_one_is_told_of(spices: Registry) -> None:
    assert spices.get("salt") == "NaCl"
    assert spices.hidden() == {"salt": "a package (os:sep)"}
    assert spices.get("curry") == "/"


def test_what_cannot_be_loaded_is_an_error_when_asked_for(spices: Registry) -> None:
    with pytest.raises(InputError, match=r"broken\.py cannot be loaded: ModuleNotFoundError"):
        spices.get("broken")
    with pytest.raises(InputError, match=r"'twice' is offered by a package .a:b. and a package .c:d."):
        spices.get("twice")


def test_an_unknown_name_is_told_the_near_one(spices: Registry) -> None:
    with pytest.raises(InputError, match="unknown spice blend 'cury'; did you mean 'curry'"):
        spices.get("cury")
    with pytest.raises(InputError, match=r"there are: FILE\.py:NAME, broken, curry, salt, twice"):
        spices.get("zzz")


def test_ones_own_code_is_named_where_it_lies(spices: Registry, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("class Pepper: ...\n")
    assert spices.get(f"{tmp_path}/mine.py:Pepper").__name__ == "Pepper"
    with pytest.raises(SettingsError, match="did you mean 'Pepper'"):
        spices.get(f"{tmp_path}/mine.py:Peper")


def test_a_name_of_two_files_is_refused(spices: Registry, tmp_path: Path) -> None:
    (tmp_path / "spices_of_a_test" / "other.py").write_text("@blend\ndef salt(): ...\n\n@blend\ndef chili(): ...\n")
    named = Registry("spice blend", "spices_of_a_test", InputError, declared=r"^@blend\ndef (\w+)")
    assert named.names() == ["chili", "curry", "salt", "twice"]
    (tmp_path / "spices_of_a_test" / "more.py").write_text("@blend\ndef salt(): ...\n")
    with pytest.raises(InputError, match="two spice blends are named 'salt'"):
        named.names()
