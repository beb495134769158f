"""Figures of controls and of several runs: AUCs with intervals under each other, learning curves over each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from neandl_core.figures.style import BLUE, GREEN, GREY, SERIES, VERMILION, finish

_LOOK = {
    "model": (BLUE, "circle", "held out"),
    "leaking split": (VERMILION, "circle", "leaking split"),
    "shuffled": (GREEN, "diamond", "shuffled labels"),
    "shuffled leaking": (VERMILION, "diamond-open", "shuffled labels, leaking split"),
    "baseline": (GREY, "circle", "baseline"),
}
_ROW = 30


def forest_figure(table: pd.DataFrame, title: str = "") -> go.Figure:
    """Draw AUCs with 95% intervals under each other, with the line of chance at 0.5.

    Parameters
    ----------
    table
        `name`, `kind` (of `schemas.CONTROLS`), `auc`, `low`, `high` (0 to 1, blank where undefined), from top to
        bottom.
    title
        What was tested, and on how many examples.
    """
    figure = go.Figure()
    shown = table.dropna(subset=["auc"])
    for kind, (colour, symbol, name) in _LOOK.items():
        rows = shown[shown["kind"] == kind]
        if rows.empty:
            continue
        figure.add_scatter(
            x=rows["auc"], y=rows["name"], mode="markers", name=name,
            marker={"color": colour, "size": 10, "symbol": symbol},
            error_x={
                "type": "data", "symmetric": False, "thickness": 2, "width": 4, "color": colour,
                "array": rows["high"] - rows["auc"], "arrayminus": rows["auc"] - rows["low"],
            },
            customdata=rows[["low", "high"]],
            hovertemplate="%{y}: AUC %{x:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}]<extra></extra>",
        )
    figure.add_vline(x=0.5, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.add_annotation(
        x=0.5, y=0, yref="paper", xanchor="left", yanchor="bottom", text=" guessing", showarrow=False,
        font={"size": 11, "color": GREY},
    )
    lowest = min([0.4, *shown["low"].dropna().sub(0.02).clip(lower=0)])
    figure.update_layout(
        title={"text": title, "font": {"size": 12}},
        xaxis={"title": "AUC on test examples", "range": [lowest, 1.02], "dtick": 0.1, "tickangle": 0},
        yaxis={"categoryorder": "array", "categoryarray": shown["name"].tolist()[::-1]},
    )
    return finish(figure, height=170 + _ROW * len(shown))


def overlay_figure(curves: Mapping[str, Sequence[Mapping[str, Any]]], measure: str = "val_accuracy") -> go.Figure:
    """Draw one learning curve per run over each other.

    Parameters
    ----------
    curves
        Name of the run -> its records of `metrics.jsonl`; those of kind ``epoch`` of the run itself are drawn.
    measure
        `val_accuracy`, `val_loss` or `val_auc`.
    """
    figure, longest = go.Figure(), 1
    for index, (name, records) in enumerate(curves.items()):
        rows = [
            record for record in records
            if record.get("kind") == "epoch" and record.get("run", "main") == "main"
            and record.get(measure) is not None
        ]
        longest = max([longest, *(row["epoch"] for row in rows)])
        figure.add_scatter(
            x=[row["epoch"] for row in rows], y=[row[measure] for row in rows], name=name,
            mode="lines+markers" if len(rows) < 40 else "lines",
            line={"color": SERIES[index % len(SERIES)], "width": 2},
            hovertemplate="%{fullData.name}, epoch %{x}: %{y:.3f}<extra></extra>",
        )
    titles = {
        "val_accuracy": "Accuracy on the validation part", "val_loss": "Loss on the validation part",
        "val_auc": "AUC on the validation part",
    }
    figure.update_layout(
        xaxis={"title": "Epoch", "range": [0.7, longest + 0.3]}, yaxis={"title": titles[measure]}, showlegend=True,
    )
    return finish(figure, height=320)
