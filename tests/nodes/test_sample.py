import math

import pytest

from anyprefer.graph.state import derive_seed
from tests.scripted import Scripted, a_task, play


class FixedTarget:
    name = "fixed"

    def __init__(self, *batches):
        self.batches = list(batches)

    async def sample(self, task, prompt, seeds):
        return self.batches.pop(0)


async def test_the_target_is_called_once_a_seed_with_the_sampling_settings():
    model = Scripted()
    row = await play(model, candidates=4, temperature=0.7, top_p=0.9, max_new_tokens=33, seed=5)
    asked = model.asked("sample")
    assert [call.seed for call in asked] == [derive_seed(5, "t", 1, i) for i in range(4)]
    assert all(
        call.settings == {"seed": call.seed, "temperature": 0.7, "top_p": 0.9, "max_tokens": 33} for call in asked
    )
    assert [c.seed for c in row.rounds[0].candidates] == [call.seed for call in asked]
    assert all(call.user == "What is 2 + 2?" and call.system == "" for call in asked)


async def test_the_system_message_of_the_task_goes_before_that_of_the_settings():
    model = Scripted()
    await play(model, a_task(), a_task(id="u", system="own"), system="general")
    assert {call.system for call in model.asked("sample")} == {"general", "own"}


async def test_duplicates_are_sampled_again_with_new_seeds():
    model = Scripted(sample=["a", "a", "b", "c"])
    row = await play(model)
    assert [c.content for c in row.rounds[0].candidates] == ["a", "b", "c"]
    assert [c.index for c in row.rounds[0].candidates] == [0, 1, 2]
    assert len({call.seed for call in model.asked("sample")}) == 4


async def test_after_the_resamples_fewer_candidates_are_accepted():
    model = Scripted(sample=["a", "b", "a"])
    row = await play(model, resamples=2)
    assert len(model.asked("sample")) == 3 + 1 + 1
    assert [c.content for c in row.rounds[0].candidates] == ["a", "b"]
    assert row.outcome == "accepted"


async def test_empty_answers_are_no_candidates():
    model = Scripted(sample=["", "  ", "a", "b", "c"])
    row = await play(model)
    assert [c.content for c in row.rounds[0].candidates] == ["a", "b", "c"]


async def test_identical_candidates_form_no_pair_but_feedback():
    model = Scripted(sample="the same", judge="Answer 1: 5/10")
    row = await play(model, max_rounds=2)
    assert row.outcome == "rejected"
    assert row.pair is None
    assert row.rounds[0].reward is None
    assert "Only 1 different" in row.rounds[0].feedback
    assert all("Only 1 different" in call.user for call in model.asked("textgrad"))
    assert model.asked("reward") == []


async def test_no_candidate_at_all_asks_neither_judge_nor_reward():
    model = Scripted(sample="")
    row = await play(model, max_rounds=1)
    assert row.outcome == "rejected"
    assert "Only 0 different" in row.reason
    assert model.asked("judge") == model.asked("reward") == []


async def test_a_failing_sample_call_fails_the_task_and_never_becomes_a_candidate():
    model = Scripted(sample=["a", "b", RuntimeError("rate limit")])
    row = await play(model)
    assert row.outcome == "failed"
    assert "sample (Scripted) did not answer: RuntimeError: rate limit" in row.reason
    assert all(closed.candidates == () for closed in row.rounds)
    assert row.usage["sample"].calls == 2


async def test_a_target_that_returns_too_few_samples_fails_the_task():
    row = await play(Scripted(), target=FixedTarget(["a", "b"]))
    assert row.outcome == "failed"
    assert "fixed returned 2 samples for 3 seeds" in row.reason


@pytest.mark.parametrize("content", [math.nan, {1, 2}, object()])
async def test_content_without_a_json_form_fails_the_task(content):
    row = await play(Scripted(), target=FixedTarget(["a", "b", content]))
    assert row.outcome == "failed"
    assert "fixed" in row.reason


async def test_content_may_be_any_json_value():
    row = await play(Scripted(), target=FixedTarget([[1, 2], {"x": 0.5}, False]))
    assert [c.content for c in row.rounds[0].candidates] == [[1, 2], {"x": 0.5}, False]
    assert [c.text for c in row.rounds[0].candidates] == ["[1, 2]", '{"x": 0.5}', "false"]
