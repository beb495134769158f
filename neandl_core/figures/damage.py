"""Figures of the read side: misincorporation by position, of one sample and of many, read lengths, PMD scores."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from neandl_core.config import SHOWN_POSITIONS
from neandl_core.figures.style import C_TO_T, FAINT, G_TO_A, GREY, SERIES, SKY, finish, translucent
from neandl_core.schemas import DAMAGE_RATES, LENGTHS, PMD_SCORES, check_table

_SHOWN = {"C>T": C_TO_T, "G>A": G_TO_A}
_ENDS = {"5p": "Distance from 5′ end (bases)", "3p": "Distance from 3′ end (bases)"}


def damage_figure(
    rates: pd.DataFrame, reads_used: int, *, y_max: float | None = None, drawn: bool = False
) -> go.Figure:
    """Draw the misincorporation rate at both ends: C>T and G>A with 95% bands, the other ten substitutions in grey.

    Parameters
    ----------
    rates
        Table `DAMAGE_RATES`.
    reads_used
        Reads behind it, shown in the figure.
    y_max
        Upper end of the y axis, to compare samples; by default 0.3, or more if a rate is higher.
    drawn
        Whether the reads are a subsample, which the figure then says.
    """
    check_table(rates, DAMAGE_RATES, "damage rates")
    shown = rates[rates["position"] < SHOWN_POSITIONS]
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.05)
    for column, end in enumerate(_ENDS, start=1):
        here = shown[shown["end"] == end]
        # One line with gaps for all others: ten lines of their own take five times as long to draw.
        others = here[~here["substitution"].isin(_SHOWN)].sort_values(["substitution", "position"])
        ends = others[~others["substitution"].duplicated(keep="last")].assign(rate=np.nan)
        line = pd.concat([others, ends]).sort_values(["substitution", "position"], kind="stable")
        figure.add_scatter(
            x=line["position"] + 1, y=line["rate"], mode="lines", line={"color": FAINT, "width": 1},
            name="other substitutions", legendgroup="other", showlegend=column == 1, customdata=line["substitution"],
            hovertemplate="%{customdata} %{y:.4f}<extra></extra>", row=1, col=column,
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
                # A point for each position makes the figure half as quick to draw, and no easier to read.
                x=position, y=line["rate"], mode="lines" if len(line) > 1 else "markers",
                line={"color": colour, "width": 2.2},
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
    text = f"n = {reads_used:,} reads" + (" of a subsample drawn over the whole file" if drawn else "")
    figure.update_layout(title={"text": text, "font": {"size": 12}})
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


@dataclass(frozen=True)
class Curve:
    """One sample's line in `overlay_figure`.

    `c_to_t_5p` and `three_prime` are rates by position from the end, None where nothing was counted; `reads` is how
    many are behind them, `three_prime_name` the substitution at the 3' end.
    """

    name: str
    reads: int
    c_to_t_5p: Sequence[float | None]
    three_prime: Sequence[float | None]
    three_prime_name: str = "G>A"


_HOVER = "%{customdata[2]} at %{x}: %{y:.4f}<br>%{customdata[1]} reads<extra>%{customdata[0]}</extra>"


def overlay_figure(curves: Sequence[Curve], *, y_max: float = 0.3, marked: Collection[int] = ()) -> go.Figure:
    """Draw the damage of several samples over each other, on an axis that does not depend on which are shown.

    Parameters
    ----------
    curves
        Up to ten are told apart by colour and named in the legend; of more only those marked are, and the others are
        thin, grey and named on hovering.
    y_max
        Upper end of the y axis.
    marked
        Indices of curves to be coloured before the others; beyond ten the colours are used again.
    """
    coloured = list(marked) or (list(range(len(curves))) if len(curves) <= len(SERIES) else [])
    colours = {index: SERIES[turn % len(SERIES)] for turn, index in enumerate(coloured)}
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.05)
    grey = [curve for number, curve in enumerate(curves) if number not in colours]
    for column in (1, 2):
        # One line with gaps for all that are grey: a hundred lines of their own would be slow to draw.
        parts = [_line(curve, column, gap=True) for curve in grey]
        if parts:
            figure.add_scatter(
                x=np.concatenate([part[0] for part in parts]), y=np.concatenate([part[1] for part in parts]),
                customdata=np.concatenate([part[2] for part in parts]), mode="lines", name="others", showlegend=False,
                line={"color": translucent(GREY, 0.45), "width": 1}, hovertemplate=_HOVER, row=1, col=column,
            )
        for number, colour in colours.items():
            x, y, said = _line(curves[number], column, gap=False)
            figure.add_scatter(
                x=x, y=y, customdata=said, mode="lines", name=curves[number].name, legendgroup=str(number),
                showlegend=column == 1, line={"color": colour, "width": 2}, hovertemplate=_HOVER, row=1, col=column,
            )
    for column, end in enumerate(_ENDS, start=1):
        figure.update_xaxes(title=_ENDS[end], row=1, col=column)
    figure.update_xaxes(range=[0.3, SHOWN_POSITIONS + 0.7], tickvals=[1, 5, 10, 15, 20, 25])
    figure.update_xaxes(range=[SHOWN_POSITIONS + 0.7, 0.3], row=1, col=2)
    figure.update_yaxes(range=[0, y_max])
    figure.update_yaxes(title="Misincorporation rate", row=1, col=1)
    figure.update_layout(title={"text": f"{len(curves):,} profiles", "font": {"size": 12}})
    return finish(figure)


def _line(curve: Curve, column: int, *, gap: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (positions from 1, rates, what hovering says) of one end; with a gap behind, to put lines together."""
    name, rates = ("C>T", curve.c_to_t_5p) if column == 1 else (curve.three_prime_name, curve.three_prime)
    y = [np.nan if rate is None else rate for rate in rates] + [np.nan] * gap
    said = np.array([[curve.name, f"{curve.reads:,}", name]] * len(y), dtype=object)
    return np.arange(1, len(y) + 1), np.array(y, float), said


