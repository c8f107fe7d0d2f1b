"""Choices read from a question, and their support in a knowledge base."""

import json

import pytest

from anyprefer.core.errors import InputError
from anyprefer.core.records import Candidate
from anyprefer.core.task import Task
from anyprefer.tools.multiple_choice import choices_of, multiple_choice

ASKED = (
    "Rain, snow and hail are forms of\n- erosion\n- magnetism\n- precipitation\nAnswer with one of these choices only."
)


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.setenv("ANYPREFER_CACHE", str(tmp_path / "cache"))
    rows = [
        {"id": "1", "title": "Rain", "text": "Rain, snow and hail are precipitation that falls from clouds."},
        {"id": "2", "title": "Erosion", "text": "Erosion carries soil away."},
    ]
    file = tmp_path / "corpus.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def look(answer, corpus, prompt=ASKED):
    return multiple_choice._run(task=Task(id="1", prompt=prompt), candidate=Candidate(index=0, content=answer, seed=0), corpus=corpus)  # fmt: skip


def test_the_supported_choice_is_right_others_are_less_and_no_choice_is_wrong(corpus):
    right, other, unsupported = (look(answer, corpus) for answer in ("Precipitation.", "erosion", "magnetism"))
    assert right.verdict == 1
    assert other.verdict < 1
    assert unsupported.verdict < 1
    assert right.data["support"]["precipitation"] > right.data["support"]["erosion"] > 0
    assert "falls from clouds" in right.data["text"]
    assert look("The answer is precipitation", corpus).verdict == 0.75
    for answer in ("rain", ""):
        found = look(answer, corpus)
        assert found.verdict == 0
        assert "none of the choices" in found.text
    for answer in ("not precipitation", "erosion or precipitation", "precipitation, erosion", "precipitation?"):
        assert look(answer, corpus).verdict is None


def test_without_choices_or_passages_it_takes_no_side(corpus):
    assert look("precipitation", corpus, "What is rain?").verdict is None
    nowhere = "Xyzzy?\n- plugh\n- frotz"
    assert look("plugh", corpus, nowhere).verdict is None
    assert look("neither", corpus, nowhere).verdict is None
    assert look("quux", corpus, nowhere).verdict == 0


@pytest.mark.parametrize(
    ("prompt", "choices"),
    [
        ("Which?\nA) one\nB) two\nAnswer.", ["one", "two"]),
        ("Which?\n(a) one\n(b) two", ["one", "two"]),
        ("Which?\n  1. one fish\n  2. two fish", ["one fish", "two fish"]),
        ("Which?\n- one", []),
        ("A sentence - with dashes - only.", []),
        ("Which?\n" + "\n".join(f"- {n}" for n in range(11)), []),
    ],
)
def test_how_choices_are_read(prompt, choices):
    assert list(choices_of(prompt).texts) == choices


def test_a_data_corpus_needs_its_folder(monkeypatch):
    monkeypatch.delenv("ANYPREFER_DATA", raising=False)
    with pytest.raises(InputError, match="ANYPREFER_DATA names none"):
        multiple_choice.with_options(corpus="data:kb.jsonl").prepare()
