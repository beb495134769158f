"""Figures of single reads: scores with the fit behind the estimate, calibration, damage of both sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from neandl_core.config import SHOWN_POSITIONS
from neandl_core.figures.style import BLUE, FAINT, GREY, VERMILION, finish, translucent
from neandl_core.schemas import DAMAGE_RATES, EXAMPLES, SCORES, check_table

SIDE_COLOUR = {"ancient": VERMILION, "modern": BLUE}
_TICKS = 7


def score_histogram(scores: pd.DataFrame, estimate: float, low: float, high: float) -> go.Figure:
    """Draw the reads of a sample by P(ancient), and the two classes that the fit makes them of.

    Bins hold equal numbers of held-out reads, so that none is empty; their borders are written at the axis.

    Parameters
    ----------
    scores
        Table `SCORES`.
    estimate, low, high
        Share of modern reads with its 95% interval, written into the figure.
    """
    check_table(scores, SCORES, "scores")
    number = list(range(1, len(scores) + 1))
    total = max(1, int(scores["reads"].sum()))
    figure = go.Figure()
    ranges = [f"{row.low:.3f} to {row.high:.3f}" for row in scores.itertuples()]
    figure.add_bar(
        x=number, y=scores["reads"] / total, marker={"color": FAINT, "line": {"width": 0}}, name="reads of the sample",
        customdata=list(zip(ranges, scores["reads"], strict=True)),
        hovertemplate="P(ancient) %{customdata[0]}<br>%{customdata[1]:,} reads<extra></extra>",
    )
    both = scores["fitted_modern"] + scores["fitted_ancient"]
    for values, name, colour, dash in (
        (scores["fitted_modern"], "modern, fitted", BLUE, "solid"),
        (scores["fitted_ancient"], "ancient, fitted", VERMILION, "solid"), (both, "both together", GREY, "dash"),
    ):
        figure.add_scatter(
            x=number, y=values / total, mode="lines", name=name, line={"color": colour, "width": 2.2, "dash": dash},
            hovertemplate=f"{name}: %{{y:.2%}}<extra></extra>",
        )
    step = max(1, round(len(number) / _TICKS))
    shown = number[::step]
    figure.update_layout(
        title={"text": f"n = {total:,} reads, {estimate:.1%} modern ({low:.1%} to {high:.1%})", "font": {"size": 12}},
        xaxis={
            "title": "P(ancient), lower border of each bin", "tickvals": shown,
            "ticktext": [f"{scores['low'].iloc[place - 1]:.2f}" for place in shown],
        },
        yaxis={"title": "Share of reads", "rangemode": "tozero", "tickformat": ".0%"}, bargap=0.15,
    )
    return finish(figure)


def match_figure(examples: pd.DataFrame) -> tuple[go.Figure, pd.DataFrame]:
    """Draw the lengths and the GC of both classes of a read dataset over each other.

    Parameters
    ----------
    examples
        Table `EXAMPLES` with `length`.

    Returns
    -------
    figure, table
        The table has measure, value (bases; per cent in steps of 4), class, reads and their share.
    """
    check_table(examples, EXAMPLES, "examples")
    values = {"length": examples["length"], "GC": (25 * examples["gc"]).round() * 4}
    rows = []
    for measure, numbers in values.items():
        for label, side in ((1, "ancient"), (0, "modern")):
            counts = numbers[examples["label"] == label].dropna().value_counts().sort_index()
            rows.append(pd.DataFrame({
                "measure": measure, "value": counts.index, "class": side, "reads": counts.to_numpy(),
                "share": counts.to_numpy() / max(1, counts.sum()),
            }))
    table = pd.concat(rows, ignore_index=True)
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.1)
    for column, (measure, title) in enumerate((("length", "Length (bases)"), ("GC", "GC (%)")), start=1):
        for side, width, dash in (("ancient", 3.4, "solid"), ("modern", 1.8, "dot")):
            line = table[(table["measure"] == measure) & (table["class"] == side)]
            figure.add_scatter(
                x=line["value"], y=line["share"], mode="lines", name=side, legendgroup=side, showlegend=column == 1,
                line={"color": SIDE_COLOUR[side], "width": width, "dash": dash}, customdata=line["reads"],
                hovertemplate=f"{side}, {measure} %{{x}}: %{{customdata:,}} reads<extra></extra>", row=1, col=column,
            )
        figure.update_xaxes(title=title, row=1, col=column)
    figure.update_yaxes(rangemode="tozero", tickformat=".0%")
    figure.update_yaxes(title="Share of reads", row=1, col=1)
    n = examples["label"].value_counts()
    figure.update_layout(title={
        "text": f"n = {n.get(1, 0):,} ancient, {n.get(0, 0):,} modern reads", "font": {"size": 12},
    })
    return finish(figure, height=300), table


def reliability_figure(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], n: int) -> go.Figure:
    """Draw how many reads of each probability are ancient, before and after calibration; the diagonal is right.

    Parameters
    ----------
    before, after
        Rows with `mean_probability`, `observed` and `count`; empty bins are left out. `after` may be empty.
    n
        Held-out reads behind them.
    """
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": GREY, "width": 1, "dash": "dot"}, name="right",
        hoverinfo="skip",
    )
    for rows, name, colour in ((before, "before calibration", FAINT), (after, "calibrated", VERMILION)):
        full = [row for row in rows if row["count"]]
        if not full:
            continue
        figure.add_scatter(
            x=[row["mean_probability"] for row in full], y=[row["observed"] for row in full], mode="lines+markers",
            name=name, line={"color": colour, "width": 2}, marker={"color": colour, "size": 6},
            customdata=[row["count"] for row in full],
            hovertemplate="P %{x:.2f}: %{y:.1%} ancient of %{customdata:,} reads<extra></extra>",
        )
    figure.update_layout(
        title={"text": f"n = {n:,} held-out reads", "font": {"size": 12}},
        xaxis={"title": "P(ancient)", "range": [-0.02, 1.02]},
        yaxis={"title": "Share that is ancient", "range": [-0.02, 1.02]},
    )
    return finish(figure)


def sides_figure(rates: Mapping[str, pd.DataFrame], reads: Mapping[str, int], at_3p: str = "G>A") -> go.Figure:
    """Draw damage of the reads called ancient and of those called modern, both ends beside each other.

    Parameters
    ----------
    rates
        ``ancient`` and ``modern`` -> table `DAMAGE_RATES`; one may be missing.
    reads
        Reads behind each.
    at_3p
        Substitution drawn at the 3' end: G>A in double-stranded, C>T in single-stranded libraries.
    """
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.05)
    ends = (("5p", "C>T", "5′"), ("3p", at_3p, "3′"))
    top = 0.3
    for column, (end, substitution, text) in enumerate(ends, start=1):
        for side, table in rates.items():
            check_table(table, DAMAGE_RATES, "damage rates")
            line = table[
                (table["end"] == end) & (table["substitution"] == substitution) & (table["position"] < SHOWN_POSITIONS)
            ].sort_values("position").dropna(subset=["rate"])
            if len(line):
                top = max(top, float(line["rate"].max()) * 1.08)
            position, colour = line["position"] + 1, SIDE_COLOUR[side]
            figure.add_scatter(
                x=pd.concat([position, position[::-1]]), y=pd.concat([line["high"], line["low"][::-1]]),
                fill="toself", fillcolor=translucent(colour, 0.2), line={"width": 0}, mode="lines", hoverinfo="skip",
                showlegend=False, legendgroup=side, row=1, col=column,
            )
            figure.add_scatter(
                x=position, y=line["rate"], mode="lines" if len(line) > 1 else "markers",
                line={"color": colour, "width": 2.2},
                marker={"size": 5, "color": colour}, name=f"called {side}", legendgroup=side, showlegend=column == 1,
                hovertemplate=f"{substitution} at %{{x}}: %{{y:.4f}}<extra>{side}</extra>", row=1, col=column,
            )
        figure.update_xaxes(title=f"{substitution}, bases from {text} end", row=1, col=column)
    figure.update_xaxes(range=[0.3, SHOWN_POSITIONS + 0.7], tickvals=[1, 5, 10, 15, 20, 25])
    figure.update_xaxes(range=[SHOWN_POSITIONS + 0.7, 0.3], row=1, col=2)
    figure.update_yaxes(range=[0, top])
    figure.update_yaxes(title="Misincorporation rate", row=1, col=1)
    counts = ", ".join(f"{reads[side]:,} called {side}" for side in rates)
    figure.update_layout(title={"text": f"n = {counts}", "font": {"size": 12}})
    return finish(figure)
