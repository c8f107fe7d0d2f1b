"""A target's answers shared between runs."""

import sqlite3

import pytest
from langchain_core.messages import AIMessage

from anyprefer.graph import Task, synth
from anyprefer.graph.errors import RunFolderError
from tests.scripted import Scripted


def play(model, samples, folder=None, **values):
    rows = list(synth(["What is 2 + 2?"], target=model, judge=model, tools=[], samples=str(samples), folder=folder,
                      **{"candidates": 3, "max_rounds": 1, **values}))  # fmt: skip
    assert [row.outcome for row in rows] == ["accepted"]
    return [candidate.content for candidate in rows[0].rounds[0].candidates]


def sampled(model):
    return [call for call in model.calls if call.role == "sample"]


def test_a_second_run_judges_the_same_candidates_and_asks_for_none(tmp_path):
    first, second = Scripted(), Scripted(sample="another answer")
    one = play(first, tmp_path / "deep" / "samples.db", tmp_path / "a")
    assert play(second, tmp_path / "deep" / "samples.db", tmp_path / "b", threshold=2) == one
    assert len(sampled(first)) == 3
    assert not sampled(second)


def test_more_candidates_are_the_known_ones_and_new_ones(tmp_path):
    three = play(Scripted(), tmp_path / "samples.db")
    model = Scripted()
    five = play(model, tmp_path / "samples.db", candidates=5)
    assert five[:3] == three
    assert len(sampled(model)) == 2


@pytest.mark.parametrize("changed", [{"temperature": 0.5}, {"max_new_tokens": 9}, {"seed": 1}, {"system": "Short."}])
def test_what_makes_another_answer_is_asked_again(tmp_path, changed):
    play(Scripted(), tmp_path / "samples.db")
    model = Scripted()
    play(model, tmp_path / "samples.db", **changed)
    assert len(sampled(model)) == 3


def test_a_file_that_is_no_database_is_refused(tmp_path):
    file = tmp_path / "samples.db"
    file.write_text("not a database, and long enough to be looked at as one" * 20)
    with pytest.raises(RunFolderError, match=r"samples\.db cannot be opened"):
        play(Scripted(), file)
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(file).execute("SELECT 1 FROM samples")


def test_how_an_answer_ended_and_what_was_said_before_the_question_are_kept(tmp_path):
    def cut(call):
        beside = {"finish_reason": "length" if call.number else "stop"}
        return AIMessage(f"answer {call.number}", response_metadata=beside)

    def run(name, model):
        chat = [
            {"role": "user", "content": name},
            {"role": "assistant", "content": "Yes?"},
            {"role": "user", "content": "Q"},
        ]
        given = {"target": model, "judge": model, "tools": [], "candidates": 3, "max_rounds": 1}
        row = next(synth([Task(id="c", prompt=chat)], samples=str(tmp_path / "s.db"), **given))
        return [candidate.ended for candidate in row.rounds[0].candidates], len(sampled(model))

    assert run("Ada", Scripted(sample=cut)) == (["stop", "length", "length"], 3)
    assert run("Ada", Scripted()) == (["stop", "length", "length"], 0)
    assert run("Bob", Scripted()) == (["", "", ""], 3)
