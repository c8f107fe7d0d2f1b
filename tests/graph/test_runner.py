import asyncio
import json
import os
import signal

import pytest

from anyprefer.core.errors import InputError, ModelSetupError, RunFolderError
from anyprefer.graph import RunSettings, Synthesis, Task, asynth, synth
from anyprefer.graph.players import assemble
from anyprefer.tools import Finding, tool
from tests.scripted import Scripted, a_task, play, scores

TASKS = [Task(id=str(n), prompt=f"What is {n} + 1?") for n in range(8)]


def arguments(model, **values):
    return {"target": model, "judge": model, "tools": [], "candidates": 2, **values}


def mixed():
    """Accepts even tasks at once, rejects odd ones, fails the sixth."""

    def sample(call):
        if "What is 6" in call.user:
            raise RuntimeError("no answer to six")
        return f"{call.user} {call.seed}"

    return Scripted(
        sample=sample,
        reward=lambda call: f"{9 if int(call.user.partition('What is ')[2].split()[0]) % 2 == 0 else 3}/10",
    )


def test_every_task_ends_as_exactly_one_row():
    rows = list(synth([*TASKS, {"prompt": ""}], **arguments(mixed(), max_rounds=2)))
    assert {row.id: row.outcome for row in rows} == {
        **{str(n): "rejected" if n % 2 else "accepted" for n in range(8)},
        "6": "failed",
        "row-000009": "failed",
    }
    for row in rows:
        assert (row.pair is not None) is (row.reward is not None) is (row.outcome == "accepted")
        assert bool(row.reason) is (row.outcome != "accepted")


async def test_rounds_spent_is_rejected_and_never_a_pair():
    row = await play(Scripted(reward="6/10"), max_rounds=3)
    assert row.outcome == "rejected"
    assert row.reason == "reward 6 below 8 after 3 rounds (round 1: R 6; round 2: R 6; round 3: R 6)"
    assert [closed.number for closed in row.rounds] == [1, 2, 3]
    assert row.pair is None
    assert row.rounds[2].pair is not None
    row = await play(Scripted(reward="6/10"), max_rounds=1)
    assert row.reason == "reward 6 below 8 after 1 round"


async def test_a_rejected_row_tells_what_each_round_came_to():
    row = await play(Scripted(reward=["4/10", "5/10"], judge=[scores(9, 1), scores(5, 5), scores(9, 1)]), candidates=2)
    assert row.reason == "reward 5 below 8 after 3 rounds (round 1: R 4; round 2: tie; round 3: R 5)"


async def test_the_row_says_who_played_and_what_it_took():
    model = Scripted(reward=["5/10", "8.5/10"])
    row = await play(model, seed=3)
    assert row.seed == 3
    assert row.models == dict.fromkeys(("target", "judge", "reward", "engine"), "Scripted")
    assert {role: (used.calls, used.input_tokens, used.output_tokens) for role, used in row.usage.items()} == {
        "judge": (2, 20, 4),
        "reward": (2, 20, 4),
        "sample": (6, 60, 12),
        "textgrad": (2, 20, 4),
    }
    assert row.reward == 8.5


async def test_the_same_seed_gives_the_same_rows_whatever_the_concurrency():
    def by_seed():
        return Scripted(sample=lambda call: f"{call.seed}")

    one = [row async for row in asynth(TASKS, **arguments(by_seed(), concurrency=1))]
    many = [row async for row in asynth(TASKS, **arguments(by_seed(), concurrency=8))]
    other = [row async for row in asynth(TASKS, **arguments(by_seed(), seed=1))]
    by_id = {row.id: row for row in many}
    assert all(by_id[row.id] == row for row in one)
    assert {row.pair.chosen for row in one}.isdisjoint(row.pair.chosen for row in other)


async def test_no_more_tasks_than_the_setting_says_are_in_flight():
    playing, most = set(), []

    async def sample(call):
        playing.add(call.user)
        most.append(len(playing))
        await asyncio.sleep(0)
        return str(call.seed)

    def judge(call):
        playing.discard(call.user.partition("Query: ")[2].partition("\n")[0])
        return "Answer 1: 9/10\nAnswer 2: 1/10"

    rows = [row async for row in asynth(TASKS, **arguments(Scripted(sample=sample, judge=judge), concurrency=3))]
    assert len(rows) == 8
    assert max(most) == 3


