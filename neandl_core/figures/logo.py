"""A sequence logo, its letters drawn as filled outlines so that screen and print show the same."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from neandl_core.figures.style import BLUE, GREEN, ORANGE, VERMILION, finish

COLOURS = {"A": GREEN, "C": BLUE, "G": ORANGE, "T": VERMILION}


def logo_figure(heights: np.ndarray, count: int) -> go.Figure:
    """Draw letters stacked by position, the tallest on top.

    Parameters
    ----------
    heights
        (k, 4) bits of A, C, G and T at each position, as `kmer_selection.information` gives them.
    count
        K-mers behind it.
    """
    figure = go.Figure()
    paths: dict[str, list[np.ndarray]] = {letter: [] for letter in COLOURS}
    for place, row in enumerate(heights):
        bottom = 0.0
        for base in np.argsort(row, kind="stable"):
            if row[base] > 0:
                outline = _OUTLINES["ACGT"[base]]
                paths["ACGT"[base]].append(
                    np.column_stack([place + 0.55 + 0.9 * outline[:, 0], bottom + row[base] * outline[:, 1]])
                )
                bottom += row[base]
    for letter, found in paths.items():
        gap = np.full((1, 2), np.nan)
        whole = np.vstack([part for outline in found for part in (outline, gap)][:-1]) if found else gap
        figure.add_scatter(
            x=whole[:, 0], y=whole[:, 1], mode="lines", fill="toself", fillcolor=COLOURS[letter], name=letter,
            line={"width": 0, "color": COLOURS[letter]}, hoverinfo="skip", showlegend=False,
        )
    top = float(heights.sum(axis=1).max(initial=0))
    figure.update_layout(
        title={"text": f"n = {count:,} k-mers", "font": {"size": 12}},
        xaxis={"title": "Position in the k-mer", "range": [0.5, len(heights) + 0.5], "showgrid": False,
               "tickvals": list(range(1, len(heights) + 1)), "ticktext": [str(n) for n in range(1, len(heights) + 1)]},
        yaxis={"title": "Bits", "range": [0, max(0.2, 1.08 * top)]},
    )
    return finish(figure, height=240)


def _arc(start: float, stop: float, outer: bool) -> np.ndarray:
    angle = np.radians(np.linspace(start, stop, 40))
    across, up = (0.5, 0.5) if outer else (0.31, 0.34)
    return np.column_stack([0.5 + across * np.cos(angle), 0.5 + up * np.sin(angle)])


def _outlines() -> dict[str, np.ndarray]:
    """Outlines within the unit square. A's hole is joined to its edge, as an outline has no holes."""
    letter_a = [
        (0, 0), (0.19, 0), (0.29, 0.26), (0.71, 0.26), (0.81, 0), (1, 0), (0.6, 1), (0.5, 1), (0.5, 0.84), (0.65, 0.41),
        (0.35, 0.41), (0.5, 0.84), (0.5, 1), (0.4, 1),
    ]
    letter_c = np.vstack([_arc(42, 318, True), _arc(318, 42, False)])
    bar = [(0.88, 0.17), (1, 0.17), (1, 0.52), (0.56, 0.52), (0.56, 0.38), (0.81, 0.38), (0.81, 0.25)]
    letter_g = np.vstack([_arc(42, 318, True), bar, _arc(318, 42, False)])
    letter_t = [(0.41, 0), (0.59, 0), (0.59, 0.85), (1, 0.85), (1, 1), (0, 1), (0, 0.85), (0.41, 0.85)]
    shapes = {"A": letter_a, "C": letter_c, "G": letter_g, "T": letter_t}
    closed = {}
    for letter, shape in shapes.items():
        outline = np.array(shape, float)
        outline = (outline - outline.min(axis=0)) / (outline.max(axis=0) - outline.min(axis=0))
        closed[letter] = np.vstack([outline, outline[:1]])
    return closed


_OUTLINES = _outlines()
