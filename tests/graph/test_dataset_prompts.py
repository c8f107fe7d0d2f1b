import json

import pytest

from anyprefer.core.errors import RunFolderError, SettingsError
from anyprefer.graph import RunSettings, build_graph
from anyprefer.graph.dataset_prompts import SharedPrompts, last_kept
from anyprefer.graph.players import assemble
from anyprefer.graph.runs.row_files import read_rows
from tests.scripted import Scripted, a_task, play


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr("anyprefer.graph.dataset_prompts.HOLDOUT", 2)
    monkeypatch.setattr("anyprefer.graph.dataset_prompts.BATCH", 3)


TASKS = [a_task(f"Query {n} with {{braces}}", id=str(n)) for n in range(8)]
SHARED = {
    "prompt_scope": "dataset",
    "max_rounds": 2,
    "feedback": ("target",),
}


def players(instruction="Be exact.", **script):
    """The reward is 9 where the target was told to be exact, 2 where it was told to be sloppy, else 3."""

    def sample(call):
        told, _, query = call.user.rpartition("\n\n")
        return f"{told} {query} {call.seed}"

    def reward(call):
        return "9/10" if "Be exact." in call.user else "2/10" if "Be sloppy." in call.user else "3/10"

    answer = f"<IMPROVED_VARIABLE>{instruction}</IMPROVED_VARIABLE>"
    return Scripted(sample=sample, reward=reward, textgrad=answer, **script)


def decisions(folder):
    return [json.loads(line) for line in (folder / "prompts.jsonl").read_text(encoding="utf-8").splitlines()]


async def test_a_rewrite_that_raises_the_held_out_reward_is_kept_for_all_tasks(tmp_path):
    model = players()
    rows = await play(model, *TASKS, folder=tmp_path / "run", **SHARED)
    assert [row.outcome for row in rows] == ["rejected"] * 4 + ["accepted"] * 4
    assert [len(row.rounds) for row in rows] == [2, 2, 2, 2, 2, 1, 1, 1]
    assert [row.rounds[-1].prompts.target for row in rows] == [""] * 4 + ["Be exact."] * 4
    assert [(u.prompt, u.changed) for u in rows[4].rounds[0].updates] == [("target", True)]

    first, second = decisions(tmp_path / "run")
    assert [task["id"] for task in first["heldout"]] == ["0", "1"]
    assert (first["kept"], first["rewards"]) == (True, {"0": 3, "1": 3})
    assert (second["kept"], second["rewards"], second["before"]) == (True, {"0": 9, "1": 9}, {"0": 3, "1": 3})
    assert second["rounds"] == 3
    pairs = [json.loads(line) for line in (tmp_path / "run" / "pairs.jsonl").read_text("utf-8").splitlines()]
    assert {pair["prompt_version"] for pair in pairs} == {second["version"]} != {first["version"]}
    assert pairs[0]["prompt"] == [{"role": "user", "content": "Query 4 with {braces}"}]


async def test_x_is_put_after_the_instruction_as_it_is_and_the_engine_learns_from_the_batch_alone():
    model = players()
    await play(model, *TASKS, **SHARED)
    [asked] = model.asked("textgrad")
    assert "<VARIABLE>  </VARIABLE>" in asked.user
    assert "the instruction, at first empty" in asked.user
    assert [f"Query: Query {n} with {{braces}}" in asked.user for n in range(5)] == [False, False, True, True, True]
    assert {call.user for call in model.asked("sample") if "7" in call.user.split()} == {
        "Be exact.\n\nQuery 7 with {braces}"
    }


@pytest.mark.parametrize(("instruction", "reward"), [("Be sloppy.", 2), ("Be kind.", 3)])
async def test_one_that_does_not_raise_it_is_rolled_back_and_the_next_batch_tries_again(tmp_path, instruction, reward):
    model = players(instruction)
    rows = await play(model, *TASKS, folder=tmp_path / "run", **SHARED)
    assert {closed.prompts.target for row in rows for closed in row.rounds} == {""}
    note = f"rolled back: mean held-out reward 3 before, {reward} with it (n = 2)"
    assert [[(u.changed, u.note) for u in row.rounds[0].updates] for row in rows[4:]] == [
        [(False, note)],
        [],
        [],
        [(False, note)],
    ]
    assert [decision["kept"] for decision in decisions(tmp_path / "run")] == [True, False, False]
    assert len(model.asked("textgrad")) == 2