def pmd_figure(scores: pd.DataFrame, threshold: float) -> go.Figure:
    """Draw how many reads have which PMD score; those from the threshold up in colour.

    Parameters
    ----------
    scores
        Table `PMD_SCORES`; bins without a read at both ends are not shown.
    threshold
        Score from which reads are kept.
    """
    check_table(scores, PMD_SCORES, "PMD scores")
    seen = np.flatnonzero(scores["count"])
    shown = scores.iloc[seen[0] : seen[-1] + 1] if seen.size else scores.iloc[:0]
    width = float(scores["score"].iloc[1] - scores["score"].iloc[0]) if len(scores) > 1 else 0.1
    kept = shown["score"] >= threshold - width / 100
    figure = go.Figure()
    for name, colour, rows in (("below the threshold", GREY, shown[~kept]), ("kept", C_TO_T, shown[kept])):
        figure.add_bar(
            x=rows["score"] + width / 2, y=rows["count"], width=width, name=name,
            marker={"color": colour, "line": {"width": 0}}, hovertemplate="%{x:.2f}: %{y:,} reads<extra></extra>",
        )
    figure.add_vline(x=threshold, line={"color": C_TO_T, "width": 1.5, "dash": "dash"})
    figure.update_layout(
        title={"text": f"n = {int(scores['count'].sum()):,} reads", "font": {"size": 12}}, bargap=0.0,
        barmode="overlay", xaxis={"title": "PMD score"}, yaxis={"title": "Reads"},
    )
    return finish(figure, height=300)


def figures_figure(figures: pd.DataFrame) -> go.Figure:
    """Draw the reads by edit distance, GC and mapping quality side by side; table `READ_FIGURES`."""
    titles = {"edit_distance": "Edit distance", "gc_percent": "GC (%)", "mapping_quality": "Mapping quality"}
    figure = make_subplots(rows=1, cols=3, horizontal_spacing=0.08)
    for column, (name, title) in enumerate(titles.items(), start=1):
        rows = figures[figures["figure"] == name]
        figure.add_bar(
            x=rows["value"], y=rows["count"], marker={"color": SKY, "line": {"width": 0}}, showlegend=False,
            hovertemplate=f"{title} %{{x}}: %{{y:,}} reads<extra></extra>", row=1, col=column,
        )
        figure.update_xaxes(title=title, row=1, col=column)
    figure.update_yaxes(title="Reads", row=1, col=1)
    return finish(figure, height=280)


def composition_figure(composition: pd.DataFrame) -> go.Figure:
    """Draw the share of each base 10 bases before to 15 within the read at the 5' end, and its mirror at the 3' end.

    Table `COMPOSITION`, both strands together. Purines before the read and the first base's composition tell where
    molecules broke.
    """
    colours = {"A": SERIES[2], "C": C_TO_T, "G": G_TO_A, "T": SERIES[4]}
    figure = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.05)
    for column, (end, low, high) in enumerate((("5p", -10, 15), ("3p", -15, 10)), start=1):
        rows = composition[(composition["end"] == end) & composition["position"].between(low, high)]
        rows = rows.groupby("position", as_index=False)[list("ACGT")].sum()
        total = rows[list("ACGT")].sum(axis=1)
        for base, colour in colours.items():
            figure.add_scatter(
                x=rows["position"], y=rows[base] / total.where(total > 0), mode="lines+markers", name=base,
                legendgroup=base, showlegend=column == 1, line={"color": colour, "width": 1.6}, marker={"size": 4},
                hovertemplate=f"{base} at %{{x}}: %{{y:.3f}}<extra></extra>", row=1, col=column,
            )
        figure.add_vline(x=0, line={"color": FAINT, "width": 1, "dash": "dot"}, row=1, col=column)
        figure.update_xaxes(title=f"Bases from the {end[0]}′ end", row=1, col=column)
    figure.update_yaxes(title="Share of bases", row=1, col=1)
    return finish(figure, height=300)
