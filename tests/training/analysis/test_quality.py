import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from anyprefer.core.errors import AnswerError, InputError, ModelSetupError
from anyprefer.core.settings import Settings
from anyprefer.core.values import derive_seed
from anyprefer.nodes.prompt_texts import Fence
from anyprefer.training.analysis.quality import (
    DIFFICULTIES,
    SATISFACTIONS,
    Rating,
    by_model,
    by_reference,
    by_reward,
    difficulty,
    parse_quality,
    rate_all,
    satisfaction,
    shares,
)
from anyprefer.training.pair_data.any_data_set import Sample
from tests.scripted import Scripted, a_task

SUM = Sample(a_task("What is 2 + 2?", reference="4"), "4", "It is 5", 4.5, candidates=("4", "It is 5", "6", "four: 4"))
ANSWER = "The first is right.\nChosen: correct\nRejected: incorrect\nDifficulty: very easy"


class Asked(GenericFakeChatModel):
    seen: list = []  # noqa: RUF012  a pydantic field

    def _generate(self, messages, *args, **kwargs):
        self.seen.append(messages[-1].content)
        return super()._generate(messages, *args, **kwargs)


def saying(*answers):
    return Asked(messages=iter(AIMessage(text) for text in answers), seen=[])


@pytest.mark.parametrize(
    ("chosen", "rejected", "level"),
    [(True, False, "satisfied"), (True, True, "okay"), (False, False, "okay"), (False, True, "dissatisfied")],
)
def test_satisfaction(chosen, rejected, level):
    assert satisfaction(chosen, rejected) == level


@pytest.mark.parametrize(
    ("margin", "wrong", "level"),
    [
        (9, 0, "very easy"),
        (9, 0.8, "easy"),
        (4.5, 0.5, "medium"),
        (1, 0.9, "hard"),
        (0, 1, "hard"),
        (8, None, "very easy"),
        (None, 0.7, "medium"),
        (None, None, None),
    ],
)
def test_difficulty_is_the_mean_of_closeness_and_missed_candidates(margin, wrong, level):
    assert difficulty(margin, wrong) == level


def test_a_margin_of_another_scale_is_refused():
    with pytest.raises(InputError, match=r"margin 12 is not on the scale"):
        difficulty(12, 0.5)


def test_references_mark_a_pair_and_its_candidates():
    assert by_reference(SUM) == Rating("t", "satisfied", "medium")
    swapped = Sample(SUM.task, SUM.rejected, SUM.chosen, 9.0, candidates=SUM.candidates)
    assert by_reference(swapped) == Rating("t", "dissatisfied", "easy")
    assert by_reference(Sample(a_task(), "4", "5")).error == "the task has no reference"
    cost = Sample(SUM.task, SUM.chosen, SUM.rejected, 120.0, candidates=SUM.candidates)
    assert by_reference(cost).difficulty == "medium"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (ANSWER, (True, False, "very easy")),
        ("**Chosen:** Incorrect\n- Rejected: correct.\nDifficulty: Hard", (False, True, "hard")),
    ],
)
def test_a_judges_three_lines_are_read(text, found):
    assert parse_quality(AIMessage(text)) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Chosen: correct\nRejected: incorrect",
        "Chosen: correct\nRejected: incorrect\nDifficulty: easy or medium",
        "Chosen: correct\nRejected: hard\nDifficulty: easy",
        "Chosen: correct or incorrect\nRejected: incorrect\nDifficulty: easy",
        f"{ANSWER}\nDifficulty: hard",
        "<think>\nChosen: correct\nRejected: incorrect\nDifficulty: easy\n</think>\nI am not sure.",
    ],
)
def test_what_a_judge_leaves_open_is_unrated(text):
    with pytest.raises(AnswerError, match="one line each"):
        parse_quality(AIMessage(text))


@pytest.mark.parametrize("filler", ["\n", " ", "*", "chosen:", "chosen: \n", "difficulty"])
def test_lines_are_read_in_linear_time(filler):
    with pytest.raises(AnswerError):
        parse_quality(AIMessage(filler * 100_000))


async def test_a_model_rates_each_pair_alone_and_a_bad_answer_is_asked_again():
    model = saying("no idea", ANSWER)
    [rating] = await rate_all([SUM], by_model(model, Settings(task_field="sums {query}")))
    assert rating == Rating("t", "satisfied", "very easy")
    assert "expert in sums {query}." in model.seen[0]
    fence = Fence(derive_seed(0, "t", "quality"), ["What is 2 + 2?", "4", "It is 5"])
    assert fence.around("Chosen response:\n", "4") in model.seen[0]
    assert fence.around("Rejected response:\n", "It is 5") in model.seen[0]
    assert fence.fill("{notice}", {}) in model.seen[0]


async def test_a_pair_a_model_fails_on_keeps_its_place():
    ratings = await rate_all([SUM, SUM], by_model(saying(ANSWER, "no idea", "none"), Settings()))
    assert ratings[0].satisfaction == "satisfied"
    assert ratings[1].satisfaction is None
    assert ratings[1].error.startswith("AnswerError: ")


async def test_a_model_that_cannot_be_used_stops():
    async def rate(sample):
        raise ModelSetupError("no key")

    with pytest.raises(ModelSetupError):
        await rate_all([SUM], rate)


async def test_scores_come_from_the_reward_prompt():
    model = Scripted(reward=["Fine. 7/10", "none", "none"])
    ratings = await rate_all([SUM, SUM], by_reward(model, Settings()))
    assert ratings[0] == Rating("t", score=7)
    assert ratings[1].score is None
    assert "Positive response:\n4" in model.asked("reward")[0].user


def test_shares_leave_unrated_pairs_out():
    values = ["easy", None, "hard", "hard"]
    assert shares(values, DIFFICULTIES) == {"very easy": (0, 3), "easy": (1, 3), "medium": (0, 3), "hard": (2, 3)}
    assert shares([], SATISFACTIONS)["okay"] == (0, 0)