async def test_a_resumed_run_goes_on_with_the_version_and_the_held_out_tasks(tmp_path):
    folder = tmp_path / "run"
    await play(players(), *TASKS[:6], folder=folder, **SHARED)
    before = decisions(folder)
    with (folder / "prompts.jsonl").open("a") as lines:
        lines.write('{"version": "half')
    model = players()
    await play(model, *TASKS, folder=folder, **SHARED)
    assert model.asked("textgrad") == []
    assert {call.user.partition("\n\n")[0] for call in model.asked("sample")} == {"Be exact."}
    assert decisions(folder) == before
    assert {row.rounds[-1].prompts.version for row in read_rows(folder) if row.outcome == "accepted"} == {
        before[1]["version"]
    }


async def test_a_held_out_task_that_fails_is_in_neither_mean(tmp_path):
    def judge(call):
        if "Query 0" in call.user and "Be exact." in call.user:
            raise RuntimeError("no judge")
        return "\n".join(f"Answer {n}: {n}/10" for n in range(1, call.shown + 1))

    await play(players(judge=judge), *TASKS, folder=tmp_path / "run", **SHARED)
    second = decisions(tmp_path / "run")[1]
    assert (second["kept"], second["rewards"], second["before"]) == (True, {"1": 9}, {"0": 3, "1": 3})


async def test_a_round_without_a_pair_counts_as_the_lowest_reward(tmp_path):
    def judge(call):
        return "\n".join(f"Answer {n}: {5 if 'Be exact.' in call.user else n}/10" for n in range(1, call.shown + 1))

    await play(players(judge=judge), *TASKS, folder=tmp_path / "run", **SHARED)
    second = decisions(tmp_path / "run")[1]
    assert (second["kept"], second["rewards"]) == (False, {"0": 1, "1": 1})


async def test_what_trials_take_is_counted_in_the_run_and_in_no_row(tmp_path):
    model = players()
    rows = await play(model, *TASKS, folder=tmp_path / "run", **SHARED)
    in_rows = sum(used.calls for row in rows for used in row.usage.values())
    spent = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))["usage"]
    assert sum(used["calls"] for used in spent.values()) == len(model.calls) > in_rows


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"engine": "evidence"}, "needs an engine"),
        ({"judge": "evidence", "tools": ["calculator"]}, "needs an engine.*'none'"),
        ({"workers": 2}, "one process"),
        ({"max_rounds": 1}, "2 or more"),
    ],
)
async def test_what_cannot_share_prompts_is_refused_before_a_folder_is_made(tmp_path, values, words):
    with pytest.raises(SettingsError, match=words):
        await play(players(), a_task(), folder=tmp_path / "run", **{**SHARED, **values})
    assert not (tmp_path / "run").exists()


def test_a_graph_of_its_own_has_no_data_set():
    with pytest.raises(SettingsError, match=r"play it with synth\(\)"):
        build_graph(target=Scripted(), judge=Scripted(), tools=[], prompt_scope="dataset")


def test_a_damaged_file_of_versions_is_named(tmp_path):
    (tmp_path / "prompts.jsonl").write_text("{}\n")
    settings = RunSettings(tools=())
    with pytest.raises(RunFolderError, match=r"prompts\.jsonl, line 1 is no prompt version"):
        SharedPrompts(assemble(settings, target=Scripted(), judge=Scripted()), settings, tmp_path)


async def test_a_line_separator_in_a_prompt_is_text(tmp_path):
    separated = "Be exact.\u2028And\u2029be\x85brief."
    await play(players(separated), *TASKS, folder=tmp_path / "run", **SHARED)
    kept = last_kept(tmp_path / "run")
    assert kept is not None
    assert kept.target == separated
    model = players(separated)
    rows = await play(model, *TASKS, a_task("Query new", id="new"), folder=tmp_path / "run", **SHARED)
    assert [row.rounds[0].prompts.target for row in rows] == [separated]


def test_a_run_starts_from_another_ones_version_until_it_has_decided_itself(tmp_path):
    shared = SharedPrompts(assemble(RunSettings(**SHARED), **dict.fromkeys(("target", "judge", "engine"), players())),
                           RunSettings(**SHARED))  # fmt: skip
    own = shared.current
    shared.start_from(None)
    assert shared.current == own
    learnt = own.model_copy(update={"target": "Be exact."})
    shared.start_from(learnt)
    assert shared.current == learnt
    shared._rewards = {"0": 9.0}
    shared.start_from(own)
    assert shared.current == learnt
    assert last_kept(tmp_path) is None
