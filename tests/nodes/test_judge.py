import re

import pytest
from langchain_core.messages import AIMessage

from anyprefer.core.errors import AnswerError
from anyprefer.core.records import Candidate
from anyprefer.graph import Judge, Judgment
from anyprefer.nodes.judges.listwise import scores_schema
from anyprefer.nodes.scores.parsing import read_scores
from anyprefer.tools import tool
from tests.scripted import Scripted, play, scores


@pytest.mark.parametrize(
    "text",
    [
        "Answer 1: 7/10\nAnswer 2: 3/10",
        "**Answer 1: 7/10**\n**Answer 2: 3/10**",
        "### Answer 1\nScore: 7\n### Answer 2\nScore: 3",
        "Answer #1 - 7 / 10\nanswer 2 = 3/10",
        "Answer 2: 3/10\nAnswer 1: 7/10",
        "Answer 1: 2/10, no, wait.\nAnswer 1: 7/10\nAnswer 2: 3/10",
        "Answer 1:\n42\nIt says 42.\nAnswer 1: 7/10\nAnswer 2: 3/10",
        'Here: {"answers": [{"answer": 1, "analysis": "a", "score": 7}, {"answer": 2, "score": 3}]}',
    ],
)
def test_scores_are_read_from_lines_or_json(text):
    assert [score for score, _ in read_scores(text, 2)] == [7, 3]


def test_each_analysis_goes_with_its_score():
    text = "Answer 1:\nRight.\n\nAnswer 2:\nWrong sum.\n\nAnswer 1: 9/10\nAnswer 2: 2/10"
    assert read_scores(text, 2) == [(9, "Right."), (2, "Wrong sum.")]


@pytest.mark.parametrize(
    "text",
    [
        "They are all fine.",
        "Answer 1: 7/10",
        "Answer 1: 7/10\nAnswer 2: 3/10\nAnswer 3: 4/10",
        "Answer 1: 7/10\nAnswer 2: 11/10",
        "Answer 1: 7/10\nAnswer 2: 0/10",
        "Answer 1: 7/10\nAnswer 2: -3/10",
        "Answer 1: 7\nAnswer 2: 3",
        "Answer 1:\n7\nAnswer 2:\n3\n",
        "Answer 1: 7/100\nAnswer 2: 3/10",
        '{"answers": [{"answer": 1, "score": 7}]}',
        '{"answers": [{"answer": 1, "score": 7}, {"answer": 2}]}',
        '{"answers": [{"answer": 1, "score": 7}, {"answer": 2, "score": "high"}]}',
        '{"answers": [{"answer": [1], "score": 7}, {"answer": 2, "score": 3}]}',
        '{"answers": [7, 3]}',
    ],
)
def test_what_does_not_score_every_answer_once_raises(text):
    with pytest.raises(AnswerError) as caught:
        read_scores(text, 2)
    assert caught.value.text == text.strip()


async def test_an_answer_that_cannot_be_parsed_is_asked_again_with_another_seed():
    model = Scripted(judge=["no idea", scores(3, 2, 1)])
    row = await play(model)
    first, second = model.asked("judge")
    assert first.seed != second.seed
    assert second.user == f"{first.user}\n\nYour answer number 1 could not be read: no scores of answers 1 to 3."
    assert [j.score for j in row.rounds[0].judgments] == [3, 2, 1]


async def test_an_unparsable_judge_fails_the_task_quoting_it_and_never_scores():
    row = await play(Scripted(judge="I like them all."))
    assert row.outcome == "failed"
    assert "I like them all." in row.reason
    assert all(closed.judgments == () and closed.pair is None for closed in row.rounds)
    assert row.pair is None
    assert row.usage["judge"].calls == 2


@pytest.mark.parametrize("score", ["11/10", "0/10", "-2/10"])
async def test_a_score_out_of_range_fails_the_task(score):
    row = await play(Scripted(judge=f"Answer 1: 5/10\nAnswer 2: 5/10\nAnswer 3: {score}"))
    assert row.outcome == "failed"
    assert "AnswerError" in row.reason


async def test_examples_and_task_field_reach_judge_and_reward():
    model = Scripted()
    await play(model, examples="Example: {query} gets 3/10", task_field="chemistry")
    for call in (*model.asked("judge"), *model.asked("reward")):
        assert call.user.startswith("Example: {query} gets 3/10\n\n")
        assert "expert in chemistry" in call.system


def shown(call):
    """The one-word answers in the order the judge sees them."""
    return re.findall(r"^Answer \d:\n(\w)$", call.user, re.MULTILINE)


def prefers_the_first(call):
    return scores(9, *[5] * (call.shown - 1))


