import pytest
from langchain_core.messages import AIMessage

from anyprefer.core.records import Candidate, Reward
from anyprefer.nodes.reward import decide
from anyprefer.tools import tool
from tests.scripted import Scripted, a_task, play


@pytest.mark.parametrize(
    ("score", "number", "goes_on"),
    [
        (8, 1, "accepted"),
        (10, 3, "accepted"),
        (7.9, 1, "again"),
        (7.9, 2, "again"),
        (7.9, 3, "rejected"),
        (None, 1, "again"),
        (None, 3, "rejected"),
    ],
)
def test_decide(score, number, goes_on):
    rated = None if score is None else Reward(score=score)
    assert decide(rated, number, threshold=8, max_rounds=3) == goes_on


async def test_the_reward_is_shown_the_pair_and_its_analysis_is_kept():
    model = Scripted(sample=["good", "fair", "bad"], reward="Both on topic.\nRating: 9/10")
    row = await play(model)
    [asked] = model.asked("reward")
    assert "Positive response:\ngood" in asked.user
    assert "Negative response:\nbad" in asked.user
    assert row.reward == 9
    assert row.rounds[0].reward.analysis == row.rounds[0].feedback == "Both on topic.\nRating: 9/10"


async def test_a_reward_without_a_score_is_asked_again_and_then_fails_the_task():
    model = Scripted(reward=["Nice pair.", "Good. 8/10"])
    assert (await play(model)).reward == 8
    row = await play(Scripted(reward="Nice pair."))
    assert row.outcome == "failed"
    assert "Nice pair." in row.reason
    assert row.reward is row.pair is None


async def test_a_reward_out_of_range_fails_the_task():
    row = await play(Scripted(reward="Superb. 11/10"))
    assert row.outcome == "failed"
    assert "from 1 to 10" in row.reason


@pytest.mark.parametrize(("threshold", "outcome"), [(6, "accepted"), (6.5, "rejected")])
async def test_the_threshold_is_inclusive(threshold, outcome):
    row = await play(Scripted(reward="6/10"), threshold=threshold, max_rounds=1)
    assert row.outcome == outcome


async def test_content_that_is_no_text_is_shown_as_json():
    class Target:
        name = "json"

        async def sample(self, task, prompt, seeds):
            return [[1, 2], {"a": None}, True]

    model = Scripted()
    await play(model, a_task(), target=Target())
    assert "Positive response:\n[1, 2]\n" in model.asked("reward")[0].user
    assert "Negative response:\ntrue\n" in model.asked("reward")[0].user
    assert 'Answer 2:\n{"a": null}' in model.asked("judge")[0].user


@pytest.mark.parametrize("score", [float("nan"), float("inf"), 0.5, 11])
async def test_a_reward_of_ones_own_outside_of_its_range_fails_the_task_by_name(score):
    class Own:
        name = "own"

        async def rate(self, state, pair):
            return Reward.model_construct(score=score, analysis="")

    row = await play(Scripted(), reward=Own())
    assert row.outcome == "failed"
    assert f"reward own gave the score {score}" in row.reason


async def test_a_rating_that_is_cut_off_is_asked_again_and_says_why():
    cut = AIMessage("Criterion 1: 9/10. Criterion 2: the", response_metadata={"finish_reason": "length"})
    model = Scripted(reward=[cut, "Fine. 8/10"])
    assert (await play(model)).reward == 8
    assert "cut off at the token limit" in model.asked("reward")[1].user
    row = await play(Scripted(reward=cut))
    assert row.outcome == "failed"
    assert "cut off at the token limit" in row.reason


async def test_the_reward_is_told_which_answers_of_the_findings_the_responses_are():
    @tool
    def letter(candidate: Candidate) -> str:
        """Says which letter the candidate is."""
        return f"the letter {candidate.text}"

    best_is_the_third = "Answer 1: 5/10\nAnswer 2: 2/10\nAnswer 3: 9/10"
    model = Scripted(sample=["a", "b", "c"], select_tools='["letter"]', judge=best_is_the_third)
    await play(model, tools=[letter], max_rounds=1)
    said = "In what was found, the positive response is answer 3 and the negative response is answer 2."
    assert said in model.asked("reward")[0].user
    model = Scripted(sample=["a", "b", "c"], select_tools="[]", judge=best_is_the_third)
    await play(model, tools=[letter], max_rounds=1)
    assert "In what was found" not in model.asked("reward")[0].user
