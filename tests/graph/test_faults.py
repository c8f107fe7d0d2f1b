"""Whole runs against a server that does wrong whatever a server can do wrong (`tests/faults.py`)."""

import re

import pytest

from anyprefer.graph import synth
from tests.faults import KINDS, POISON, FaultServer, drawn, tasks
from tests.folder import check

PLAYED = {"tools": [], "candidates": 2, "max_rounds": 1, "timeout": 3.0}


def run(server, folder, count, **values):
    model = f"openai:any@{server.url}"
    return list(synth(tasks(count), folder=folder, target=model, judge=model, **{**PLAYED, **values}))


def sums(row):
    """The sums in a row's candidates: those of its own question."""
    return {found for one in row.rounds[0].candidates for found in re.findall(r"\d+ \+ \d+", str(one.content))}


def of_its_own(row):
    return sums(row) == {re.findall(r"\d+ \+ \d+", row.task.text)[0]}


def test_each_kind_of_fault_once_fails_nothing_and_mixes_nothing_up(tmp_path):
    names = list(KINDS)

    def fault(asked):
        """The n-th task's first sample request meets the n-th kind."""
        found = re.match(r"What is (\d+)", asked.user)
        return names[int(found[1]) - 10] if found and asked.role == "sample" and asked.count == 1 else ""

    assert len(names) >= 60
    with FaultServer(fault) as server:
        run(server, tmp_path, len(names), concurrency=32)
        assert sum(server.done.values()) >= len(names) - 1
    rows = check(tmp_path, spent_on_rows_only=False)
    assert sorted(row.id for row in rows) == sorted(task["id"] for task in tasks(len(names)))
    assert {row.outcome for row in rows} == {"accepted", "rejected"}
    assert all(map(of_its_own, rows))


@pytest.mark.parametrize("concurrency", [4, 64])
def test_a_seeded_mix_of_faults_fails_nothing(tmp_path, concurrency):
    with FaultServer(drawn(concurrency, 0.3)) as server:
        run(server, tmp_path, 60, concurrency=concurrency)
        assert len(server.done) > 20
    rows = check(tmp_path, spent_on_rows_only=False)
    assert len(rows) == 60
    assert {row.outcome for row in rows} == {"accepted", "rejected"}
    assert all(map(of_its_own, rows))


CAUSES = {
    "500": r"Error code: 500 - .*NaN.*retries = 1",
    "choices null": r"without choices.*retries = 1",
    "text instead of JSON": r"no whole JSON answer: upstream connect error.*retries = 1",
    "cut-off": r"no whole JSON answer.*retries = 1",
    "empty with reasoning": r"still thinking at max_new_tokens",
}


@pytest.mark.parametrize("concurrency", [1, 8])
def test_prompts_a_server_breaks_at_fail_alone_and_are_played_again_alone(tmp_path, concurrency):
    poisoned = {f"t{3 * number}": name for number, name in enumerate(POISON)}

    def fault(asked):
        found = re.match(r"What is (\d+)", asked.user)
        return poisoned.get(f"t{int(found[1]) - 10}", "") if found and asked.role == "sample" else ""

    with FaultServer(fault, POISON) as server:
        for turn in (1, 2):
            server.asked.clear()
            rows = run(server, tmp_path, 15, concurrency=concurrency, retries=1)
            assert {row.id for row in rows if row.outcome == "failed"} == set(poisoned)
            for row in rows:
                if row.outcome == "failed":
                    assert re.search(CAUSES[poisoned[row.id]], row.reason), row.reason
            assert len(rows) == (15 if turn == 1 else len(poisoned))
            assert len(check(tmp_path, spent_on_rows_only=False)) == 15
        poisoned.clear()
        assert [row.outcome == "failed" for row in run(server, tmp_path, 15)] == [False] * len(POISON)
