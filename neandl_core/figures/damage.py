"""Figures of the read side: misincorporation by position, read lengths."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from neandl_core.config import SHOWN_POSITIONS
from neandl_core.figures.style import C_TO_T, FAINT, G_TO_A, SKY, finish, translucent
from neandl_core.schemas import DAMAGE_RATES, LENGTHS, check_table

_SHOWN = {"C>T": C_TO_T, "G>A": G_TO_A}
_ENDS = {"5p": "Distance from 5′ end (bases)", "3p": "Distance from 3′ end (bases)"}


def damage_figure(rates: pd.DataFrame, reads_used: int, *, y_max: float | None = None) -> go.Figure:
    """Draw the misincorporation rate at both ends: C>T and G>A with 95 % bands, the other ten substitutions in grey.

    Parameters
    ----------
    rates
        Table `DAMAGE_RATES`.
    reads_used
        Reads behind it, shown in the figure.
    y_max
        Upper end of the y axis, to compare samples; by default 0.3, or more if a rate is higher.
    """
    check_table(rates, DAMAGE_RATES, "damage rates")
    shown = rates[rates["position"] < SHOWN_POSITIONS]
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.05)
    for column, end in enumerate(_ENDS, start=1):
        here = shown[shown["end"] == end]
        others = [name for name in here["substitution"].unique() if name not in _SHOWN]
        for index, name in enumerate(sorted(others)):
            line = here[here["substitution"] == name].sort_values("position")
            figure.add_scatter(
                x=line["position"] + 1, y=line["rate"], mode="lines", line={"color": FAINT, "width": 1},
                name="other substitutions", legendgroup="other", showlegend=column == 1 and index == 0,
                hovertemplate=f"{name} %{{y:.4f}}<extra></extra>", row=1, col=column,
            )
        for name, colour in _SHOWN.items():
            line = here[here["substitution"] == name].sort_values("position").dropna(subset=["rate"])
            position = line["position"] + 1
            figure.add_scatter(
                x=pd.concat([position, position[::-1]]), y=pd.concat([line["high"], line["low"][::-1]]),
                fill="toself", fillcolor=translucent(colour, 0.2), line={"width": 0}, mode="lines",
                hoverinfo="skip", showlegend=False, legendgroup=name, row=1, col=column,
            )
            figure.add_scatter(
                x=position, y=line["rate"], mode="lines+markers", line={"color": colour, "width": 2.2},
                marker={"size": 5, "color": colour}, name=name, legendgroup=name, showlegend=column == 1,
                customdata=line[["n_observed", "n_ref"]],
                hovertemplate=f"{name} at %{{x}}: %{{y:.4f}}<br>%{{customdata[0]:,}} of %{{customdata[1]:,}}"
                "<extra></extra>",
                row=1, col=column,
            )
        figure.update_xaxes(title=_ENDS[end], row=1, col=column)
    figure.update_xaxes(range=[0.3, SHOWN_POSITIONS + 0.7], tickvals=[1, 5, 10, 15, 20, 25])
    # The 3' end is drawn towards the right edge, as the read lies.
    figure.update_xaxes(range=[SHOWN_POSITIONS + 0.7, 0.3], row=1, col=2)
    top = y_max if y_max is not None else max(0.3, float(shown["rate"].max(skipna=True)) * 1.08)
    figure.update_yaxes(range=[0, top])
    figure.update_yaxes(title="Misincorporation rate", row=1, col=1)
    figure.update_layout(title={"text": f"n = {reads_used:,} reads", "font": {"size": 12}})
    return finish(figure)


def length_figure(lengths: pd.DataFrame, reads_used: int) -> go.Figure:
    """Draw how long the aligned reads are, both strands together.

    Parameters
    ----------
    lengths
        Table `LENGTHS`; the aligned span is drawn.
    reads_used
        Reads behind it.
    """
    check_table(lengths, LENGTHS, "lengths")
    spans = lengths[lengths["measure"] == "span"].groupby("length", as_index=False)["count"].sum()
    figure = go.Figure()
    figure.add_bar(
        x=spans["length"], y=spans["count"], marker={"color": SKY, "line": {"width": 0}}, showlegend=False,
        hovertemplate="%{x} bases: %{y:,} reads<extra></extra>",
    )
    figure.update_layout(
        title={"text": f"n = {reads_used:,} reads", "font": {"size": 12}}, bargap=0.0,
        xaxis={"title": "Aligned length (bases)"}, yaxis={"title": "Reads"},
    )
    return finish(figure, height=280)
