"""Figures that are ratios of sums: their values by hand, their intervals against known standard errors."""

import json
import math

import numpy as np
import pytest

from anyprefer.core.errors import InputError
from anyprefer.core.results import EvalResult, Metric, Ratio, ratio, wilson
from anyprefer.training.evaluation.figures import figure, figure_change, figures
from anyprefer.training.evaluation.statistics import metric_difference, metric_over_tasks, paired_difference
from anyprefer.training.loop.iterate import Iteration
from anyprefer.training.loop.report import table

CHAIR = ratio("wrong", "mentions", better="lower")
F1 = Metric(parts=(Ratio(above={"right": 2}, below={"mentions": 1, "gold": 1}),))
LENGTH = ratio("mentions", "captions", better="neither", highest=None)


def result(*tallies, **values):
    counted = {f"t{number}": tally for number, tally in enumerate(tallies)}
    return EvalResult(
        model="m", n=len(tallies), correct=0, tallies=counted, metrics={"CHAIR-i": CHAIR, "F1": F1}, **values
    )


SCENES = (
    {"mentions": 3, "wrong": 1, "right": 2, "gold": 2},
    {"mentions": 5, "wrong": 3, "right": 2, "gold": 4},
)


def test_figures_are_ratios_of_sums_not_means_of_ratios():
    found = result(*SCENES)
    assert found.value("CHAIR-i") == 4 / 8
    assert found.value("F1") == 8 / 14
    assert math.isnan(result({"mentions": 0, "wrong": 0}).value("CHAIR-i"))
    both = Metric(
        parts=(Ratio(above={"right": 50}, below={"gold": 1}), Ratio(above={"wrong": 50}, below={"mentions": 1}))
    )
    assert both.value({"right": 4, "gold": 6, "wrong": 4, "mentions": 8}) == pytest.approx(100 / 3 + 25)


def test_tallies_survive_the_file_and_old_files_are_read():
    found = result(*SCENES, groups={"t0": "scene", "t1": "scene"})
    saved = json.loads(found.model_dump_json())
    assert EvalResult.model_validate(saved) == found
    for name in ("tallies", "metrics", "groups"):
        del saved[name]
    old = EvalResult.model_validate(saved)
    assert (old.tallies, old.metrics, figures(old)) == ({}, {}, {})


def test_a_share_of_sums_has_the_standard_error_of_its_tasks():
    """100 tasks with 4 mentions each, all wrong or all right: as uncertain as 100 coins, standard error 0.05."""
    tallies = {str(n): {"mentions": 4, "wrong": 4 * (n % 2)} for n in range(100)}
    found = metric_over_tasks([tallies], CHAIR)
    assert (found.mean, found.n) == (0.5, 100)
    assert found.high - found.low == pytest.approx(2 * 1.98 * 0.05, rel=0.1)


