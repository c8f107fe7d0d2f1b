import math

import pytest

from anyprefer.graph.errors import InputError
from anyprefer.training.analysis.statistics import correlate, mcnemar, mean_over_seeds, paired_difference


def test_the_t_interval_against_a_known_value():
    """t(0.975, 2) = 4.30265; 10, 12, 14 have standard deviation 2."""
    found = mean_over_seeds([10, 12, 14])
    half = 4.30265 * 2 / math.sqrt(3)
    assert (found.mean, found.low, found.high) == pytest.approx((12, 12 - half, 12 + half), abs=1e-4)
    assert mean_over_seeds([0.5]).high == math.inf
    with pytest.raises(InputError, match="no values"):
        mean_over_seeds([])


def test_mcnemar_against_the_binomial():
    """Ten disagreements, one for a and nine for b: 2 (C(10,0) + C(10,1)) / 2^10 = 22/1024."""
    a = [True] * 20 + [True] + [False] * 9
    b = [True] * 20 + [False] + [True] * 9
    found = mcnemar(a, b)
    assert (found.only_a, found.only_b, found.p) == (1, 9, pytest.approx(22 / 1024))
    assert mcnemar(a, a).p == 1


def test_a_paired_difference_has_the_direction_and_width_of_its_tasks():
    """60 of 100 tasks change nothing, 30 turn right and 10 wrong: mean 0.2, standard error sqrt(0.36)/10 = 0.06."""
    a = [True] * 30 + [False] * 30 + [False] * 30 + [True] * 10
    b = [True] * 30 + [False] * 30 + [True] * 30 + [False] * 10
    found = paired_difference([a], [b])
    assert (found.mean, found.tasks, found.seeds) == (pytest.approx(0.2), 100, 1)
    assert (found.low, found.high) == pytest.approx((0.2 - 1.96 * 0.06, 0.2 + 1.96 * 0.06), abs=0.015)
    assert found.p == pytest.approx(mcnemar(a, b).p, abs=0.002)
    assert paired_difference([b], [a]).mean == pytest.approx(-0.2)


def test_repeating_the_same_marks_as_more_seeds_adds_no_certainty():
    a, b = [False, True, False, True] * 10, [True, True, False, False, True] * 8
    once, thrice = paired_difference([a], [b]), paired_difference([a] * 3, [b] * 3)
    assert (once.low, once.high, once.p) == pytest.approx((thrice.low, thrice.high, thrice.p))
    assert thrice.seeds == 3


def test_no_difference_is_no_difference():
    found = paired_difference([[True, False, True]], [[True, False, True]])
    assert (found.mean, found.low, found.high, found.p) == (0, 0, 0, 1)


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
