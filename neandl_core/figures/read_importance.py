"""Figures of what a network of reads looks at: one read as a logo, and means by distance from the ends."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from neandl_core.config import SHOWN_POSITIONS
from neandl_core.figures.style import BLUE, GREEN, GREY, ORANGE, VERMILION, finish, translucent
from neandl_core.schemas import READ_ATTRIBUTIONS, READ_POSITIONS, check_table

BASE_COLOUR = {"A": GREEN, "C": BLUE, "G": ORANGE, "T": VERMILION, "N": GREY}
CLASS_COLOUR = {"ancient": VERMILION, "modern": BLUE}
_GAP = 0.06
"""Space left free at either side of a letter, in widths of a base."""
_ARC_POINTS = 13
_STROKE = 0.2


def _arc(start: float, end: float, inset: float) -> list[tuple[float, float]]:
    """Return points on an ellipse within the unit square, from one angle in degrees to another."""
    angles = np.radians(np.linspace(start, end, _ARC_POINTS))
    return [(0.5 + (0.5 - inset) * np.cos(angle), 0.5 + (0.5 - inset) * np.sin(angle)) for angle in angles]


LETTERS: dict[str, list[tuple[float, float]]] = {
    # The counter of the A is reached through a slit and runs the other way round, which leaves it empty.
    "A": [(0, 0), (0.38, 1), (0.62, 1), (1, 0), (0.79, 0), (0.72, 0.24), (0.28, 0.24), (0.34, 0.42), (0.66, 0.42),
          (0.5, 0.84), (0.34, 0.42), (0.28, 0.24), (0.21, 0)],
    "C": [*_arc(45, 315, 0), *_arc(315, 45, _STROKE)],
    "G": [*_arc(45, 315, 0), (1, 0.3), (1, 0.54), (0.54, 0.54), (0.54, 0.38), (0.8, 0.38), (0.8, 0.3),
          *_arc(315, 45, _STROKE)],
    "T": [(0, 1), (1, 1), (1, 0.82), (0.6, 0.82), (0.6, 0), (0.4, 0), (0.4, 0.82), (0, 0.82)],
    "N": [(0, 0), (0, 1), (0.24, 1), (0.8, 0.3), (0.8, 1), (1, 1), (1, 0), (0.76, 0), (0.2, 0.7), (0.2, 0)],
}
"""Outlines of the bases in the unit square, so that a letter can be as high as its share, as a shape and not a font."""


def read_logo(bases: pd.DataFrame) -> go.Figure:
    """Draw one read, each base as high as its attribution: upwards it speaks for ancient, downwards for modern.

    Bases that differ from a known reference are named above the letters, reference first.

    Parameters
    ----------
    bases
        Rows of one read of table `READ_ATTRIBUTIONS`.
    """
    check_table(bases, READ_ATTRIBUTIONS, "read attributions")
    bases = bases.sort_values("position")
    figure = go.Figure()
    for letter, outline in LETTERS.items():
        chosen = bases[bases["base"] == letter]
        if not len(chosen):
            continue
        shape = np.array([*outline, outline[0]])
        x, y = [], []
        for position, height in zip(chosen["position"], chosen["attribution"], strict=True):
            bottom = min(0.0, height)
            x += [*(position + 0.5 + _GAP + shape[:, 0] * (1 - 2 * _GAP)), None]
            y += [*(bottom + shape[:, 1] * abs(height)), None]
        figure.add_scatter(
            x=x, y=y, mode="lines", fill="toself", fillcolor=BASE_COLOUR[letter], line={"width": 0}, name=letter,
            hoverinfo="skip", showlegend=False,
        )
    # Invisible points carry what the mouse shows, as outlines have no value of their own.
    figure.add_scatter(
        x=bases["position"] + 1, y=bases["attribution"], mode="markers", showlegend=False,
        marker={"size": 8, "color": "rgba(0,0,0,0)"}, customdata=bases[["base", "reference"]],
        hovertemplate="base %{x}: %{customdata[0]}, reference %{customdata[1]}<br>%{y:+.3f}<extra></extra>",
    )
    figure.add_hline(y=0, line={"color": GREY, "width": 1})
    top, bottom = max(0.0, float(bases["attribution"].max())), min(0.0, float(bases["attribution"].min()))
    room = (top - bottom) or 1.0
    differing = bases[(bases["reference"] != "") & (bases["reference"] != bases["base"])]
    for row in differing.itertuples():
        figure.add_annotation(
            x=row.position + 1, y=max(0.0, row.attribution) + 0.02 * room, text=f"{row.reference}>{row.base}",
            showarrow=False, xanchor="center", yanchor="bottom", font={"size": 10, "color": GREY},
        )
    first = bases.iloc[0]
    figure.update_layout(
        title={
            "text": f"{'Ancient' if first['label'] else 'Modern'} read of {first['length']} bases, "
                    f"P(ancient) {first['probability']:.2f}",
            "font": {"size": 12},
        },
        xaxis={"title": "Base from the 5′ end", "range": [0.3, first["length"] + 0.7], "showgrid": False},
        yaxis={"title": "Share in the log-odds", "range": [bottom - 0.08 * room, top + 0.14 * room]},
    )
    return finish(figure, height=300)


def position_figure(positions: pd.DataFrame, shown: int = SHOWN_POSITIONS) -> go.Figure:
    """Draw the mean absolute attribution by distance from both ends, ancient and modern reads apart.

    Parameters
    ----------
    positions
        Table `READ_POSITIONS`; the bands are 95% intervals of the mean over reads.
    shown
        Positions drawn from either end.
    """
    check_table(positions, READ_POSITIONS, "read positions")
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.05)
    near = positions[positions["position"] < shown]
    for column, (end, text) in enumerate((("5p", "5′"), ("3p", "3′")), start=1):
        for name, colour in CLASS_COLOUR.items():
            line = near[(near["end"] == end) & (near["class"] == name)].sort_values("position")
            position = line["position"] + 1
            figure.add_scatter(
                x=pd.concat([position, position[::-1]]), y=pd.concat([line["high"], line["low"][::-1]]),
                fill="toself", fillcolor=translucent(colour, 0.2), line={"width": 0}, mode="lines", hoverinfo="skip",
                showlegend=False, legendgroup=name, row=1, col=column,
            )
            figure.add_scatter(
                x=position, y=line["mean"], mode="lines+markers", line={"color": colour, "width": 2.2},
                marker={"size": 5, "color": colour}, name=f"{name} reads", legendgroup=name, showlegend=column == 1,
                customdata=line["n"], row=1, col=column,
                hovertemplate="base %{x}: %{y:.3f}<br>%{customdata:,} reads<extra>" + name + "</extra>",
            )
        figure.update_xaxes(title=f"Distance from {text} end (bases)", row=1, col=column)
    ticks = [1, *range(5, shown + 1, 5)]
    figure.update_xaxes(range=[0.3, shown + 0.7], tickvals=ticks)
    figure.update_xaxes(range=[shown + 0.7, 0.3], row=1, col=2)
    top = float(near.loc[near["class"].isin(list(CLASS_COLOUR)), "high"].max()) if len(near) else 1.0
    figure.update_yaxes(range=[0, top * 1.08 or 1.0])
    figure.update_yaxes(title="Mean share in the log-odds", row=1, col=1)
    counts = positions[(positions["end"] == "5p") & (positions["position"] == 0)].set_index("class")["n"]
    said = ", ".join(f"{counts[name]:,} {name}" for name in CLASS_COLOUR if name in counts)
    figure.update_layout(title={"text": f"n = {said} reads", "font": {"size": 12}})
    return finish(figure)
