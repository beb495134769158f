"""Clouds of points and coloured tables on paper, for `print.py`: thousands of points become a picture in the file."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

POINT_TRACES = ("scattergl", "scatter3d")
MANY = 2_000
"""Points from which they are drawn as a picture within the vector file, which else takes minutes to open."""
_LEGEND_SIZE = 3.5


def is_cloud(trace: Any) -> bool:
    """Whether a trace is a cloud of points: of a type of its own, coloured by numbers, or with words beside points."""
    if trace.type != "scatter":
        return trace.type in POINT_TRACES
    coloured = isinstance(trace.marker.color, tuple | list | np.ndarray)
    # Words in the middle of points, as letters on a read, are drawn where those points are.
    beside = "text" in (trace.mode or "") and trace.textposition not in (None, "middle center")
    return coloured or beside


def draw_cloud(page: Any, axes: Any, trace: Any, place: list[np.ndarray], font_size: float) -> Any:
    """Draw a cloud of points in two or three dimensions, its colour bar and its words; return the legend's handle.

    Parameters
    ----------
    page, axes
        Of matplotlib; `axes` are three-dimensional for a `scatter3d` trace.
    trace
        The Plotly trace.
    place
        Coordinates, one array an axis.
    font_size
        In points.
    """
    from matplotlib.lines import Line2D

    marker = trace.marker
    area = (0.45 * np.asarray(6 if marker.size is None else marker.size, float)) ** 2
    numbers = isinstance(marker.color, tuple | list | np.ndarray)
    look: dict[str, Any] = {"s": area, "linewidths": 0, "alpha": marker.opacity, "rasterized": len(place[0]) > MANY}
    if numbers:
        look |= {"c": np.asarray(marker.color, float), "cmap": _colour_map(marker.colorscale), "vmin": marker.cmin,
                 "vmax": marker.cmax}
    else:
        look["color"] = marker.color
    points = axes.scatter(*place, **look)
    if numbers and marker.colorbar.title.text:
        bar = page.colorbar(points, ax=axes, shrink=0.7, pad=0.02, aspect=30)
        _finish_bar(bar, marker.colorbar.title.text, font_size)
    if "text" in (trace.mode or ""):
        for *at, words in zip(*place, trace.text, strict=True):
            axes.text(*at, f" {words}", fontsize=font_size - 1)
    colour = "#8A8F98" if numbers else marker.color
    return Line2D([], [], linestyle="", marker="o", markersize=_LEGEND_SIZE, color=colour, markeredgewidth=0)


def draw_table(page: Any, axes: Any, trace: Any, x: np.ndarray, y: np.ndarray, font_size: float) -> None:
    """Draw a heatmap trace with its colour bar; x and y are the middles of its cells."""
    mesh = axes.pcolormesh(
        x, y, np.ma.masked_invalid(np.asarray(trace.z, float)), cmap=_colour_map(trace.colorscale), vmin=trace.zmin,
        vmax=trace.zmax, shading="nearest", linewidth=0,
    )
    bar = page.colorbar(mesh, ax=axes, shrink=0.9, pad=0.02, aspect=20)
    _finish_bar(bar, trace.colorbar.title.text or "", font_size)


def draw_solid(page: Any, figure: go.Figure, layout: Any, font_size: float) -> dict[str, Any]:
    """Draw a figure of `scatter3d` traces alone; return the legend's handles by name."""
    axes = page.add_subplot(projection="3d")
    legend = {}
    for trace in figure.data:
        place = [np.asarray(values, float) for values in (trace.x, trace.y, trace.z)]
        handle = draw_cloud(page, axes, trace, place, font_size)
        if trace.name:
            legend[trace.name] = handle
    for axis, label in (("x", axes.set_xlabel), ("y", axes.set_ylabel), ("z", axes.set_zlabel)):
        label(layout.scene[f"{axis}axis"].title.text or "", labelpad=-6)
        axes.tick_params(axis=axis, labelsize=font_size - 1.5, pad=-2)
    if layout.title.text:
        axes.set_title(layout.title.text, loc="left", fontsize=font_size)
    return legend


def _finish_bar(bar: Any, title: str, font_size: float) -> None:
    bar.set_label(title, fontsize=font_size)
    bar.ax.tick_params(labelsize=font_size - 0.5, width=0.5, length=2)
    bar.outline.set_linewidth(0.4)
    # matplotlib draws the steps of a long scale as a picture by default.
    bar.solids.set_rasterized(False)
    bar.solids.set_edgecolor("face")


def _colour_map(scale: Any) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("figure", [(float(place), colour) for place, colour in scale])