def test_an_early_break_keeps_the_finished_rows_and_closes_the_folder(tmp_path):
    rows = synth(TASKS, **arguments(Scripted(), concurrency=4, folder=tmp_path))
    first = next(rows)
    rows.close()
    kept = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert first.id in {row["id"] for row in kept}
    assert json.loads((tmp_path / "run.json").read_text())["counts"]["accepted"] == len(kept)
    again = list(synth(TASKS, **arguments(Scripted(), folder=tmp_path)))
    assert sorted(row.id for row in again) == sorted({str(n) for n in range(8)} - {row["id"] for row in kept})


def test_ctrl_c_stops_the_tasks_and_closes_the_folder(tmp_path):
    stopped = []

    async def sample(call):
        if "What is 1" not in call.user:
            return str(call.seed)
        if not stopped:
            stopped.append("interrupted")
            os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append("cancelled")
            raise

    with pytest.raises(KeyboardInterrupt):
        list(synth(TASKS[:2], **arguments(Scripted(sample=sample), concurrency=1, folder=tmp_path)))
    assert "cancelled" in stopped
    assert json.loads((tmp_path / "run.json").read_text())["counts"] == {"accepted": 1, "rejected": 0, "failed": 0}


def test_an_input_that_cannot_be_read_leaves_no_folder(tmp_path):
    with pytest.raises(InputError):
        list(synth(tmp_path / "gone.jsonl", **arguments(Scripted(), folder=tmp_path / "run")))
    assert not (tmp_path / "run").exists()


async def test_an_error_that_concerns_all_tasks_stops_the_run(tmp_path):
    def sample(call):
        if "What is 3" in call.user:
            raise ModelSetupError("the weights are gone")
        return str(call.seed)

    with pytest.raises(ModelSetupError, match="weights are gone"):
        [row async for row in asynth(TASKS, **arguments(Scripted(sample=sample), concurrency=1, folder=tmp_path))]
    assert json.loads((tmp_path / "run.json").read_text())["counts"]["accepted"] == 3


@pytest.mark.parametrize("values", [{"meta": {"x": object()}}, {"prompt": "\ud800"}, {"id": "\ud800"}])
async def test_a_row_without_a_json_form_is_failed_and_the_run_goes_on(tmp_path, values):
    rows = [row async for row in asynth([a_task(**values), a_task(id="u")], **arguments(Scripted(), folder=tmp_path))]
    assert {row.id: row.outcome for row in rows} == {
        values.get("id", "t").replace("\ud800", "\\ud800"): "failed",
        "u": "accepted",
    }
    [failure] = [json.loads(line) for line in (tmp_path / "failed.jsonl").read_text().splitlines()]
    assert "no JSON form" in failure["reason"]


async def test_a_synthesis_counts_its_rows():
    settings = RunSettings(candidates=2, tools=(), max_rounds=1)
    model = mixed()
    run = Synthesis(settings, players=assemble(settings, target=model, judge=model))
    rows = [row async for row in run.stream(TASKS)]
    assert len(rows) == 8
    assert run.counts == {"accepted": 3, "rejected": 4, "failed": 1}


async def test_findings_about_candidates_are_in_the_row():
    @tool
    def weigh(candidate: object) -> Finding:
        """Weighs."""
        return Finding(f"{candidate.index}", verdict=0.5)

    row = await play(Scripted(select_tools='["weigh"]'), tools=[weigh])
    assert [(k.tool, k.candidate, k.text) for k in row.rounds[0].knowledge] == [("weigh", n, str(n)) for n in range(3)]


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    path = tmp_path / "run"
    path.write_text("mine")
    with pytest.raises(RunFolderError, match="exists"):
        list(synth(TASKS, **arguments(Scripted(), folder=path)))
    assert path.read_text() == "mine"


async def test_a_task_that_fails_in_its_second_round_keeps_what_that_round_had():
    judged = ["Answer 1: 2/10\nAnswer 2: 1/10\nAnswer 3: 1/10", "no scores"]
    row = await play(Scripted(judge=judged, reward="3/10"))
    assert row.outcome == "failed"
    first, second = row.rounds
    assert first.reward.score == 3
    assert second.candidates
    assert second.candidates != first.candidates
    assert (second.judgments, second.pair, second.reward) == ((), None, None)
    assert "no scores" in second.feedback


def test_a_tool_is_prepared_with_its_options_before_any_task(tmp_path):
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text('{"text": "fine"}\nnot json\n')
    options = {"knowledge_search": {"corpus": str(corpus)}}
    with pytest.raises(InputError, match=r"corpus\.jsonl.*line 2.*not JSON"):
        assemble(RunSettings(tools=("knowledge_search",), tool_options=options))
