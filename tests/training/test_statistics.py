import math

import numpy as np
import pytest

from anyprefer.core.errors import InputError
from anyprefer.core.results import wilson
from anyprefer.training.evaluation.statistics import (
    at_least,
    correlate,
    exp_of_ratio,
    holm,
    mean_over_seeds,
    mean_over_tasks,
    paired_difference,
    share,
)


def test_the_t_interval_against_a_known_value():
    """t(0.975, 2) = 4.30265; 10, 12, 14 have standard deviation 2."""
    found = mean_over_seeds([10, 12, 14])
    half = 4.30265 * 2 / math.sqrt(3)
    assert (found.mean, found.low, found.high) == pytest.approx((12, 12 - half, 12 + half), abs=1e-4)
    assert mean_over_seeds([0.5]).high == math.inf
    with pytest.raises(InputError, match="no values"):
        mean_over_seeds([])


def test_losses_against_the_binomial():
    """Ten tasks changed, nine of them lost: (C(10,0) + C(10,1)) / 2^10 = 11/1024."""
    assert at_least(9, 10) == pytest.approx(11 / 1024)
    assert at_least(6, 7) == pytest.approx(8 / 128)
    assert at_least(0, 0) == at_least(0, 2000) == 1


def test_holm_against_a_worked_example():
    """Holm (1979): 0.01, 0.04, 0.03, 0.005 of four tests become 0.03, 0.06, 0.06, 0.02."""
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert adjusted == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert holm({"a": 0.7, "b": 0.6}) == {"a": 1.0, "b": 1.0}


def test_a_paired_difference_has_the_direction_and_width_of_its_tasks():
    """60 of 100 tasks change nothing, 30 turn right and 10 wrong: mean 0.2, standard error sqrt(0.36)/10 = 0.06."""
    a = [True] * 30 + [False] * 30 + [False] * 30 + [True] * 10
    b = [True] * 30 + [False] * 30 + [True] * 30 + [False] * 10
    found = paired_difference([a], [b])
    assert (found.mean, found.tasks, found.seeds) == (pytest.approx(0.2), 100, 1)
    assert (found.low, found.high) == pytest.approx((0.2 - 1.98 * 0.06, 0.2 + 1.98 * 0.06), abs=0.01)
    assert found.p == pytest.approx(2 * at_least(30, 40), abs=0.002)
    assert paired_difference([b], [a]).mean == pytest.approx(-0.2)


def changed(accuracy, differences, tasks=200, seed=0):
    """(marks before, marks after): seeds of this accuracy, each moved by as many points as its difference."""
    rng = np.random.default_rng(seed)
    before, after = [], []
    for difference in differences:
        marks = rng.permutation([True] * round(accuracy * tasks) + [False] * (tasks - round(accuracy * tasks)))
        moved = marks.copy()
        moved[rng.choice(np.flatnonzero(marks != (difference > 0)), round(abs(difference) * tasks / 100), False)] ^= (
            True
        )
        before.append(marks.tolist())
        after.append(moved.tolist())
    return before, after


def test_one_broken_seed_of_three_is_no_difference():
    """-20, +1, +1: Student's interval over the three seeds is -6 ± 30."""
    found = paired_difference(*changed(0.55, (-20, 1, 1)))
    assert found.by_seed == pytest.approx((-0.2, 0.01, 0.01))
    over_seeds = mean_over_seeds(found.by_seed)
    assert (found.low, found.high) == pytest.approx((over_seeds.low, over_seeds.high), abs=0.02)
    assert found.p > 0.3
    assert not found.starred


def test_a_difference_is_starred_from_five_seeds_that_agree():
    few, many, split = (paired_difference(*changed(0.4, points)) for points in ([9] * 4, [9] * 5, [30, 30, -2, -2, -2]))
    assert few.low > 0
    assert not few.starred
    assert many.low > 0
    assert many.starred
    assert split.low < 0 < split.mean
    assert not split.starred


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """Five seeds, models that differ by 15 points between seeds, no difference in the mean: 95 of 100 times."""
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        easy = rng.uniform(0.3, 0.7, (1, 100))
        before = rng.random((5, 100)) < easy
        after = rng.random((5, 100)) < easy + rng.normal(0, 0.15, (5, 1))
        found = paired_difference(before.tolist(), after.tolist())
        held += found.low <= 0 <= found.high
    assert held >= 184


