import pytest

from anyprefer.core.errors import AnswerError
from anyprefer.nodes.found_json import find_json
from anyprefer.nodes.parsing import last_out_of_ten, score_of


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ('So: [{"tool": "a"}] done', list, [{"tool": "a"}]),
        ("a [broken and then [1, 2]", list, [1, 2]),
        ('{"a": {"b": [1]}}', dict, {"a": {"b": [1]}}),
        ('{"list": [3]}', list, [3]),
        ("nothing", dict, None),
        ("[" * 2_000, list, None),
    ],
)
def test_finds_the_first_json_value_of_its_kind(text, kind, found):
    assert find_json(text, kind) == found


@pytest.mark.parametrize("value", [0, 11, -3, 0.99, "7", None, True, [7], float("nan")])
def test_what_is_no_score_from_1_to_10_raises(value):
    with pytest.raises(AnswerError, match="from 1 to 10") as caught:
        score_of(value, "the whole answer")
    assert caught.value.text == "the whole answer"


@pytest.mark.parametrize(("value", "score"), [(1, 1.0), (10, 10.0), (7.5, 7.5)])
def test_scores_in_range_pass(value, score):
    assert score_of(value, "") == score


@pytest.mark.parametrize(
    ("text", "score"),
    [("Good. 7/10", 7), ("**8 / 10**", 8), ("first 3/10, finally 9/10.", 9), ("7.5/10", 7.5), ("score: 10/10!", 10)],
)
def test_the_last_score_out_of_ten_counts(text, score):
    assert last_out_of_ten(text) == score


@pytest.mark.parametrize("text", ["great", "8", "8/100", "12/10", "0/10", "-3/10", "8/10.5", "a ratio of 7:10"])
def test_an_answer_without_a_score_out_of_ten_raises(text):
    with pytest.raises(AnswerError) as caught:
        last_out_of_ten(text)
    assert caught.value.text == text
