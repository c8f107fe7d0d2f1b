"""Preference data judged again."""

import json
from pathlib import Path

import pytest

from tests.command_line import run, write
from tests.folder import lines
from tests.training.export.test_export import rows

pytestmark = pytest.mark.usefixtures("here")
JUDGE = ("--judge", "evidence", "--tools", "calculator")


def says(text):
    return [{"role": "assistant", "content": text}]


def sums(count=8, flipped=(1, 4)):
    """Our own form: right sums against wrong ones, some the wrong way round, and one that nothing can judge."""
    made = []
    for n in range(count):
        two = says(f"{n + 20} + 30 = {n + 50}"), says(f"{n + 20} + 30 = {n + 57}")
        chosen, rejected = two[::-1] if n in flipped else two
        asked = [{"role": "user", "content": f"What is {n + 20} + 30?"}]
        made.append({"id": f"s{n}", "prompt": asked, "chosen": chosen, "rejected": rejected, "topic": n})
    return [*made, {"id": "no sum", "prompt": "Who are you?", "chosen": "Nobody.", "rejected": "Somebody.", "topic": 9}]


def in_another_form(row, form):
    """HH-RLHF's texts, or UltraFeedback's whole dialogues beside a prompt."""
    asked = row["prompt"] if isinstance(row["prompt"], str) else row["prompt"][0]["content"]
    texts = {
        name: row[name] if isinstance(row[name], str) else row[name][0]["content"] for name in ("chosen", "rejected")
    }
    if form == "hh":
        return {name: f"\n\nHuman: {asked}\n\nAssistant: {text}" for name, text in texts.items()}
    whole = {name: [{"role": "user", "content": asked}, *says(text)] for name, text in texts.items()}
    return {**whole, "prompt": asked, "prompt_id": row["id"], "score_chosen": 8.0, "score_rejected": 3.0}


@pytest.mark.parametrize("form", ["own", "hh", "ultrafeedback"])
def test_planted_flips_are_found_and_the_rest_is_told(form):
    given = sums()
    write("data.jsonl", given if form == "own" else [in_another_form(row, form) for row in given])
    result = run("rejudge", "data.jsonl", *JUDGE, "--out", "again")
    assert result.exit_code == 0, result.output
    verdicts = lines(Path("again"), "verdicts.jsonl")
    assert [one["verdict"] for one in verdicts] == [
        *("flipped" if n in (1, 4) else "kept" for n in range(8)), "undecided",
    ]  # fmt: skip
    assert "calculator" in verdicts[1]["why"]
    assert verdicts[1]["score_chosen"] < verdicts[1]["score_rejected"]
    assert "no tool took a side" in verdicts[8]["why"]
    pairs = rows(Path("again/dataset").absolute())
    assert len(pairs) == 8
    for n, pair in enumerate(pairs):
        assert pair["chosen"] == says(f"{n + 20} + 30 = {n + 50}")
        assert pair["verdict"] == verdicts[n]["verdict"]
        assert pair["explanation"] == verdicts[n]["why"]
        assert "candidates" not in pair
        assert form != "own" or pair["topic"] == n
    removed = lines(Path("again/dataset"), "removed.jsonl")
    assert [(one["why"], one["chosen"]) for one in removed] == [("undecided", "Nobody.")]
    assert "| removed: undecided | 1 |" in Path("again/dataset/README.md").read_text()


def test_what_is_verified_is_preferred_to_what_states_nothing():
    says_little = "I would have to think about that for a while."
    asked = {"prompt": "What is 20 + 30?"}
    write(
        "data.jsonl",
        [
            {**asked, "id": "held", "chosen": "20 + 30 = 50", "rejected": says_little},
            {**asked, "id": "turned", "chosen": says_little, "rejected": "20 + 30 = 50"},
            {**asked, "id": "wrong", "chosen": says_little, "rejected": "20 + 30 = 57"},
        ],
    )
    assert run("rejudge", "data.jsonl", *JUDGE, "--out", "again").exit_code == 0
    verdicts = {one["id"]: one for one in lines(Path("again"), "verdicts.jsonl")}
    assert {name: one["verdict"] for name, one in verdicts.items()} == {
        "held": "kept", "turned": "flipped", "wrong": "undecided",
    }  # fmt: skip
    assert (verdicts["turned"]["score_chosen"], verdicts["turned"]["score_rejected"]) == (None, 10.0)
    assert [pair["margin"] for pair in rows(Path("again/dataset").absolute())] == [None, None]


def test_it_is_resumed_and_data_without_a_decision_export_nothing():
    write("data.jsonl", sums())
    run("rejudge", "data.jsonl", *JUDGE, "--out", "again", "--limit", "3")
    before = Path("again/rows/rows.jsonl").read_bytes()
    assert run("rejudge", "data.jsonl", *JUDGE, "--out", "again").exit_code == 0
    assert Path("again/rows/rows.jsonl").read_bytes().startswith(before)
    assert json.loads(Path("again/rows/run.json").read_text())["counts"] == {"accepted": 8, "rejected": 0, "failed": 1}
    write("open.jsonl", sums()[-1:])
    result = run("rejudge", "open.jsonl", *JUDGE, "--out", "open")
    assert result.exit_code == 1
    assert "nothing is exported" in result.stdout
    assert not Path("open/dataset").exists()