def test_tasks_of_one_image_are_drawn_together():
    """The same 100 tasks as 25 images of 4: as uncertain as 25 coins, standard error 0.1."""
    tallies = {str(n): {"mentions": 4, "wrong": 4 * (n // 4 % 2)} for n in range(100)}
    found = metric_over_tasks([tallies], CHAIR, {str(n): f"image-{n // 4}" for n in range(100)})
    assert found.n == 25
    assert found.high - found.low == pytest.approx(2 * 2.06 * 0.1, rel=0.1)


def test_a_difference_of_marks_is_the_same_whether_marked_or_tallied():
    rng = np.random.default_rng(0)
    before, after = rng.random((3, 80)) < 0.5, rng.random((3, 80)) < 0.6
    tallied = [
        [{f"{n:03}": {"right": int(m), "of": 1} for n, m in enumerate(one)} for one in arm] for arm in (before, after)
    ]
    found = metric_difference(*tallied, ratio("right", "of"))
    wanted = paired_difference(before.tolist(), after.tolist())
    assert (found.mean, found.tasks, found.by_seed) == (pytest.approx(wanted.mean), 80, pytest.approx(wanted.by_seed))
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=0.02)
    assert found.p == pytest.approx(wanted.p, abs=0.05)


def test_the_pairing_makes_a_difference_certain_that_levels_do_not():
    """Every caption has one wrong mention fewer of four, whatever it had before."""
    rng = np.random.default_rng(1)
    wrong = rng.integers(1, 5, 60)
    before = {str(n): {"mentions": 4, "wrong": int(w)} for n, w in enumerate(wrong)}
    after = {task: {**tally, "wrong": tally["wrong"] - 1} for task, tally in before.items()}
    found = metric_difference([before], [after], CHAIR)
    assert found.mean == pytest.approx(-0.25)
    assert found.high < -0.15


def test_seeds_that_differ_widen_the_interval_of_a_figure():
    def seed(wrong):
        return {str(n): {"mentions": 2, "wrong": wrong} for n in range(50)}

    alike, apart = (metric_over_tasks([seed(w) for w in some], CHAIR) for some in ((1, 1, 1), (0, 1, 2)))
    assert alike.mean == apart.mean == 0.5
    assert (apart.low, apart.high) == (0, 1)
    assert alike.high - alike.low < 0.1


def test_what_cannot_vary_has_wilsons_room_and_no_mention_is_undefined():
    clean = {str(n): {"mentions": 3, "wrong": 0, "captions": 1} for n in range(40)}
    found = metric_over_tasks([clean], CHAIR)
    assert (found.low, found.high) == pytest.approx((0, wilson(0, 40)[1]))
    same = metric_difference([clean], [clean], CHAIR)
    assert (same.mean, same.p) == (0, 1)
    assert same.high == pytest.approx(wilson(0, 40)[1])
    length = metric_over_tasks([clean], LENGTH)
    assert (length.mean, length.low, length.high) == (3, 3, 3)
    silent = metric_over_tasks([{"a": {"mentions": 0}}], CHAIR)
    assert math.isnan(silent.mean)
    assert (silent.low, silent.high) == (0, 1)


def test_tasks_that_have_no_part_in_a_figure_make_it_no_more_certain():
    kinds = ("carrot", "spoon", "stack", "eggplant")
    told = {f"{kind}-{at}": {f"success {kind}": 1, f"trials {kind}": 1} for kind in kinds for at in range(50)}
    found = metric_over_tasks([told], ratio("success carrot", "trials carrot"))
    assert (found.n, found.mean, found.low, found.high) == pytest.approx((50, 1, wilson(50, 50)[0], 1))


def test_a_sum_over_sets_that_share_no_task():
    """Each task is of one of two sets, as in POPE and MME: all right is 1, with Wilson's room below."""
    mean = Metric(parts=tuple(Ratio(above={f"{s} right": 0.5}, below={f"{s} of": 1}) for s in "ab"))
    tallies = {f"{s}{n}": {f"{s} right": 1, f"{s} of": 1} for s in "ab" for n in range(20)}
    found = metric_over_tasks([tallies], mean)
    assert (found.mean, found.low, found.high) == pytest.approx((1, wilson(40, 40)[0], 1))
    tallies["a0"] = {"a right": 0, "a of": 1}
    assert metric_over_tasks([tallies], mean).mean == pytest.approx(0.975)


def test_tallies_that_do_not_pair_are_refused():
    with pytest.raises(InputError, match="no task was counted"):
        metric_over_tasks([{"a": {}}, {"b": {}}], CHAIR)
    with pytest.raises(InputError, match="cannot be paired"):
        metric_difference([{"a": {}}], [{"a": {}}, {"a": {}}], CHAIR)


def test_figures_in_words():
    found = result(*[{"mentions": 4, "wrong": n % 2, "right": 3, "gold": 4} for n in range(30)])
    assert figure(found, "CHAIR-i").startswith("12.5% [")
    better = result(*[{"mentions": 4, "wrong": 0, "right": 3, "gold": 4} for _ in range(30)])
    assert figure_change(found, better, "CHAIR-i") == "-12.5 points, better beyond the interval"
    assert figure_change(better, found, "CHAIR-i") == "+12.5 points, worse beyond the interval"
    assert figure_change(found, found, "F1") == "+0.0 points, within the interval"
    assert figure(found, "recall") == "not counted"
    long = found.model_copy(update={"metrics": {"mentions": LENGTH}})
    assert figure(long, "mentions") == "undefined"


def test_the_report_of_a_loop_shows_them_under_their_family():
    before = result(*[{"mentions": 4, "wrong": n % 2, "right": 3, "gold": 4} for n in range(30)])
    after = result(*[{"mentions": 4, "wrong": 0, "right": 3, "gold": 4} for _ in range(30)])
    rows = table([Iteration(0, "a", {}, {"scenes": before}), Iteration(1, "b", {}, {"scenes": after})])
    assert [row[0] for row in rows] == ["family", "scenes (n = 30)", "scenes: CHAIR-i (lower is better)", "scenes: F1"]
    assert rows[2][-1] == "-12.5 points, better beyond the interval"
