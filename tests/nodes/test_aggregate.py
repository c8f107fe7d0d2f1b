from anyprefer.graph import Candidate
from anyprefer.tools import tool
from tests.scripted import Scripted, play


@tool
def look(query: str) -> str:
    """Looks."""
    return "two and two is {answers}"


@tool
def weigh(candidate: Candidate) -> str:
    """Weighs."""
    return f"weighed {candidate.text}"


async def test_the_judge_consolidates_all_findings_and_scores_with_the_result():
    model = Scripted(select_tools='["look", "weigh"]', sample=["a", "b", "c"], aggregate="  four, surely ")
    row = await play(model, tools=[look, weigh])
    asked = model.asked("aggregate")[0].user
    assert "[look] two and two is {answers}" in asked
    assert "[weigh about answer 3] weighed c" in asked
    assert "Answer 2:\nb" in asked
    assert row.rounds[0].context == "four, surely"
    assert "Context:\nfour, surely" in model.asked("judge")[0].user
    assert "Context:\nfour, surely" in model.asked("reward")[0].user


async def test_the_second_round_sees_the_first_ones_score_and_analysis():
    model = Scripted(select_tools='["look"]', reward=["Too alike. 4/10", "Fine. 9/10"])
    await play(model, tools=[look])
    first, second = model.asked("aggregate")
    assert "previous round:" not in first.user
    assert "Score of the previous round: 4/10. Too alike. 4/10" in second.user


async def test_a_round_without_a_pair_says_so_to_the_next():
    model = Scripted(select_tools='["look"]', judge=["\n".join(f"Answer {n}: 5/10" for n in (1, 2, 3))])
    await play(model, tools=[look], max_rounds=2)
    assert "Score of the previous round: no pair could be formed." in model.asked("aggregate")[1].user


async def test_a_judge_of_rules_joins_the_findings_as_they_are():
    row = await play(Scripted(), tools=[look, weigh], judge="evidence", reward="evidence")
    assert row.outcome == "failed"
    assert "no tool took a side on any candidate" in row.reason