async def test_one_pass_keeps_the_bias_of_a_judge_that_prefers_the_first_answer():
    row = await play(Scripted(judge=prefers_the_first), judge_passes=1)
    assert [j.score for j in row.rounds[0].judgments] == [9, 5, 5]
    assert row.pair.chosen_index == 0


async def test_as_many_passes_as_candidates_remove_the_bias():
    model = Scripted(judge=prefers_the_first)
    row = await play(model, judge_passes=3, max_rounds=1)
    mean = pytest.approx(19 / 3, abs=1e-5)
    assert [(j.score, j.spread) for j in row.rounds[0].judgments] == [(mean, 4), (mean, 4), (mean, 4)]
    assert row.outcome == "rejected"
    assert row.rounds[0].pair is None
    assert len({call.seed for call in model.asked("judge")}) == 3


async def test_over_the_passes_every_candidate_stands_at_every_place_once():
    model = Scripted(sample=["a", "b", "c"])
    await play(model, judge_passes=3, max_rounds=1)
    assert [shown(call) for call in model.asked("judge")] == [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"]]


async def test_scores_follow_the_candidate_through_the_rotation():
    def by_content(call):
        return scores(*[{"a": 2, "b": 9, "c": 5}[content] for content in shown(call)])

    row = await play(Scripted(sample=["a", "b", "c"], judge=by_content), judge_passes=3)
    assert [(j.score, j.spread) for j in row.rounds[0].judgments] == [(2, 0), (9, 0), (5, 0)]
    assert (row.pair.chosen, row.pair.rejected) == ("b", "a")


class Incomplete(Judge):
    name = "incomplete"

    async def score(self, state):
        return [Judgment(candidate=0, score=1), Judgment(candidate=0, score=2), Judgment(candidate=1, score=3)]


async def test_a_judge_that_leaves_a_candidate_out_fails_the_task():
    row = await play(Scripted(), judge=Incomplete(), reward=Scripted())
    assert "judge incomplete scored candidates [0, 0, 1] instead of [0, 1, 2]" in row.reason


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("folder", [False, True])
async def test_a_score_that_cannot_be_ranked_fails_the_task_by_judge_and_candidate(score, folder, tmp_path):
    class Cost(Judge):
        name = "cost"

        async def score(self, state):
            return [Judgment(candidate=0, score=-1), Judgment(candidate=1, score=score), Judgment(candidate=2, score=2)]

    row = await play(Scripted(), judge=Cost(), reward=Scripted(), folder=tmp_path / "run" if folder else None)
    assert row.outcome == "failed"
    assert f"judge cost gave candidate 2 the score {score}" in row.reason
    assert row.pair is None


async def test_a_judge_without_score_says_so():
    row = await play(Scripted(), judge=Judge(), reward=Scripted())
    assert "Judge must define score()" in row.reason


def test_the_schema_asks_for_the_analysis_before_the_score():
    schema = scores_schema(4)["json_schema"]["schema"]
    one = schema["properties"]["answers"]["items"]
    assert list(one["properties"]) == ["answer", "analysis", "score"]
    assert one["properties"]["answer"]["maximum"] == 4
    assert one["required"] == ["answer", "analysis", "score"]


async def test_an_answer_in_content_blocks_is_read():
    blocks = AIMessage([{"type": "text", "text": "Well.\n"}, {"type": "text", "text": scores(4, 3, 2)}])
    row = await play(Scripted(judge=blocks))
    assert [j.score for j in row.rounds[0].judgments] == [4, 3, 2]


@tool
def letter(candidate: Candidate) -> str:
    """Says which letter the candidate is."""
    return f"the letter {candidate.text}"


async def test_a_pass_that_shows_the_answers_in_another_order_says_how_findings_number_them():
    model = Scripted(sample=["a", "b", "c"], select_tools='["letter"]', aggregate="answer 2 is the letter b")
    await play(model, tools=[letter], judge_passes=3, max_rounds=1)
    first, second, third = [call.user for call in model.asked("judge")]
    assert "numbers the answers otherwise" not in first
    assert "its answer 2 is Answer 1 here, its answer 3 is Answer 2 here, its answer 1 is Answer 3 here." in second
    assert "its answer 3 is Answer 1 here, its answer 1 is Answer 2 here, its answer 2 is Answer 3 here." in third


async def test_without_findings_on_answers_no_pass_speaks_of_their_numbers():
    model = Scripted(sample=["a", "b", "c"])
    await play(model, judge_passes=3, max_rounds=1)
    assert not any("numbers the answers otherwise" in call.user for call in model.asked("judge"))
