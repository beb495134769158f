"""Figures of a windows dataset: what the test part shares with the training part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from neandl_core.figures.style import BLUE, VERMILION, finish

_LEAKS = {
    "overlap_150": "same place of the genome",
    "identical": "same sequence",
    "near_identical": "near copy elsewhere",
}


def audit_figure(audits: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Draw, per split, the share of test windows that a model has already seen in training, by kind of leak.

    Parameters
    ----------
    audits
        One or two results of `audit.audit_split`.
    """
    figure = go.Figure()
    for audit in audits:
        colour = VERMILION if audit["leaking"] else BLUE
        shares = [audit[key] for key in _LEAKS]
        figure.add_bar(
            y=list(_LEAKS.values()), x=shares, orientation="h", name=f"{audit['split']} split",
            marker={"color": colour}, text=[f"{share:.1%}" for share in shares], textposition="outside",
            cliponaxis=False, hovertemplate="%{y}: %{x:.2%}<extra></extra>",
        )
    tests = " and ".join(f"{audit['test_windows']:,}" for audit in audits)
    figure.update_layout(
        title={"text": f"n = {tests} test windows", "font": {"size": 12}},
        xaxis={"title": "Share of test windows seen in training", "range": [0, 1.1], "tickformat": ".0%"},
        yaxis={"autorange": "reversed"}, barmode="group", bargap=0.35,
    )
    return finish(figure, height=300)


def gc_figure(gc: Sequence[float], labels: Sequence[int], classes: Sequence[str]) -> go.Figure:
    """Draw the GC content of both classes as step histograms of 50 bins, each class on its own scale of shares.

    Parameters
    ----------
    gc
        Share of G and C of each window.
    labels
        Class of each window, 0 or 1.
    classes
        Names of class 0 and 1.
    """
    edges = np.linspace(0, 1, 51)
    figure = go.Figure()
    values, kinds = np.asarray(gc, float), np.asarray(labels)
    for label, colour in ((0, BLUE), (1, VERMILION)):
        counts, _ = np.histogram(values[kinds == label], edges)
        total = max(1, counts.sum())
        figure.add_scatter(
            x=(edges[:-1] + edges[1:]) / 2, y=counts / total, mode="lines", name=f"{classes[label]} (n = {total:,})",
            line={"color": colour, "width": 2, "shape": "hvh"},
        )
    figure.update_layout(
        xaxis={"title": "GC content of the window", "tickformat": ".0%", "range": [0.1, 0.9]},
        yaxis={"title": "Share of windows", "rangemode": "tozero", "tickformat": ".0%"},
    )
    return finish(figure, height=280)
