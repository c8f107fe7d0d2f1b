"""`anyprefer list`: all that can be named, with its origin; what packages offer is not loaded for it."""

import json
from importlib.metadata import EntryPoint

import pytest
from langchain_core.tools import tool

from anyprefer.cli.listing import HOW, registries
from tests.command_line import refused, run


@tool
def shout(query: str) -> str:
    """Says it louder. And louder."""
    return query.upper()


def listed(*given):
    return {row["name"]: row for row in json.loads(run("list", *given, "--json").stdout)}


@pytest.fixture
def shouting(monkeypatch):
    """A package's tools: one of its own, one with a built-in's name. Gives the names that were loaded."""
    loaded = []

    def load(self):
        loaded.append(self.name)
        return shout

    points = [EntryPoint(name, "other_package:shout", "anyprefer.tools") for name in ("shout", "calculator")]
    monkeypatch.setattr("anyprefer.core.registry.entry_points", lambda group: [p for p in points if p.group == group])
    monkeypatch.setattr(EntryPoint, "load", load)
    return loaded


def test_every_kind_is_listed_with_its_origin():
    rows = json.loads(run("list", "--json").stdout)
    assert set(HOW) == set(registries())
    assert {row["kind"] for row in rows} == set(HOW)
    of = {(row["kind"], row["name"]): row["from"] for row in rows}
    assert of["tools", "knowledge_search"] == "tools/knowledge_search.py"
    assert of["judges", "listwise"] == "nodes/judges/listwise.py"
    assert of["benchmarks", "gsm8k"] == "training/evaluation/benchmarks/gsm8k.py"
    shown = run("list").stdout
    assert all(name in shown for _, name in of)


def test_a_built_in_says_what_it_is():
    search = listed("tools")["knowledge_search"]
    assert (search["looks_at"], search["arguments"]) == ("task", {"query": None})
    assert search["options"] == {"corpus": "", "k": 3}
    for kind in HOW:
        for name, row in listed(kind).items():
            assert len(row["what"]) > 20, (kind, name)
    assert "--judge-form NAME" in run("list", "judges").stdout


def test_a_package_is_listed_without_being_loaded(shouting):
    rows = json.loads(run("list", "tools", "--json").stdout)
    assert [row for row in rows if row["name"] == "shout"] == [
        {"name": "shout", "from": "a package (other_package:shout)"}
    ]
    assert rows[-1]["name"] == "calculator"
    assert rows[-1]["from"] == "a package (other_package:shout), never played: a built-in has its name"
    assert shouting == []


def test_one_is_shown_with_all_it_says(shouting):
    row = listed("tools", "shout")["shout"]
    assert (row["what"], row["from"]) == ("Says it louder. And louder.", "a package (other_package:shout)")
    assert shouting == ["shout"]
    assert listed("tools", "calculator")["calculator"]["from"] == "tools/calculator.py"


def test_misspelt_names_are_told_the_near_one():
    assert "unknown kind 'judge'; did you mean 'judges'?" in refused(run("list", "judge"))
    assert "unknown judge 'listwize'; did you mean 'listwise'?" in refused(run("list", "judges", "listwize"))
