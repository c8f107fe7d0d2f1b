import math
import re

import numpy
import pytest
from langchain_core.messages import AIMessage

from anyprefer.core.records import PreferencePair
from anyprefer.core.values import derive_seed
from tests.scripted import Scripted, a_task, play, scores


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


async def test_after_a_second_draw_fewer_candidates_are_accepted():
    model = Scripted(sample=["a", "b", "a"])
    row = await play(model)
    assert len(model.asked("sample")) == 3 + 1
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
    row = await play(model, max_rounds=4)
    assert row.outcome == "failed"
    assert "0 different whole answers, too few for a pair: 3 of 3 answers were empty" in row.reason
    assert model.asked("textgrad") == []
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


@pytest.mark.parametrize("content", [math.nan, {1, 2}, object(), numpy.array([1, 2])])
async def test_content_without_a_json_form_fails_the_task(content):
    row = await play(Scripted(), target=FixedTarget(["a", "b", content]))
    assert row.outcome == "failed"
    assert "fixed" in row.reason


async def test_content_may_be_any_json_value():
    row = await play(Scripted(), target=FixedTarget([[1, 2], {"x": 0.5}, False]))
    assert [c.content for c in row.rounds[0].candidates] == [[1, 2], {"x": 0.5}, False]
    assert [c.text for c in row.rounds[0].candidates] == ["[1, 2]", '{"x": 0.5}', "false"]


def said(text="", finish="stop", **beside):
    return AIMessage(text, additional_kwargs=beside, response_metadata={"finish_reason": finish})


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (said(finish="length", reasoning_content="hm"), "were still thinking at max_new_tokens = 64; raise it"),
        (said("<think>hm", finish="length"), "were still thinking at max_new_tokens = 64; raise it"),
        (said("half", finish="length"), "were cut off at max_new_tokens = 64; raise it"),
        (said(refusal="I can't help with that."), 'were refused: "I can\'t help with that."'),
        (said(finish="content_filter"), "were ended by the server's content filter"),
        (said("half", finish="error"), "were ended by an error of the server"),
        (said("<think>hm</think>"), "were thoughts alone"),
    ],
)
async def test_flawed_answers_fail_the_task_at_once_and_the_reason_names_cause_and_setting(answer, why):
    model = Scripted(sample=answer)
    row = await play(model, max_rounds=4, max_new_tokens=64)
    assert row.outcome == "failed"
    assert re.search(rf"(\d) of \1 answers {re.escape(why)}", row.reason)
    assert model.asked("textgrad") == model.asked("judge") == []


async def test_one_whole_answer_beside_flawed_ones_is_too_few():
    model = Scripted(sample=["whole", said(finish="length", reasoning_content="hm")])
    row = await play(model, max_new_tokens=9)
    assert "gave 1 different whole answers, too few for a pair: 4 of 5 answers were still thinking at" in row.reason


async def test_answers_that_differ_in_their_thoughts_alone_are_one_candidate():
    model = Scripted(sample=[f"<think>{n}</think>Paris" for n in range(9)])
    row = await play(model, max_rounds=1)
    assert [(c.content, c.thoughts) for c in row.rounds[0].candidates] == [("Paris", "0")]
    assert "Only 1 different" in row.reason


async def test_a_cut_off_answer_is_judged_and_never_chosen():
    sampled = [said("best but cut", finish="length"), said("good"), said("bad")]
    row = await play(Scripted(sample=sampled, judge=scores(9, 6, 2)))
    assert [c.ended for c in row.rounds[0].candidates] == ["length", "stop", "stop"]
    assert [j.score for j in row.rounds[0].judgments] == [9, 6, 2]
    assert (row.pair.chosen, row.pair.rejected) == ("good", "bad")


async def test_a_cut_off_answer_may_be_rejected():
    row = await play(
        Scripted(sample=[said("good"), said("half", finish="length"), said("fair")], judge=scores(9, 2, 6))
    )
    assert (row.pair.chosen, row.pair.rejected) == ("good", "half")


async def test_no_builder_may_choose_a_cut_off_answer():
    def build(state):
        return PreferencePair(chosen="half", rejected="b", chosen_index=0, rejected_index=1)

    model = Scripted(sample=[said("half", finish="length"), "b", "c"])
    row = await play(model, max_rounds=1, build_pair=build)
    assert "The better answer is cut off" in row.reason


async def test_the_whole_one_of_two_equal_texts_is_kept():
    model = Scripted(sample=[said("same", finish="length"), said("same"), said("other"), said("third")])
    row = await play(model)
    assert [(c.content, c.ended) for c in row.rounds[0].candidates] == [
        ("same", "stop"), ("other", "stop"), ("third", "stop")
    ]  # fmt: skip
