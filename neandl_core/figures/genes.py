"""Figures of the gene table: one gene's probabilities along its locus, and all genes at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from neandl_core.figures.style import BLUE, FAINT, GREEN, ORANGE, VERMILION, finish
from neandl_core.schemas import GENES, check_table


def gene_track_figure(
    track: pd.DataFrame, threshold: float, window: int, contig: str, *, span: tuple[int, int] | None = None
) -> go.Figure:
    """Draw the probability of every window over a gene, with a running mean and the threshold.

    Parameters
    ----------
    track
        `start` (0-based) and `probability` of each window.
    threshold
        Probability from which a gene is called introgressed.
    window
        Bases per window.
    contig
        Chromosome, for the axis.
    span
        First and one past the last base to draw; the track's own if None.
    """
    track = track.sort_values("start")
    middle = (track["start"] + window / 2) / 1e6
    figure = go.Figure()
    figure.add_scatter(
        x=middle, y=track["probability"], mode="markers", marker={"size": 4, "color": FAINT}, name="window",
        hovertemplate="%{x:.4f} Mb: %{y:.2f}<extra></extra>",
    )
    smooth = track["probability"].rolling(max(5, len(track) // 40), center=True, min_periods=1).mean()
    figure.add_scatter(x=middle, y=smooth, mode="lines", line={"color": BLUE, "width": 2}, name="running mean")
    figure.add_hline(y=threshold, line={"color": VERMILION, "width": 1, "dash": "dot"})
    low, high = span if span else (track["start"].min(), track["start"].max() + window)
    figure.update_layout(
        title={"text": f"n = {len(track):,} window{'s' * (len(track) != 1)} of {window} bases", "font": {"size": 12}},
        xaxis={"title": f"{contig} (Mb)", "range": [low / 1e6, high / 1e6]},
        yaxis={"title": "P(introgressed)", "range": [-0.03, 1.03]},
    )
    return finish(figure, height=300)


def gene_histogram(genes: pd.DataFrame, threshold: float, marked: str | None = None) -> go.Figure:
    """Draw the probabilities of all scored genes, with the threshold and one gene marked.

    Parameters
    ----------
    genes
        Table `GENES`.
    threshold
        Drawn as a line.
    marked
        Symbol of a gene to point at.
    """
    check_table(genes, GENES, "genes")
    scored = genes.dropna(subset=["probability"])
    counts, edges = np.histogram(scored["probability"], bins=np.linspace(0, 1, 51))
    figure = go.Figure()
    figure.add_bar(
        x=(edges[:-1] + edges[1:]) / 2, y=counts, width=0.02, marker={"color": GREEN, "line": {"width": 0}},
        showlegend=False, hovertemplate="P %{x:.2f}: %{y:,} genes<extra></extra>",
    )
    figure.add_vline(x=threshold, line={"color": VERMILION, "width": 1, "dash": "dot"})
    own = scored[scored["symbol"] == marked]
    if len(own):
        figure.add_vline(x=float(own["probability"].iloc[0]), line={"color": BLUE, "width": 2})
        figure.add_annotation(
            x=float(own["probability"].iloc[0]), y=1, yref="paper", text=marked, showarrow=False, xanchor="left",
            yanchor="top", xshift=4,
        )
    figure.update_layout(
        title={"text": f"n = {len(scored):,} genes", "font": {"size": 12}}, bargap=0,
        xaxis={"title": "P(introgressed), mean over the gene's windows", "range": [0, 1]}, yaxis={"title": "Genes"},
    )
    return finish(figure, height=280)


def evidence_figure(evidence: pd.DataFrame, symbol: str) -> go.Figure:
    """Draw how much of a gene each published map, consensus and depleted region covers.

    Parameters
    ----------
    evidence
        Rows of one gene: `map`, `kind` (map, consensus or depleted), `share` (of the gene's bases, 0 to 1).
    symbol
        The gene.
    """
    figure = go.Figure()
    order = {kind: place for place, kind in enumerate(_EVIDENCE)}
    rows = evidence.assign(order=evidence["kind"].map(order)).sort_values(["order", "map"], kind="stable")
    for kind, (name, colour) in _EVIDENCE.items():
        here = rows[rows["kind"] == kind]
        if len(here):
            figure.add_bar(
                y=here["map"], x=here["share"], orientation="h", name=name, marker={"color": colour},
                text=[f"{share:.0%}" for share in here["share"]], textposition="outside", cliponaxis=False,
                hovertemplate="%{y}: %{x:.1%}<extra></extra>",
            )
    maps = rows[rows["kind"] == "map"]
    figure.update_layout(
        title={"text": f"{symbol}: {(maps['share'] > 0).sum()} of {len(maps)} maps touch it", "font": {"size": 12}},
        xaxis={"title": "Share of the gene covered", "range": [0, 1.12], "tickformat": ".0%"},
        yaxis={"autorange": "reversed", "categoryorder": "array", "categoryarray": rows["map"].tolist()},
        bargap=0.35, barmode="overlay",
    )
    return finish(figure, height=130 + 24 * len(rows))


_EVIDENCE = {
    "map": ("published map", VERMILION), "consensus": ("agreed by several", ORANGE),
    "depleted": ("depleted or desert", BLUE),
}
