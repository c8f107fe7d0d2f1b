import pytest

from anyprefer.core.errors import AnswerError
from anyprefer.nodes.scores.blocks import score_value
from anyprefer.nodes.scores.found_json import Unclear, all_json
from anyprefer.nodes.scores.parsing import read_score


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('So: [{"tool": "a"}] done', [[{"tool": "a"}]]),
        ('a [broken and then ["x", 2], {"b": 1}', [["x", 2], {"b": 1}]),
        ('{"a": {"b": [1]}}', [{"a": {"b": [1]}}]),
        ('["a",\n]', [["a"]]),
        ("nothing", []),
    ],
)
def test_json_is_found_in_prose(text, found):
    assert [one.value for one in all_json(text)] == found


def test_a_text_of_beginnings_is_not_read():
    with pytest.raises(Unclear):
        list(all_json("[" * 2_000))


@pytest.mark.parametrize(
    ("value", "score"),
    [(1, 1.0), (10, 10.0), (7.5, 7.5), *((odd, None) for odd in (0, 11, -3, 0.99, "7", None, True, [7], float("nan")))],
)
def test_a_score_is_a_number_from_1_to_10(value, score):
    assert score_value(value) == score


@pytest.mark.parametrize(
    ("text", "score"),
    [("Good. 7/10", 7), ("**8 / 10**", 8), ("first 3/10, finally 9/10.", 9), ("7.5/10", 7.5), ("score: 10/10!", 10)],
)
def test_the_last_score_out_of_ten_counts(text, score):
    assert read_score(text) == score


@pytest.mark.parametrize("text", ["great", "8", "8/100", "12/10", "0/10", "-3/10", "8/10.5", "a ratio of 7:10"])
def test_an_answer_without_a_score_out_of_ten_raises(text):
    with pytest.raises(AnswerError) as caught:
        read_score(text)
    assert caught.value.text == text
