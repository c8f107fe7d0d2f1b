"""Figures as the plain data that Plotly draws: `{"data": [traces], "layout": {…}}`.

Colours are Okabe and Ito's (`plots.py` has them too), named where they mean something; the page adds the theme. Every
number is a Python int, float or None; every text is data, and Plotly's few tags are taken out of it (`plain`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Figure = dict[str, Any]
GOOD, BAD, OTHER, MARK = "#0072B2", "#E69F00", "#999999", "#D55E00"
COLOURS = (GOOD, BAD, "#009E73", "#CC79A7", "#56B4E9", MARK)
_TAGS = str.maketrans({"<": "‹", ">": "›", "&": "＆"})


def plain(text: str) -> str:
    """A text from outside in a figure: Plotly would read `<b>` or `<a href>` in it."""
    return " ".join(text.translate(_TAGS).split())[:80]


def bars(names: Sequence[str], series: Mapping[str, Sequence[float | None]], axis: str, **layout: Any) -> Figure:
    """A bar a name for each series, stacked with `barmode="stack"`."""
    shown = list(map(plain, names))
    data = [
        {"type": "bar", "name": name, "x": shown, "y": list(values), "marker": {"color": colour}}
        for (name, values), colour in zip(series.items(), _colours(len(series)), strict=True)
    ]
    return {"data": data, "layout": {"yaxis": {"title": {"text": axis}}, "xaxis": {"type": "category"}, **layout}}


def shares(names: Sequence[str], values: Sequence[tuple[float, float, float]], axis: str, even: float = -1) -> Figure:
    """Shares in 0..1 with the ends of their intervals, as points; a dashed line at what chance gives."""
    middle, low, high = (list(column) for column in zip(*values, strict=True)) if values else ([], [], [])
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": list(map(plain, names)),
        "y": middle,
        "marker": {"color": GOOD, "size": 9},
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [top - at for top, at in zip(high, middle, strict=True)],
            "arrayminus": [at - bottom for bottom, at in zip(low, middle, strict=True)],
            "color": GOOD,
        },
    }
    layout: Figure = {"yaxis": {"title": {"text": axis}, "tickformat": ".0%", "rangemode": "tozero"}}
    return {
        "data": [trace],
        "layout": {**layout, "xaxis": {"type": "category"}, **(across(even, "chance") if even >= 0 else {})},
    }


def histogram(series: Mapping[str, Sequence[float]], axis: str, start: float, end: float, size: float) -> Figure:
    """How many values lie in each interval of `size`, the series on top of each other."""
    count = max(1, math.ceil((end - start) / size))
    middles = [round(start + (place + 0.5) * size, 6) for place in range(count)]
    data = [
        {
            "type": "bar",
            "name": name,
            "x": middles,
            "y": _binned(values, start, size, count),
            "width": [size * 0.96] * count,
            "marker": {"color": colour},
        }
        for (name, values), colour in zip(series.items(), _colours(len(series)), strict=True)
    ]
    layout: Figure = {"barmode": "stack", "xaxis": {"title": {"text": axis}}, "yaxis": {"title": {"text": "number"}}}
    return {"data": data, "layout": layout}


def lines(series: Mapping[str, tuple[Sequence[float], Sequence[float]]], x: str, y: str) -> Figure:
    """A line for each (x, y)."""
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": plain(name),
            "x": list(xs),
            "y": list(ys),
            "line": {"color": colour},
        }
        for (name, (xs, ys)), colour in zip(series.items(), _colours(len(series)), strict=True)
    ]
    return {"data": data, "layout": {"xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}}}}


def points(series: Mapping[str, Sequence[tuple[float, float]]], x: str, y: str, **layout: Any) -> Figure:
    """A cloud of points for each series."""
    data = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": [one for one, _ in some],
            "y": [other for _, other in some],
            "marker": {"color": colour, "size": 5, "opacity": 0.5},
        }
        for (name, some), colour in zip(series.items(), _colours(len(series)), strict=True)
    ]
    return {"data": data, "layout": {"xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}}, **layout}}


def upright(at: float, words: str) -> Figure:
    """A dashed line at a value of x, for `layout`."""
    line = {
        "type": "line",
        "x0": at,
        "x1": at,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": {"dash": "dash", "color": MARK},
    }
    note = {"x": at, "yref": "paper", "y": 1, "yanchor": "bottom", "text": words, "showarrow": False}
    return {"shapes": [line], "annotations": [note]}


def across(at: float, words: str) -> Figure:
    """A dashed line at a value of y, for `layout`."""
    line = {
        "type": "line",
        "y0": at,
        "y1": at,
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "line": {"dash": "dash", "color": MARK},
    }
    note = {
        "y": at,
        "xref": "paper",
        "x": 1,
        "xanchor": "right",
        "yanchor": "bottom",
        "text": words,
        "showarrow": False,
    }
    return {"shapes": [line], "annotations": [note]}


def _binned(values: Sequence[float], start: float, size: float, count: int) -> list[int]:
    """What lies beyond the ends is counted in the first and the last interval."""
    bins = [0] * count
    for value in values:
        bins[min(count - 1, max(0, int((value - start) / size + 1e-9)))] += 1
    return bins


def _colours(count: int) -> list[str]:
    return [COLOURS[place % len(COLOURS)] for place in range(count)]
