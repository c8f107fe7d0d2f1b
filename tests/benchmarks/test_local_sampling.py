"""The benchmark of local sampling has something to ask."""

from benchmarks.local_sampling import questions


def test_questions_are_as_many_as_asked_for_and_of_both_kinds():
    asked = questions(7)
    assert len(asked) == len(set(asked)) == 7
    assert 0 < sum("+" in one or "plus" in one for one in asked) < 7
