import re

import pytest
from langchain_core.messages import AIMessage

from anyprefer.core.errors import AnswerError, SettingsError
from anyprefer.core.records import Candidate
from anyprefer.graph import Synthesis, load_settings
from anyprefer.graph.players import assemble
from anyprefer.models.option_probabilities import DIGITS, expected_score
from anyprefer.models.traits import Traits
from anyprefer.nodes.judges.pointwise import parse_score
from anyprefer.nodes.rewards.expected import ExpectedReward
from anyprefer.nodes.rewards.model import ChatReward
from anyprefer.tools import Finding, tool
from tests.scripted import Scripted, a_task, play

WEIGHS = Traits(name="weigher", fields=("seed", "temperature", "max_tokens"), tools=False, shapes=False, weighs=True)
LOGPROBS = dict.fromkeys(DIGITS, -9.0)


class Weigher(Scripted):
    """Weighs options as a local model does: a script's dict is its log-probabilities."""

    @property
    def traits(self):
        return WEIGHS

    def _result(self, given):
        told = isinstance(given, dict)
        return super()._result(AIMessage("5", response_metadata={"option_logprobs": given}) if told else given)


@tool
def exact(candidate: Candidate) -> Finding:
    """Is it right?"""
    return Finding(f"{candidate.text} was checked", verdict=1.0)


@tool
def about(query: str = "") -> Finding:
    """Looks the query up."""
    return Finding("two and two make four")


def answer_of(call):
    return re.search(r"^Answer(?: \d)?:\n(.*)$", call.user, re.MULTILINE)[1]


async def test_pointwise_asks_for_each_candidate_alone():
    model = Scripted(sample=["a", "b", "c"], judge=lambda call: f"Well. Score: {ord(answer_of(call)) - 95}/10")
    row = await play(model, judge_form="pointwise", max_rounds=1)
    assert [(j.score, j.analysis) for j in row.rounds[0].judgments] == [
        (2, "Well. Score: 2/10"),
        (3, "Well. Score: 3/10"),
        (4, "Well. Score: 4/10"),
    ]
    assert len(model.asked("judge")) == 3
    assert {call.settings["temperature"] for call in model.asked("judge")} == {0}


async def test_pointwise_passes_are_sampled_with_seeds_of_their_own_and_averaged():
    model = Scripted(judge=lambda call: f"{4 + call.number % 2 * 2}/10")
    row = await play(model, judge_form="pointwise", judge_passes=2, temperature=0.7, max_rounds=1)
    assert [(j.score, j.spread) for j in row.rounds[0].judgments] == [(5, 2)] * 3
    assert len({call.seed for call in model.asked("judge")}) == 6
    assert {call.settings["temperature"] for call in model.asked("judge")} == {0.7}


@pytest.mark.parametrize("said", ["Rather good.", "Score: 11/10", "Score: 7"])
async def test_an_unparsable_pointwise_judgment_fails_the_task(said):
    row = await play(Scripted(judge=said), judge_form="pointwise")
    assert row.outcome == "failed"
    assert said in row.reason


def test_the_last_score_counts():
    assert parse_score(AIMessage("First 3/10, no. Score: 8/10 ")) == (8, "First 3/10, no. Score: 8/10")
    with pytest.raises(AnswerError):
        parse_score(AIMessage("none"))


def test_the_expected_digit_spans_one_to_ten():
    assert expected_score({"1": 1.0}) == 1
    assert expected_score({"9": 1.0}) == 10
    assert expected_score({"1": 0.5, "9": 0.5}) == 5.5


async def test_an_expected_judge_reads_probabilities_and_writes_nothing():
    def weigh(call):
        return {**LOGPROBS, "9" if answer_of(call) == "b" else "1": -0.01}

    model = Weigher(sample=["a", "b", "c"], judge=weigh)
    row = await play(model, judge_form="expected", reward="accept", tools=[exact, about])
    low, high, _ = (j.score for j in row.rounds[0].judgments)
    assert (row.pair.chosen, row.outcome, row.reward) == ("b", "accepted", 10)
    assert low < 1.1
    assert high > 9.9
    assert {call.role for call in model.calls} == {"sample", "judge"}
    assert all(call.settings["options"] == DIGITS for call in model.asked("judge"))


async def test_an_expected_judge_sees_the_evidence_about_its_candidate():
    model = Weigher(sample=["a", "b", "c"], judge=LOGPROBS)
    row = await play(model, judge_form="expected", reward="accept", tools=[exact, about], max_rounds=1)
    assert [choice.tool for choice in row.rounds[0].selected] == ["exact", "about"]
    for call in model.asked("judge"):
        assert f"Context:\n[about] two and two make four\n[exact] {answer_of(call)} was checked\n" in call.user
    assert "[exact about answer 2] b was checked" in row.rounds[0].context


async def test_without_evidence_there_is_no_context():
    model = Weigher(sample=["a", "b", "c"], judge=LOGPROBS)
    await play(model, judge_form="expected", reward="accept", max_rounds=1)
    assert "Context" not in model.asked("judge")[0].user
    assert "one digit" in model.asked("judge")[0].system


async def test_an_expected_judge_rates_pairs_by_probabilities_too():
    sure = LOGPROBS | {"9": 0.0}
    scores = iter([sure, LOGPROBS, LOGPROBS])
    model = Weigher(judge=lambda call: next(scores), reward=sure)
    row = await play(model, judge_form="expected", max_rounds=1, tools=[])
    assert row.outcome == "accepted"
    assert row.reward == pytest.approx(10, abs=0.01)
    assert "likeliest 9" in row.rounds[0].feedback
    [asked] = model.asked("reward")
    assert "one digit" in asked.system
    assert "Positive response:" in asked.user


def test_only_the_judges_own_model_rates_without_writing():
    settings = load_settings(judge_form="expected", tools=())[0]
    weigher, writer = Weigher(), Scripted()
    assert type(assemble(settings, target=writer, judge=weigher).reward) is ExpectedReward
    assert type(assemble(settings, target=writer, judge=weigher, reward=writer).reward) is ChatReward


async def test_several_passes_of_an_expected_judge_are_refused():
    with pytest.raises(SettingsError, match="scores the same each time"):
        await play(Weigher(), judge_form="expected", judge_passes=2)


def test_an_expected_judge_is_played_again_from_the_folder(tmp_path):
    """The second run has the first one's answers: a killed run asks nothing twice."""

    def settings():
        return load_settings(tools=(), candidates=3, max_rounds=1, judge_form="expected")[0]

    def run(model):
        return Synthesis(settings(), tmp_path / "run", assemble(settings(), target=model, judge=model, reward=model))

    def weigh(call):
        return {**LOGPROBS, "9" if answer_of(call) == "b" else "1": -0.01}

    broken = Weigher(sample=["a", "b", "c"], judge=weigh, reward=OSError())
    run(broken).play([a_task()])
    again = Weigher(sample=AssertionError(), judge=lambda call: AssertionError(), reward=LOGPROBS | {"9": 0.0})
    rows = []
    run(again).play([a_task()], rows.append)
    assert rows[0].outcome == "accepted", rows[0].reason
    assert not again.asked("judge")
    assert rows[0].pair.chosen == "b"
