import pytest

from anyprefer.core.errors import TrainingError
from anyprefer.core.results import EvalResult
from anyprefer.training.loop.adoption import POOLED, judged


def marked(marks):
    """A result of the tasks '0', '1', … with a mark each: 1 right, 0 wrong, - unscored."""
    right = {str(task): mark == "1" for task, mark in enumerate(marks) if mark != "-"}
    return EvalResult(
        model="m", n=len(right), correct=sum(right.values()), marks=right, seed=0, temperature=0.0, max_tokens=8
    )


def test_a_loss_that_chance_explains_is_adopted_and_one_more_task_is_not():
    five = judged({"held": marked("1111111111")}, {"held": marked("0000011111")})
    assert (five.adopted, five.lost, five.gained, five.n, five.reason) == (True, 5, 0, 10, "")
    six = judged({"held": marked("1111111111")}, {"held": marked("0000001111")})
    assert (six.adopted, six.p) == (False, 1 / 64)
    assert "held fell from 100.0% to 40.0% (6 tasks lost, 0 gained, n = 10" in six.reason


def test_a_gain_however_large_is_adopted():
    assert judged({"held": marked("0" * 50)}, {"held": marked("1" * 50)}).adopted


def test_a_set_that_falls_is_refused_whatever_the_others_gain():
    before = {"sums": marked("1" * 40 + "0" * 160), "facts": marked("1" * 120 + "0" * 80)}
    after = {"sums": marked("1" * 140 + "0" * 60), "facts": marked("1" * 40 + "0" * 160)}
    verdict = judged(before, after)
    assert not verdict.adopted
    assert verdict.reason.startswith("facts fell from 60.0% to 20.0% (80 tasks lost, 0 gained, n = 200, p = ")
    assert "sums" not in verdict.reason
    assert (verdict.n, verdict.gained, verdict.lost) == (400, 100, 80)
    assert verdict.sets["sums"].p == 1
    assert verdict.sets[POOLED].p > 0.9


def test_several_sets_are_several_tests():
    """Six of six lost has p = 1/64, enough for one set; of two sets and their sum it is one of three tests."""
    fallen = ("1" * 10, "0" * 6 + "1" * 4)
    alone = judged({"a": marked(fallen[0])}, {"a": marked(fallen[1])})
    both = judged({"a": marked(fallen[0]), "b": marked("01" * 5)}, {"a": marked(fallen[1]), "b": marked("10" * 5)})
    assert not alone.adopted
    assert both.adopted
    assert both.p == both.sets["a"].adjusted == pytest.approx(3 / 64)
    together = judged({name: marked(fallen[0]) for name in "ab"}, {name: marked(fallen[1]) for name in "ab"})
    assert not together.adopted
    assert together.sets[POOLED].adjusted == pytest.approx(3 / 2**12)


def test_a_set_without_marks_of_the_same_tasks_is_named():
    verdict = judged({"a": marked("11"), "b": marked("1-")}, {"a": marked("11"), "b": marked("-1")})
    assert verdict.untested == ("b",)


def test_only_tasks_marked_on_both_sides_count():
    verdict = judged({"held": marked("11-1")}, {"held": marked("0-11"), "new": marked("0000")})
    assert (verdict.n, verdict.lost, verdict.gained) == (2, 1, 0)


def counted(marks, forms):
    """The same, with a tally that says which answers had the form that was asked for."""
    return marked(marks).model_copy(update={"tallies": {str(n): {"in_form": int(f)} for n, f in enumerate(forms)}})


def test_a_round_that_loses_the_short_answer_form_is_refused_though_no_mark_is_lost():
    before, after = counted("1" * 40, "1" * 40), counted("1" * 40, "0" * 8 + "1" * 32)
    verdict = judged({"pope": before}, {"pope": after})
    assert not verdict.adopted
    assert verdict.reason.startswith("pope in_form fell from 100.0% to 80.0% (8 tasks lost, 0 gained, n = 40, p = ")
    assert verdict.sets["pope in_form"].p == 1 / 2**8
    assert (verdict.n, verdict.lost) == (40, 0)


def test_a_form_that_was_never_kept_or_changes_within_chance_is_adopted():
    never = judged({"pope": counted("10" * 20, "0" * 40)}, {"pope": counted("10" * 20, "0" * 40)})
    some = judged({"pope": counted("10" * 20, "1" * 40)}, {"pope": counted("10" * 20, "0" * 3 + "1" * 37)})
    assert never.adopted
    assert some.adopted
    old = judged({"pope": marked("1" * 9)}, {"pope": counted("1" * 9, "0" * 9)})
    assert list(old.sets) == ["pope"]


def test_nothing_to_compare_is_named_with_the_mend():
    with pytest.raises(TrainingError, match="--no-gate"):
        judged({"held": marked("1")}, {"held": marked("-")})
