"""Figures as charts of PowerPoint, which can be edited there: lines, points and bars with numbers few enough.

What such a chart cannot hold (bands, labels, lines at a threshold) is left out and named, so that nobody takes the
chart for the whole figure; figures of other kinds stay pictures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import plotly.graph_objects as go

MOST_POINTS = 600
"""Points of a chart; more make PowerPoint slow, and nobody edits them."""
MOST_CATEGORIES = 40


@dataclass(frozen=True)
class NativeSeries:
    """One line, set of points or set of bars; `x` are numbers, or the names of bars."""

    name: str
    x: tuple[Any, ...]
    y: tuple[float | None, ...]
    colour: str
    lines: bool
    markers: bool


@dataclass(frozen=True)
class NativeChart:
    """One pair of axes.

    Attributes
    ----------
    kind
        ``xy``, ``bar`` (upright) or ``barh`` (lying).
    series
        In order.
    x_title, y_title
        Of the axes.
    x_range, y_range
        Ends of the axes; None if they follow from the numbers. The first may be the larger one.
    y_format
        Excel's format of numbers.
    """

    kind: str
    series: tuple[NativeSeries, ...]
    x_title: str
    y_title: str
    x_range: tuple[float, float] | None
    y_range: tuple[float, float] | None
    y_format: str


def native_charts(figure: go.Figure) -> tuple[list[NativeChart], list[str]] | None:
    """Return a figure as charts, one a pair of axes, and what they leave out; None if it has to be a picture.

    Parameters
    ----------
    figure
        As it is exported, in its final colours.
    """
    groups: dict[str, list[Any]] = {}
    left_out: dict[str, None] = {}
    for trace in figure.data:
        if trace.type not in ("scatter", "bar") or "text" in (getattr(trace, "mode", None) or ""):
            return None
        if trace.type == "scatter" and trace.fill not in (None, "none"):
            left_out["shaded bands"] = None
            continue
        groups.setdefault(trace.xaxis or "x", []).append(trace)
    if figure.layout.shapes:
        left_out["dotted lines"] = None
    if figure.layout.annotations:
        left_out["labels inside"] = None
    charts = []
    for axis, traces in sorted(groups.items(), key=lambda group: int(group[0][1:] or 1)):
        if any(trace.type == "scatter" and trace.error_x.array is not None for trace in traces):
            return None
        chart = _chart(figure.layout, axis, traces)
        if chart is None:
            return None
        charts.append(chart)
    return (charts, list(left_out)) if 1 <= len(charts) <= 2 else None


def _chart(layout: Any, axis: str, traces: list[Any]) -> NativeChart | None:
    kinds = {(trace.type, getattr(trace, "orientation", None) or "v") for trace in traces}
    if len({kind for kind, _ in kinds}) != 1 or len(kinds) > 1 or layout.barmode == "overlay":
        return None
    (kind, turn), = kinds
    lying = kind == "bar" and turn == "h"
    of_traces = [_series(trace, kind, lying, number) for number, trace in enumerate(traces)]
    if any(one is None for one in of_traces):
        return None
    series = [piece for one in of_traces for piece in _pieces(one)]
    if sum(len(one.x) for one in series) > (MOST_POINTS if kind == "scatter" else MOST_CATEGORIES * len(series)):
        return None
    across, up = layout[f"xaxis{axis[1:]}"], layout[f"yaxis{axis[1:]}"]
    if kind == "scatter" and "log" in (across.type, up.type):
        return None
    first = layout.yaxis
    y_range = up.range or (first.range if up.matches else None)
    # The axis of numbers lies below lying bars; the other holds their names.
    values = across if lying else up
    return NativeChart(
        "xy" if kind == "scatter" else "barh" if lying else "bar", tuple(series), across.title.text or "",
        up.title.text or "", None if across.range is None or lying else tuple(map(float, across.range)),
        None if y_range is None or lying or not _numeric(y_range) else tuple(map(float, y_range)),
        "0%" if str(values.tickformat or "").endswith("%") else "General",
    )


def _series(trace: Any, kind: str, lying: bool, number: int) -> NativeSeries | None:
    x, y = (trace.y, trace.x) if lying else (trace.x, trace.y)
    if x is None or y is None or not _numeric(y) or (kind == "scatter" and not _numeric(x)):
        return None
    values = tuple(None if not np.isfinite(value) else float(value) for value in np.asarray(y, float))
    colours = (trace.line.color, trace.marker.color) if kind == "scatter" else (trace.marker.color,)
    colour = next((one for one in colours if isinstance(one, str) and one.startswith("#")), None)
    if colour is None:
        return None
    mode = trace.mode or "lines" if kind == "scatter" else ""
    places = tuple(float(value) for value in x) if kind == "scatter" else tuple(str(value) for value in x)
    return NativeSeries(
        trace.name or f"Series {number + 1}", places, values, colour.lstrip("#").upper(), "lines" in mode,
        "markers" in mode,
    )


def _pieces(series: NativeSeries) -> list[NativeSeries]:
    """Cut a line where it has gaps: PowerPoint would draw through them."""
    if not series.lines:
        return [series]
    gaps = [place for place, value in enumerate(series.y) if value is None]
    cuts = zip([-1, *gaps], [*gaps, len(series.y)], strict=True)
    return [
        replace(series, x=series.x[before + 1 : after], y=series.y[before + 1 : after])
        for before, after in cuts if after > before + 1
    ]


def _numeric(values: Any) -> bool:
    return np.asarray(values).dtype.kind in "fiu"
