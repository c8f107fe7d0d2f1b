"""Plots as PNG files, from plain data; readable at the width of a README, and for colour-blind eyes.

    bars(path, ["GSM8K", "ARC"], {"no tools": [Point(0.2, 0.1, 0.3), None], "tools": […]}, "accuracy")

Colours are Okabe and Ito's, and every series has a mark of its own too. Shares in 0..1 are shown as per cent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("Agg")  # no window, whatever the machine has
import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator, PercentFormatter

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
MARKS = ("o", "s", "^", "D", "v", "P", "X")
LEVELS = ("#CFE1F2", "#8FBFE0", "#4292C6", "#084594")
"""For ordered levels, light to dark."""
_GREY = "#555555"
_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _GREY,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#E5E5E5",
    "legend.frameon": False,
    "xtick.color": _GREY,
    "ytick.color": _GREY,
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "xtick.major.size": 0,
    "savefig.dpi": 150,
}


class Point(NamedTuple):
    """A value with its interval, where it has one."""

    value: float
    low: float | None = None
    high: float | None = None


Series = Mapping[str, Sequence[Point | None]]
"""By name, one point a place on the x axis; None where nothing was measured."""


def bars(path: Path, groups: Sequence[str], series: Series, label: str, share: bool = True) -> None:
    """Bars in groups with intervals (Tables 2 and 5, Figures 4 and 7b); a bar's number stands above it."""
    with _figure(path, (7.2, 3.4)) as axes:
        width = 0.8 / max(2, len(series))
        for at, (name, points) in enumerate(series.items()):
            places = [group + (at - (len(series) - 1) / 2) * width for group in range(len(groups))]
            there = [(x, point) for x, point in zip(places, points, strict=True) if point is not None]
            xs, values = [x for x, _ in there], [point.value for _, point in there]
            axes.bar(xs, values, 0.9 * width, color=COLOURS[at % len(COLOURS)], label=name)
            axes.errorbar(xs, values, yerr=_errors([p for _, p in there]), fmt="none", ecolor="black", capsize=2, lw=1)
            for x, point in there:
                text = f"{100 * point.value if share else point.value:.1f}"
                top = point.value if point.high is None else point.high
                axes.annotate(text, (x, top), (0, 2), textcoords="offset points", ha="center", va="bottom", fontsize=8)
        axes.set_xticks(range(len(groups)), groups)
        axes.set_ylim(0, 1.08 * axes.get_ylim()[1])
        _value_axis(axes, label, share)
        _legend(axes, len(series))


def lines(path: Path, steps: Sequence[str], series: Series, label: str, share: bool = True) -> None:
    """One line a series over iterations, with intervals (Figure 3)."""
    with _figure(path, (7.2, 3.4)) as axes:
        _lines(axes, steps, series, label, share)
        _legend(axes, len(series))


def reward_and_score(
    path: Path, steps: Sequence[str], rewards: Sequence[Point | None], scores: Series, label: str = "held-out accuracy"
) -> None:
    """The mean reward of each iteration's pairs above the scores of the target trained on them (Figure 5)."""
    with _figure(path, (7.2, 4.6), rows=2, sharex=True) as (above, below):
        _lines(above, steps, {"R": rewards}, "mean R (1 to 10)", share=False, colour=len(COLOURS) - 1)
        _lines(below, steps, scores, label)
        _legend(below, len(scores))


def scatter(path: Path, clouds: Mapping[str, Any]) -> None:
    """Data sets as clouds of (n, 2) points (Figure 6); the axes of t-SNE mean nothing, so they have no numbers."""
    with _figure(path, (7.2, 5.0)) as axes:
        for at, (name, points) in enumerate(clouds.items()):
            look = {"s": 12, "alpha": 0.6, "linewidths": 0, "marker": MARKS[at % len(MARKS)]}
            axes.scatter(points[:, 0], points[:, 1], color=COLOURS[at % len(COLOURS)], label=name, **look)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[["left", "bottom"]].set_visible(False)
        _legend(axes, max(2, len(clouds)), markerscale=2)


def levels(path: Path, panels: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    """Shares of ordered levels, a bar a data set and a panel a question (Figure 7a).

    `panels` is question → data set → level → share in 0..1.
    """
    rows = max(len(sets) for sets in panels.values())
    with _figure(path, (7.2, 0.9 + len(panels) * (0.7 + 0.38 * rows)), rows=len(panels)) as made:
        for axes, (title, sets) in zip([made] if len(panels) == 1 else made, panels.items(), strict=True):
            _stacked(axes, title, sets)


def _stacked(axes: Any, title: str, sets: Mapping[str, Mapping[str, float]]) -> None:
    names = list(next(iter(sets.values())))
    colours = LEVELS if len(names) == len(LEVELS) else LEVELS[1:]
    left = [0.0] * len(sets)
    for at, level in enumerate(names):
        shares = [shares[level] for shares in sets.values()]
        ink = "white" if at == len(names) - 1 else "black"
        drawn = axes.barh(list(sets), shares, 0.7, left=left, color=colours[at % len(colours)], label=level)
        axes.bar_label(
            drawn, [f"{s:.0%}" if s >= 0.03 else "" for s in shares], label_type="center", color=ink, fontsize=8
        )
        left = [start + share for start, share in zip(left, shares, strict=True)]
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xticks([])
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(length=0)
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold", pad=22)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=len(names), borderaxespad=0.2, handlelength=1, fontsize=9
    )


def _lines(axes: Any, steps: Sequence[str], series: Series, label: str, share: bool = True, colour: int = 0) -> None:
    for at, (name, points) in enumerate(series.items()):
        aside = (at - (len(series) - 1) / 2) * 0.05  # intervals side by side, not on each other
        there = [(x + aside, p) for x, p in enumerate(points) if p is not None]
        look = COLOURS[(colour + at) % len(COLOURS)], MARKS[at % len(MARKS)]
        axes.errorbar(
            [x for x, _ in there],
            [p.value for _, p in there],
            yerr=_errors([p for _, p in there]),
            color=look[0],
            marker=look[1],
            capsize=3,
            lw=1.5,
            elinewidth=1,
            label=name,
        )
    axes.set_xticks(range(len(steps)), steps)
    axes.set_xlim(-0.3, len(steps) - 0.7)
    axes.margins(y=0.1)
    _value_axis(axes, label, share)


def _errors(points: Sequence[Point]) -> list[list[float]]:
    """How far intervals reach below and above the values, as matplotlib takes them; 0 without one."""
    below = [0.0 if p.low is None else max(0.0, p.value - p.low) for p in points]
    return [below, [0.0 if p.high is None else max(0.0, p.high - p.value) for p in points]]


def _value_axis(axes: Any, label: str, share: bool) -> None:
    axes.set_ylabel(label)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    if share:
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _legend(axes: Any, count: int, markerscale: float = 1) -> None:
    """In as many columns as fit beside the value axis: a wider legend would squeeze the axes under it."""
    for columns in range(min(count, 4) if count > 1 else 0, 0, -1):
        made = axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, markerscale=markerscale)
        if made.get_window_extent().width < 0.87 * axes.figure.bbox.width:
            return


@contextmanager
def _figure(path: Path, size: tuple[float, float], rows: int = 1, sharex: bool = False) -> Iterator[Any]:
    """The axes of a figure that is saved to the path and closed, the same bytes for the same data."""
    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots(rows, figsize=size, layout="constrained", sharex=sharex)
        try:
            yield axes
            figure.savefig(path, metadata={"Software": None})
        finally:
            plt.close(figure)