def test_the_same_model_under_several_seeds_is_as_uncertain_as_one():
    marks = [[task % 4 == 0 for task in range(80)]]
    for found in (mean_over_tasks(marks), mean_over_tasks(marks * 3)):
        assert (found.mean, found.low, found.high) == (0.25, *wilson(20, 80))


def test_seeds_that_differ_widen_the_interval_of_an_accuracy():
    spread = [[task < right for task in range(100)] for right in (20, 50, 80)]
    found = mean_over_tasks(spread)
    assert found.mean == pytest.approx(0.5)
    assert (found.low, found.high) == (0, 1)


@pytest.mark.parametrize("n", [1, 5, 20])
def test_tasks_that_all_came_to_the_same_leave_room_for_others(n):
    all_right, none_right, half_right = share([1] * n, [1] * n), share([0] * n, [3] * n), share([1] * n, [2] * n)
    assert (all_right.low, all_right.high) == pytest.approx(wilson(n, n))
    assert (none_right.low, none_right.high) == pytest.approx(wilson(0, n))
    assert half_right.low < 0.5 < half_right.high
    same = paired_difference([[True] * n], [[True] * n])
    assert (same.mean, same.p) == (0, 1)
    assert (same.low, same.high) == pytest.approx((-wilson(0, n)[1], wilson(0, n)[1]))


def test_a_seed_without_any_pair_counts_for_nothing():
    assert share([1, 0, 0], [2, 1, 0], ["a", "b", "c"]) == share([1, 0], [2, 1], ["a", "b"])
    with pytest.raises(InputError, match="no pairs"):
        share([0], [0])


def test_a_share_is_over_tasks_and_over_the_seeds_they_were_played_under():
    """Four pairs a task that stand or fall together are as uncertain as one: sd of a mean of 100 coins is 0.05."""
    won = [4.0, 0.0] * 50
    alone = share(won, [4] * 100)
    assert alone.high - alone.low == pytest.approx(2 * 1.98 * 0.05, rel=0.1)
    apart = share(sorted(won), [4] * 100, seeds=[0] * 50 + [1] * 50)  # all lost under one seed, all won under the other
    assert (apart.mean, apart.low, apart.high) == (0.5, 0, 1)
    with pytest.raises(InputError, match="no pairs"):
        share([], [])


def test_a_perplexity_is_over_texts_and_seeds():
    tokens = [10.0] * 50
    nats = [[10.0 + text % 5 for text in range(50)]]
    one = exp_of_ratio(nats, tokens)
    assert one.mean == pytest.approx(math.exp(1.2))
    assert one.low < one.mean < one.high
    apart = exp_of_ratio([nats[0], [2 * value for value in nats[0]]], tokens)
    assert apart.high - apart.low > 5 * (one.high - one.low)
    assert exp_of_ratio([[0.0] * 50], tokens).high == 1


def test_marks_that_do_not_pair_are_refused():
    with pytest.raises(InputError, match="cannot be paired"):
        paired_difference([[True, False]], [[True]])
    with pytest.raises(InputError, match="one vector a seed"):
        paired_difference([[True], [True, False]], [[True], [True, False]])


def test_correlations_against_known_values():
    """Anscombe's first set: r = 0.816; its Spearman 0.818."""
    x = [10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5]
    y = [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68]
    found = correlate(x, y)
    assert (found.pearson, found.spearman) == pytest.approx((0.816, 0.818), abs=1e-3)
    assert found.pearson_p == pytest.approx(0.00217, abs=1e-5)
    assert "cannot establish" not in found.words


def test_three_points_are_called_what_they_are():
    found = correlate([7.1, 7.9, 8.4], [38.1, 39.0, 41.3])
    assert found.spearman == pytest.approx(1)
    assert found.spearman_p == pytest.approx(2 / 6)
    assert "3 points cannot establish a correlation: even a perfect order has p = 0.33" in found.words
    assert "undefined" in correlate([8, 8, 8], [1, 2, 3]).words
    with pytest.raises(InputError, match="from 3 on"):
        correlate([1, 2], [1, 2])
    with pytest.raises(InputError, match="finite"):
        correlate([1, 2, math.nan], [1, 2, 3])
