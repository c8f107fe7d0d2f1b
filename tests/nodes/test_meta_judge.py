import json
import math

import pytest

from anyprefer.core.errors import SettingsError
from anyprefer.graph import read_tasks, synth
from anyprefer.models.option_probabilities import DIGITS
from anyprefer.training.pair_data.read import load_pairs
from tests.nodes.test_judge_forms import Weigher
from tests.scripted import a_task, play

META = {"judge_form": "meta", "judge_passes": 2, "reward": "accept", "max_rounds": 1, "temperature": 0.7}


def sure(digit):
    return {**dict.fromkeys(DIGITS, -20.0), digit: -0.001}


def judged(call):
    """Analyses that alternate between careful and sloppy; careful ones say 8 of answer b and 2 of others, sloppy ones 5."""
    if "How good is the answer, then?" not in call.user:
        return f"A {'careful' if call.seed % 2 else 'sloppy'} look, {call.seed}."
    said = "\n".join(str(message.text) for message in call.messages)
    if "careful" not in said:
        return sure("5")
    return sure("8" if "\nb\n" in said else "2")


def likes_careful(call):
    first = call.user.partition("Judgment A:")[2].partition("Judgment B:")[0]
    share = 0.8 if "careful" in first else 0.6  # the first place is liked as such
    return {"A": math.log(share), "B": math.log(1 - share)}


async def test_the_judgment_that_wins_in_both_orders_counts_and_leaves_one_pair():
    model = Weigher(sample=["a", "b", "c"], judge=judged, meta_judge=likes_careful)
    row = await play(model, seed=3, **META)
    judgments = row.rounds[0].judgments
    for judgment in judgments:
        if judgment.spread:  # one careful, one sloppy
            assert "careful" in judgment.analysis
            assert judgment.score == pytest.approx(8.875 if judgment.candidate == 1 else 2.125, abs=0.01)
    assert any(judgment.spread for judgment in judgments)
    [pair] = [judgment.pair for judgment in judgments if judgment.pair]
    assert pair.chosen.startswith("A careful look")
    assert pair.rejected.startswith("A sloppy look")
    assert pair.rejected.endswith("Score: 5")
    assert pair.margin == pytest.approx(
        0.2, abs=0.01
    )  # (0.8 + 0.6)/2 beside (0.2 + 0.4)/2 would be 0.4 without the order
    assert [message["role"] for message in pair.prompt] == ["system", "user"]
    assert {call.settings["temperature"] for call in model.asked("judge") if "options" not in call.settings} == {0.7}


async def test_a_meta_judge_that_likes_a_place_alone_prefers_none():
    model = Weigher(judge=judged, meta_judge={"A": math.log(0.75), "B": math.log(0.25)})
    row = await play(model, **META)
    assert not any(judgment.pair for judgment in row.rounds[0].judgments)


async def test_judgments_that_cannot_be_read_are_left_out():
    model = Weigher(
        judge=lambda call: judged(call) if "options" in call.settings or call.seed % 2 else "Score: 9",
        meta_judge=likes_careful,
    )
    row = await play(model, seed=1, **{**META, "judge_passes": 6})
    assert row.outcome != "failed"
    assert all("careful" in judgment.analysis for judgment in row.rounds[0].judgments)


async def test_a_candidate_without_any_readable_judgment_fails_the_task():
    row = await play(Weigher(judge=" Score: 3"), **META)
    assert row.outcome == "failed"
    assert "a judgment without an analysis; the model said: ' Score: 3'" in row.reason


async def test_one_pass_is_refused():
    with pytest.raises(SettingsError, match="judge_passes to 2 or more"):
        await play(Weigher(), judge_form="meta")


def test_the_folder_keeps_the_pairs_of_judgments_for_training(tmp_path):
    model = Weigher(sample=["a", "b", "c"], judge=judged, meta_judge=likes_careful)
    given = {"target": model, "judge": model, "tools": (), "candidates": 3, "folder": tmp_path, "seed": 3, **META}
    [row] = synth(read_tasks([a_task()]), **given)
    [line] = (tmp_path / "judge_pairs.jsonl").read_text().splitlines()
    kept = json.loads(line)
    pair = next(judgment.pair for judgment in row.rounds[0].judgments if judgment.pair)
    assert kept["chosen"] == [{"role": "assistant", "content": pair.chosen}]
    loaded = load_pairs(tmp_path)
    assert loaded["chosen"][-1] == kept["chosen"]
    assert len(loaded) == 1 + (row.outcome == "accepted")
    assert [again.id for again in synth(read_tasks([a_task()]), **given)] == [row.id]  # nothing is doubled
    assert len((tmp_path / "judge_pairs.jsonl").read_text().splitlines()) == 1
