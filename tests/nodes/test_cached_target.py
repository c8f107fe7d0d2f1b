"""A target's answers shared between runs."""

import asyncio
import os
import sqlite3

import pytest
from langchain_core.messages import AIMessage

from anyprefer.core.errors import RunFolderError
from anyprefer.core.kept import Kept, weights_stamp
from anyprefer.core.secrets import keep_secret
from anyprefer.graph import RunSettings, Synthesis, Task
from anyprefer.graph.players import assemble
from tests.scripted import Scripted


def rows_of(task, model, samples, folder=None, **values):
    settings = RunSettings(**{"candidates": 3, "max_rounds": 1, **values})
    rows = []
    players = assemble(settings, target=model, judge=model, tools=[], samples=samples)
    Synthesis(settings, folder, players).play([task], rows.append)
    return rows


def play(model, samples, folder=None, **values):
    rows = rows_of(Task(id="t", prompt="What is 2 + 2?"), model, samples, folder, **values)
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


def test_a_key_that_the_target_says_is_not_in_the_file(tmp_path):
    keep_secret("a-key-of-a-test-1")
    play(Scripted(sample=lambda call: f"{call.number}: a-key-of-a-test-1"), tmp_path / "samples.db")
    said = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"[api_key]" in said
    assert b"a-key-of-a-test-1" not in said


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
        [row] = rows_of(Task(id="c", prompt=chat), model, tmp_path / "s.db")
        return [candidate.ended for candidate in row.rounds[0].candidates], len(sampled(model))

    assert run("Ada", Scripted(sample=cut)) == (["stop", "length", "length"], 3)
    assert run("Ada", Scripted()) == (["stop", "length", "length"], 0)
    assert run("Bob", Scripted()) == (["", "", ""], 3)


def test_a_model_trained_again_in_its_folder_is_another_model(tmp_path):
    for name in ("adapter_model.safetensors", "model.safetensors"):
        folder = tmp_path / name.split(".")[0]
        folder.mkdir()
        assert weights_stamp(str(folder)) == 0
        (folder / "config.json").write_text("{}")
        (folder / name).write_text("weights")
        os.utime(folder / name, ns=(0, 1_000))
        assert weights_stamp(str(folder)) == 1_000
        os.utime(folder / name, ns=(0, 2_000))
        assert weights_stamp(str(folder)) == 2_000
    assert weights_stamp("some/model") == 0


async def test_a_file_that_another_process_holds_keeps_nobody_else_waiting(tmp_path):
    file = tmp_path / "samples.db"
    kept, other = Kept(file, "samples file"), sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(kept.keep({"key": b"mine"}))
    for _ in range(100):
        await asyncio.sleep(0)  # the loop turns although the file is held
    assert not waiting.done()
    other.execute("INSERT INTO samples VALUES ('key', CAST('theirs' AS BLOB))")
    other.execute("COMMIT")
    assert await waiting == {"key": b"theirs"}  # the first one counts, for both
    assert await kept.get(["key", "none"]) == {"key": b"theirs"}
    assert dict(kept.under("k")) == {"key": b"theirs"}
    assert dict(kept.under("K")) == {}
    kept.close()
    other.close()
