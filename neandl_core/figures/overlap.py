"""Figures of the overlap test: what random placements give, and where the real segments lie."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from neandl_core.figures.style import BLUE, FAINT, VERMILION, finish

_AXES = {
    "pairs": ("Pairs of a segment and a gene that meet", ",.0f"),
    "genes": ("Distinct genes met", ",.0f"),
    "segments_hit": ("Segments that meet a gene", ".1%"),
    "genic_bases": ("Segment bases that are genic", ".1%"),
}
_BINS = 60


def overlap_figure(placements: pd.DataFrame, statistics: pd.DataFrame, statistic: str, null: str) -> go.Figure:
    """Draw the placements of a null model as a histogram, the naive ones faint behind, and the observed value.

    Parameters
    ----------
    placements
        `null`, and one column per statistic; one row per placement.
    statistics
        `null`, `statistic`, `observed`.
    statistic
        pairs, genes, segments_hit or genic_bases.
    null
        The chosen null model; ``naive`` is the other that may be there.
    """
    label, form = _AXES[statistic]
    chosen = placements.loc[placements["null"] == null, statistic].to_numpy()
    naive = placements.loc[placements["null"] == "naive", statistic].to_numpy()
    row = statistics[(statistics["null"] == null) & (statistics["statistic"] == statistic)].iloc[0]
    observed = float(row["observed"])
    every = np.concatenate([chosen, naive, [observed]])
    widest = every.max() - every.min() or max(1.0, abs(every[0])) * 0.01
    edges = np.linspace(every.min(), every.min() + widest, _BINS + 1)
    figure = go.Figure()
    for values, name, colour in ((naive, "each segment by itself", FAINT), (chosen, _name(null), BLUE)):
        if len(values):
            counts, _ = np.histogram(values, edges)
            figure.add_bar(
                x=(edges[:-1] + edges[1:]) / 2, y=counts / len(values), width=edges[1] - edges[0], name=name,
                marker={"color": colour, "line": {"width": 0}}, opacity=0.85,
                hovertemplate="%{x:" + form + "}: %{y:.1%} of placements<extra></extra>",
            )
    figure.add_vline(x=observed, line={"color": VERMILION, "width": 2})
    left = observed < (edges[0] + edges[-1]) / 2
    figure.add_annotation(
        x=observed, y=1, yref="paper", text=f"observed {observed:{form}}", showarrow=False, yanchor="top",
        xanchor="left" if left else "right", xshift=6 if left else -6, font={"color": VERMILION},
    )
    figure.update_layout(
        title={"text": f"n = {len(chosen):,} random placements", "font": {"size": 12}}, barmode="overlay", bargap=0,
        xaxis={"title": label, "tickformat": form}, yaxis={"title": "Share of placements", "tickformat": ".0%"},
    )
    return finish(figure, height=340)


def _name(null: str) -> str:
    return {"rotation": "piles kept together", "mask": "each locus inside the mask"}.get(null, "anywhere")
