import pytest

from anyprefer.core.errors import ModelError
from anyprefer.core.records import Candidate, Knowledge, PreferencePair
from anyprefer.nodes.judges.evidence import EvidenceJudge
from anyprefer.nodes.rewards.evidence import EvidenceReward
from anyprefer.tools import Finding, tool
from tests.scripted import Scripted, play


def state(*found):
    return {
        "candidates": [Candidate(index=0, content="a", seed=1), Candidate(index=1, content="b", seed=2)],
        "task_knowledge": [],
        "candidate_knowledge": [Knowledge(tool="t", candidate=i, verdict=v, weight=w) for i, v, w in found],
    }


async def test_a_score_is_one_plus_nine_times_the_weighted_mean_verdict():
    judged = await EvidenceJudge().score(state((0, 1.0, 3), (0, 0.0, 1), (0, None, 9), (1, 0.0, 1)))
    assert [j.score for j in judged] == [7.75, 1.0]
    assert judged[0].analysis == "Verdicts: t 1.00, t 0.00."


async def test_a_candidate_no_tool_took_a_side_on_is_not_compared():
    form = [Knowledge(tool="form", candidate=one, verdict=1.0, weight=0.5) for one in (0, 1)]
    given = state((0, 1.0, 1), (1, None, 1))
    given["candidate_knowledge"] += form
    assert [judgment.candidate for judgment in await EvidenceJudge().score(given)] == [0]


async def test_the_game_goes_on_with_the_answers_that_could_be_compared():
    @tool
    def plain(candidate: Candidate) -> Finding:
        """Is it right, where it says one thing?"""
        return Finding("checked", verdict=None if "or" in candidate.content else float(candidate.content == "4"))

    row = await play(Scripted(sample=["4 or 5", "5", "4"]), judge="evidence", tools=[plain])
    assert (row.pair.chosen, row.pair.rejected) == ("4", "5")
    row = await play(Scripted(sample=["4 or 5", "5 or 6", "4"]), judge="evidence", tools=[plain], max_rounds=1)
    assert "Only 1 of 3 answers could be judged" in row.reason


async def test_where_no_tool_took_a_side_nothing_is_scored():
    given = state((0, None, 1))
    given["candidate_knowledge"].append(Knowledge(tool="web", candidate=1, error="offline"))
    with pytest.raises(ModelError, match=r"no tool took a side on any candidate.*\(web: offline\)"):
        await EvidenceJudge().score(given)


@pytest.mark.parametrize(
    ("chosen", "rejected", "reward"),
    [(10, 1, 10), (10, 5.5, 10), (10, 7.75, 5.5), (5.5, 1, 5.5), (1, 1, 1), (None, 1, 10), (None, None, 10)],
)
async def test_the_reward_asks_for_a_right_answer_and_a_clearly_worse_one(chosen, rejected, reward):
    pair = PreferencePair(chosen="a", rejected="b", chosen_score=chosen, rejected_score=rejected)
    assert (await EvidenceReward().rate({}, pair)).score == reward


@pytest.mark.parametrize(("value", "chosen_holds"), [(10, "holds"), (6, "is not right enough")])
async def test_its_analysis_says_what_was_missing(value, chosen_holds):
    pair = PreferencePair(chosen="a", rejected="b", chosen_score=value, rejected_score=5)
    assert f"the positive response {chosen_holds}" in (await EvidenceReward().rate({}, pair)).analysis


@tool
def exact(candidate: Candidate) -> Finding:
    """Is it right?"""
    return Finding("checked", verdict=float(candidate.content == "4"))


async def test_the_game_can_be_played_by_rules_alone_and_says_so():
    row = await play(Scripted(sample=["4", "5", "6"]), judge="evidence", tools=[exact])
    assert row.outcome == "accepted"
    assert (row.pair.chosen, row.reward) == ("4", 10)
    assert row.rounds[0].context.startswith("[exact about answer 1] checked")
    assert row.models == {
        "target": "Scripted",
        "judge": "evidence (rules over tool verdicts, no model)",
        "reward": "evidence (rules over tool verdicts, no model)",
        "engine": "none",
    }
