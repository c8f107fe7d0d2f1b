"""What is drawn, read back from the axes; how it looks only eyes can tell."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from anyprefer.training.analysis import plots
from anyprefer.training.analysis.plots import Point

SERIES = {"sums": [Point(0.1, 0.07, 0.15), None, Point(0.7, 0.6, 0.8)], "facts": [Point(0.3), Point(0.4), Point(0.5)]}
STEPS = ["before", "1", "2"]


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draws and returns the axes, which are otherwise closed."""

    def draw(function, *data, **values):
        kept = []
        with monkeypatch.context() as patch:
            patch.setattr(plt, "close", kept.append)
            function(tmp_path / "plot.png", *data, **values)
        assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
        plt.close(kept[0])
        return kept[0].axes

    return draw


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_bars_have_their_heights_intervals_and_numbers(drawn):
    [axes] = drawn(plots.bars, STEPS, SERIES, "accuracy")
    assert [round(bar.get_height(), 6) for bar in axes.patches] == [0.1, 0.7, 0.3, 0.4, 0.5]
    assert texts(axes) == ["10.0", "70.0", "30.0", "40.0", "50.0"]
    low, high = axes.collections[0].get_segments()[0][:, 1]
    assert (low, high) == pytest.approx((0.07, 0.15))
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["sums", "facts"]
    assert axes.get_ylim()[0] == 0


def test_long_names_wrap_and_squeeze_no_axes(drawn):
    long = {f"a name of a series that is long {number}": [Point(0.5)] for number in range(4)}
    [axes] = drawn(plots.bars, ["all"], long, "accuracy")
    assert axes.get_position().width > 0.8


def test_one_series_needs_no_legend_and_scores_are_no_shares(drawn):
    [axes] = drawn(plots.bars, ["a", "b"], {"score": [Point(7.25), Point(8)]}, "score", share=False)
    assert axes.get_legend() is None
    assert texts(axes) == ["7.2", "8.0"]


def test_lines_skip_what_was_not_measured(drawn):
    [axes] = drawn(plots.lines, STEPS, SERIES, "accuracy")
    sums, facts = axes.containers
    assert list(sums[0].get_ydata()) == [0.1, 0.7]
    assert list(facts[0].get_ydata()) == [0.3, 0.4, 0.5]
    assert sums[0].get_marker() != facts[0].get_marker()


def test_reward_stands_above_scores(drawn):
    above, below = drawn(plots.reward_and_score, STEPS, [None, Point(8.2), Point(9)], SERIES)
    assert list(above.containers[0][0].get_ydata()) == [8.2, 9]
    assert len(below.containers) == 2
    assert above.get_xlim() == below.get_xlim()


def test_clouds_keep_their_points(drawn):
    clouds = {"ours": np.arange(10).reshape(5, 2), "theirs": np.zeros((3, 2))}
    [axes] = drawn(plots.scatter, clouds)
    assert [len(cloud.get_offsets()) for cloud in axes.collections] == [5, 3]
    assert not len(axes.get_xticks())


def test_levels_add_up(drawn):
    shares = {"ours": {"satisfied": 0.8, "okay": 0.19, "dissatisfied": 0.01}}
    [axes] = drawn(plots.levels, {"satisfaction": shares})
    assert sum(bar.get_width() for bar in axes.patches) == pytest.approx(1)
    assert texts(axes) == ["80%", "19%", ""]
    assert axes.get_title(loc="left") == "satisfaction"
