"""Figures of the evidence about genes: regions over one gene, its expression, and how far scores agree with maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from neandl_core.figures.style import BLUE, FAINT, GREEN, GREY, ORANGE, VERMILION, finish

_TISSUES_SHOWN = 16


def locus_figure(
    span: tuple[int, int], contig: str, exons: pd.DataFrame, segments: pd.DataFrame, lists: Sequence[tuple[str, str]]
) -> go.Figure:
    """Draw exons, the segments of each map and deserts along a gene, one row each.

    Parameters
    ----------
    span
        First and one past the last base of the gene, 0-based.
    contig
        Chromosome, for the axis.
    exons
        `start`, `end`; may be empty.
    segments
        `map`, `kind`, `start`, `end` of the regions that touch the gene.
    lists
        (map, kind) of every row to draw, also those without a region here.
    """
    rows = ["gene", *(name for name, _ in lists)]
    view = view_of(span)
    figure = go.Figure()
    figure.add_scatter(**_bars([span], "gene", view, GREY, 3 if len(exons) else 9), name="gene")
    if len(exons):
        pairs = list(zip(exons["start"], exons["end"], strict=True))
        figure.add_scatter(**_bars(pairs, "gene", view, GREEN, 11), name="exon")
    for kind, name, colour in (("map", "published map", VERMILION), ("depleted", "desert", BLUE)):
        x, y = [], []
        for one, of in lists:
            own = segments[segments["map"] == one]
            drawn = _bars(list(zip(own["start"], own["end"], strict=True)), one, view, colour, 9)
            if of == kind:
                # An invisible point keeps the row of a list that has nothing here.
                x += [*drawn["x"], np.nan]
                y += [*drawn["y"], one]
        if x:
            figure.add_scatter(x=x, y=y, mode="lines", line={"color": colour, "width": 9}, name=name, hoverinfo="y")
    touching = segments[segments["kind"] == "map"]["map"].nunique()
    of_maps = sum(kind == "map" for _, kind in lists)
    figure.update_layout(
        title={"text": f"{touching} of {of_maps} maps touch it", "font": {"size": 12}},
        xaxis={"title": f"{contig} (Mb)", "range": [view[0] / 1e6, view[1] / 1e6], "nticks": 6},
        yaxis={"categoryorder": "array", "categoryarray": rows, "autorange": "reversed"},
    )
    return finish(figure, height=120 + 22 * len(rows))


def view_of(span: tuple[int, int]) -> tuple[int, int]:
    """Return the stretch to draw for a gene: the gene and a twentieth on either side, 500 bases at least."""
    margin = max(500, (span[1] - span[0]) // 20)
    return max(0, span[0] - margin), span[1] + margin


def _bars(
    spans: Sequence[tuple[int, int]], row: str, view: tuple[int, int], colour: str, width: int
) -> dict[str, Any]:
    """Return thick lines along a row, in megabases, clipped to the view, one after the other."""
    x: list[float] = []
    for start, end in spans:
        x += [max(start, view[0]) / 1e6, min(end, view[1]) / 1e6, np.nan]
    return {"x": x, "y": [row] * len(x), "mode": "lines", "line": {"color": colour, "width": width}, "hoverinfo": "y"}


def expression_figure(values: Mapping[str, float], brain: Sequence[str], symbol: str) -> go.Figure:
    """Draw a gene's expression in the tissues where it is highest.

    Parameters
    ----------
    values
        Tissue -> median TPM.
    brain
        Tissues of the central nervous system, in another colour.
    symbol
        The gene.
    """
    order = sorted(values, key=lambda name: -values[name])[:_TISSUES_SHOWN]
    figure = go.Figure()
    for name, colour, inside in (("central nervous system", BLUE, True), ("other tissue", FAINT, False)):
        own = [tissue for tissue in order if (tissue in brain) == inside]
        if own:
            figure.add_bar(
                y=own, x=[values[tissue] for tissue in own], orientation="h", name=name, marker={"color": colour},
                hovertemplate="%{y}: %{x:.1f} TPM<extra></extra>",
            )
    figure.update_layout(
        title={"text": f"{symbol}: the {len(order)} highest of {len(values)} tissues", "font": {"size": 12}},
        xaxis={"title": "Median expression (TPM)", "rangemode": "tozero"}, barmode="overlay", bargap=0.25,
        yaxis={"categoryorder": "array", "categoryarray": order, "autorange": "reversed"},
    )
    return finish(figure, height=130 + 18 * len(order))


def agreement_figure(rows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Draw how well scores rank genes that maps support above the others, with intervals and the line of chance.

    Parameters
    ----------
    rows
        Of `gene_agreement.agreement`: `score`, `truth`, `auc`, `low`, `high`; those without an AUC are left out.
    """
    known = [row for row in rows if row["auc"] is not None]
    figure = go.Figure()
    truths = list(dict.fromkeys(row["truth"] for row in known))
    colours = (VERMILION, BLUE, ORANGE, GREEN)
    names = list(dict.fromkeys(row["score"] for row in known))
    for place, truth in enumerate(truths):
        own = [row for row in known if row["truth"] == truth]
        shift = (place - (len(truths) - 1) / 2) * 0.22
        figure.add_scatter(
            x=[row["auc"] for row in own], y=[names.index(row["score"]) + shift for row in own], mode="markers",
            name=truth.split(",")[0], marker={"color": colours[place % len(colours)], "size": 9},
            error_x={
                "type": "data", "symmetric": False, "array": [row["high"] - row["auc"] for row in own],
                "arrayminus": [row["auc"] - row["low"] for row in own],
            },
            hovertemplate="AUC %{x:.3f}<extra></extra>",
        )
    figure.add_vline(x=0.5, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.update_layout(
        xaxis={"title": "AUC against the maps (0.5 = chance)", "range": [0.3, 1.0]},
        yaxis={"tickvals": list(range(len(names))), "ticktext": names, "range": [len(names) - 0.5, -0.5]},
    )
    return finish(figure, height=170 + 42 * len(names))
