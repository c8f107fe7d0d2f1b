import pytest

from anyprefer.graph.errors import TrainingError
from anyprefer.training.evaluate import EvalResult
from anyprefer.training.gate import at_least, judged


def marked(marks):
    """A result of the tasks '0', '1', … with a mark each: 1 right, 0 wrong, - unscored."""
    right = {str(task): mark == "1" for task, mark in enumerate(marks) if mark != "-"}
    return EvalResult(
        model="m", n=len(right), correct=sum(right.values()), marks=right, seed=0, temperature=0.0, max_tokens=8
    )


def test_chances_of_a_fair_coin():
    assert at_least(0, 0) == 1
    assert at_least(5, 5) == 1 / 32
    assert at_least(6, 7) == pytest.approx(8 / 128)
    assert at_least(0, 2000) == 1


def test_a_loss_that_chance_explains_is_adopted_and_one_more_task_is_not():
    five = judged({"held": marked("1111111111")}, {"held": marked("0000011111")})
    assert (five.adopted, five.lost, five.gained, five.n, five.reason) == (True, 5, 0, 10, "")
    six = judged({"held": marked("1111111111")}, {"held": marked("0000001111")})
    assert (six.adopted, six.p) == (False, 1 / 64)
    assert "from 100.0% to 40.0% (6 tasks lost, 0 gained, n = 10" in six.reason


def test_a_gain_however_large_is_adopted():
    assert judged({"held": marked("0" * 50)}, {"held": marked("1" * 50)}).adopted


def test_sets_are_pooled_and_kept_apart_by_name():
    before = {"one": marked("1111"), "two": marked("1100")}
    after = {"one": marked("0000"), "two": marked("0011")}
    verdict = judged(before, after)
    assert (verdict.lost, verdict.gained, verdict.n) == (6, 2, 8)
    assert verdict.adopted


def test_only_tasks_marked_on_both_sides_count():
    verdict = judged({"held": marked("11-1")}, {"held": marked("0-11"), "new": marked("0000")})
    assert (verdict.n, verdict.lost, verdict.gained) == (2, 1, 0)


def test_nothing_to_compare_is_named_with_the_mend():
    with pytest.raises(TrainingError, match="--no-gate"):
        judged({"held": marked("1")}, {"held": marked("-")})
