import numpy as np
import pytest

from benchmarks.cost_judge import VARIANTS, Played, auc, frozen, shown, table, tracks_of, within
from tests.carried import ENDS, carried


def played(start, *ends):
    return [Played(start, "mujoco:carrot", 1, carried(end)) for end in ends]


def test_the_auc_is_the_chance_that_a_success_costs_less():
    succeeded = np.array([True, False, True, False])
    assert auc(np.array([1.0, 2.0, 1.5, 3.0]), succeeded) == 1
    assert auc(np.array([3.0, 2.0, 2.5, 1.0]), succeeded) == 0
    assert auc(np.array([1.0, 2.0, 3.0, 4.0]), succeeded) == 0.75
    assert auc(np.ones(4), succeeded) == 0.5


def test_only_starts_with_both_are_compared():
    given = [*played("a", *ENDS), *played("b", "placed", "placed"), *played("c", "never touched")]
    assert within(given, np.arange(len(given), dtype=float)).tolist() == [1]


def test_the_table_tells_tracked_from_frozen_keypoints():
    given = [*played("a", *ENDS), *played("b", *ENDS[::-1])]
    rows = {row["judge"]: row for row in table(given)}
    assert rows.keys() == VARIANTS.keys()
    assert rows["tracked poses, 3 stages"]["within"] == 1
    assert rows["keypoints frozen at the first frame"]["within"] < 1
    assert shown(given, list(rows.values())).startswith("8 trajectories of 2 start states, success 0.250; 2 starts")


def test_noise_is_of_the_trajectory_and_frozen_keypoints_do_not_move():
    [one, other] = played("a", *ENDS[:2])
    assert np.array_equal(tracks_of(one, 0.015).points["carrot"], tracks_of(one, 0.015).points["carrot"])
    noise = [tracks_of(each, 0.015).points["plate"] - tracks_of(each).points["plate"] for each in (one, other)]
    assert not np.array_equal(*noise)
    assert noise[0].std() == pytest.approx(0.015, rel=0.4)
    assert np.ptp(frozen(tracks_of(one)).points["carrot"], axis=0).tolist() == [0, 0, 0]
