"""The map of k-mers, coloured by what is known of each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from neandl_core.figures.style import FAINT, GREY, ORANGE, SERIES, VERMILION, finish
from neandl_core.schemas import KMER_POINTS, check_table

COLOURS = {
    "gc": "GC content", "cpg": "CpG sites", "frequency": "Times in training (log10)", "importance": "Attribution",
    "cluster": "Cluster",
}
"""What points can be coloured by, and how the legend calls it."""
SEQUENTIAL = [[0, "#0072B2"], [0.35, "#56B4E9"], [0.65, "#F0E442"], [1, "#D55E00"]]
DIVERGING = [[0, "#0072B2"], [0.5, "#D9D9D9"], [1, "#D55E00"]]
_MOST_NAMED = 10


def map_figure(
    points: pd.DataFrame, colour: str, method: str, total: int, *, marked: pd.DataFrame | None = None,
    axes: tuple[str, ...] | None = None,
) -> go.Figure:
    """Draw k-mers as points, those never seen in training in grey beneath the others.

    Parameters
    ----------
    points
        Table `KMER_POINTS`; with a column `z` it is drawn in three dimensions.
    colour
        One of `COLOURS`.
    method
        ``pca`` or ``umap``, for the axes.
    total
        K-mers of the map, of which `points` may be a sample.
    marked
        Further points drawn large: a k-mer that was looked for, and its neighbours. Those with `named` are named; all
        if there is no such column.
    axes
        Names of the axes, for example with their shares of the variance.
    """
    check_table(points, KMER_POINTS, "k-mer points")
    solid = "z" in points.columns
    seen, unseen = points[points["seen"] == 1], points[points["seen"] == 0]
    figure = go.Figure()
    size = 2.2 if len(points) > 20_000 else 3.5 if len(points) > 3_000 else 6
    if len(unseen):
        _add(figure, unseen, solid, {"color": FAINT, "size": size, "opacity": 0.35}, f"never seen ({len(unseen):,})")
    if colour == "cluster":
        _add_clusters(figure, seen, solid, size)
    elif len(seen):
        values = seen[colour].astype(float).to_numpy()
        if colour == "frequency":
            values = np.log10(np.maximum(values, 1))
        centred = colour == "importance"
        known = values[np.isfinite(values)]
        # The outermost hundredth would leave all others in one colour.
        low, high = np.percentile(known, (1, 99)) if len(known) else (0, 1)
        if centred:
            low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
        blank = ~np.isfinite(values)
        if blank.any():
            _add(figure, seen[blank], solid, {"color": FAINT, "size": size, "opacity": 0.5},
                 f"not attributed ({int(blank.sum()):,})")
        marker = {
            "color": values[~blank], "colorscale": DIVERGING if centred else SEQUENTIAL, "cmin": low,
            "cmax": high if high > low else low + 1, "size": size, "opacity": 0.75,
            "colorbar": {"title": {"text": COLOURS[colour], "side": "right"}, "thickness": 12, "len": 0.9},
        }
        _add(figure, seen[~blank], solid, marker, f"k-mers ({int((~blank).sum()):,})")
    if marked is not None and len(marked):
        place = {"x": marked["x"], "y": marked["y"]} | ({"z": marked["z"]} if solid else {})
        # The same kind of trace as the cloud, which would else be drawn over it.
        draw = go.Scatter3d if solid else go.Scattergl
        named = marked["named"] if "named" in marked else pd.Series(True, index=marked.index)
        figure.add_trace(draw(
            **place, mode="markers+text", text=marked["kmer"].where(named, ""), textposition="top center",
            textfont={"size": 12}, hovertext=marked["kmer"], hovertemplate="%{hovertext}<extra></extra>",
            marker={"color": VERMILION, "size": [14 if name else 8 for name in named] if not solid else 5,
                    "line": {"color": "#FFFFFF", "width": 1}},
            name="looked for",
        ))
    names = axes or tuple(f"{'PC' if method == 'pca' else 'UMAP '}{number}" for number in (1, 2, 3))
    shown = f"n = {len(points):,} k-mers" + (f", drawn at random from {total:,}" if len(points) < total else "")
    figure.update_layout(
        title={"text": shown, "font": {"size": 12}}, xaxis={"title": names[0]}, yaxis={"title": names[1]},
    )
    if solid:
        figure.update_layout(scene_camera={"eye": {"x": 1.5, "y": 1.5, "z": 1.0}}, scene={
            f"{axis}axis": {"title": {"text": name}, "backgroundcolor": "rgba(0,0,0,0)", "gridcolor": FAINT}
            for axis, name in zip("xyz", names, strict=False)
        })
    finish(figure, height=620)
    return figure.update_layout(
        legend={"itemsizing": "constant"}, margin={"l": 0, "r": 0, "t": 32, "b": 0} if solid else None
    )


def density_figure(
    points: pd.DataFrame, among: np.ndarray, axes: tuple[str, ...], chosen: np.ndarray | None = None, bins: int = 160
) -> go.Figure:
    """Draw how many k-mers lie where, which any browser can show.

    Parameters
    ----------
    points
        Table `KMER_POINTS`.
    among
        (n,) which k-mers are counted.
    axes
        Names of the axes.
    chosen
        (n,) which are counted in the front, above the others in grey; none if None.
    bins
        Cells each way.
    """
    x, y = (points[axis].to_numpy(np.float64) for axis in "xy")
    edges = [np.linspace(values.min(), values.max() + 1e-9, bins + 1) for values in (x, y)]
    counts = np.histogram2d(x[among], y[among], bins=edges)[0].T
    middles = [(side[:-1] + side[1:]) / 2 for side in edges]
    figure = go.Figure()

    def add(numbers: np.ndarray, scale: list, name: str, bar: bool) -> None:
        figure.add_heatmap(
            x=middles[0], y=middles[1], z=np.where(numbers > 0, np.log10(np.maximum(numbers, 1)), np.nan), name=name,
            colorscale=scale, customdata=numbers, hovertemplate="%{customdata:,} k-mers<extra></extra>",
            showscale=bar, zmin=0, colorbar={"title": {"text": "k-mers (log10)", "side": "right"}, "thickness": 12},
        )

    if chosen is None:
        add(counts, SEQUENTIAL, "k-mers", True)
    else:
        add(counts, [[0, FAINT], [1, GREY]], "all", False)
        add(np.histogram2d(x[chosen], y[chosen], bins=edges)[0].T, [[0, ORANGE], [1, VERMILION]], "chosen", True)
    # A box chooses among points only, so some stand, unseen, where the cells are filled.
    filled = np.argwhere(counts > 0)[:: max(1, int((counts > 0).sum() / 2000))]
    figure.add_scatter(
        x=middles[0][filled[:, 1]], y=middles[1][filled[:, 0]], mode="markers", showlegend=False, hoverinfo="skip",
        marker={"color": "rgba(0,0,0,0)", "size": 4}, unselected={"marker": {"opacity": 0}},
    )
    shown = f"n = {int(among.sum()):,} k-mers" + ("" if chosen is None else f", {int(chosen.sum()):,} chosen")
    figure.update_layout(
        title={"text": shown, "font": {"size": 12}}, xaxis={"title": axes[0]}, yaxis={"title": axes[1]},
        dragmode="select",
    )
    return finish(figure, height=600)


def _add(figure: go.Figure, points: pd.DataFrame, solid: bool, marker: dict, name: str) -> None:
    place = {axis: points[axis].to_numpy(np.float32) for axis in ("xyz" if solid else "xy")}
    draw = go.Scatter3d if solid else go.Scattergl
    figure.add_trace(draw(
        **place, mode="markers", marker={"line": {"width": 0}} | marker, name=name, text=points["kmer"].to_numpy(str),
        customdata=points[["frequency", "gc"]].to_numpy(np.float32),
        hovertemplate="%{text}<br>%{customdata[0]:,} times in training, GC %{customdata[1]:.0%}<extra></extra>",
    ))


def _add_clusters(figure: go.Figure, seen: pd.DataFrame, solid: bool, size: float) -> None:
    for cluster in sorted(seen["cluster"].unique()):
        own = seen[seen["cluster"] == cluster]
        marker = {"color": SERIES[int(cluster) % len(SERIES)], "size": size, "opacity": 0.75}
        _add(figure, own, solid, marker, f"{int(cluster) + 1}")
