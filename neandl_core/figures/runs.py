"""Figures that set several runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from neandl_core.figures.style import SERIES, finish

_DASHES = ("solid", "dash", "dot")
FEW_EPOCHS = 12
"""So many are all named on the axis."""
PANELS = {"val_loss": "Validation loss", "val_auc": "Validation AUC"}


def overlay_figure(records: Mapping[str, Sequence[dict[str, Any]]]) -> go.Figure:
    """Draw the learning curves of several trainings over each other.

    Parameters
    ----------
    records
        Lines of `metrics.jsonl` by the name of the run; epochs of the model itself are drawn, not of its controls.
    """
    figure = make_subplots(cols=2, horizontal_spacing=0.12)
    longest = max((line["epoch"] for lines in records.values() for line in lines if "epoch" in line), default=0)
    for number, (name, lines) in enumerate(records.items()):
        epochs = [line for line in lines if line.get("kind") == "epoch" and line.get("run") == "main"]
        look = {
            "color": SERIES[number % len(SERIES)], "dash": _DASHES[number // len(SERIES) % len(_DASHES)],
        }
        for column, measure in enumerate(PANELS, start=1):
            drawn = [line for line in epochs if line.get(measure) is not None]
            figure.add_scatter(
                x=[line["epoch"] for line in drawn], y=[line[measure] for line in drawn], name=name, line=look,
                mode="lines+markers", legendgroup=name, showlegend=column == 1, row=1, col=column,
                hovertemplate=f"{name}, epoch %{{x}}: %{{y:.4f}}<extra></extra>",
            )
    for column, label in enumerate(PANELS.values(), start=1):
        figure.update_xaxes(title="Epoch", dtick=1 if longest <= FEW_EPOCHS else None, row=1, col=column)
        figure.update_yaxes(title=label, row=1, col=column)
    return finish(figure, height=360)
