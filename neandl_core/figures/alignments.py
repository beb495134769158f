"""Figure of single reads against the reference: what matches is pale, what differs has its letter and colour."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from neandl_core.figures.style import FAINT, GREEN, GREY, ORANGE, PINK, SKY, VERMILION, finish, translucent
from neandl_core.schemas import VIEWED_BASES, VIEWED_READS, check_table

_COLOURS = {
    "damage at its end": VERMILION, "C>T or G>A elsewhere": ORANGE, "other mismatch": GREY, "insertion": GREEN,
    "deletion": PINK, "clipped": SKY, "unknown": FAINT,
}
_ROW = 15
"""Pixels of a read's row."""


def alignment_figure(
    reads: pd.DataFrame, bases: pd.DataFrame, total: int, *, score: str, from_end: str = "5p"
) -> go.Figure:
    """Draw reads under each other from the 5' to the 3' end; only bases that are no match have a letter.

    Parameters
    ----------
    reads, bases
        Tables `VIEWED_READS` and `VIEWED_BASES`.
    total
        Reads that these were drawn from.
    score
        What the score is called.
    from_end
        ``5p`` or ``3p``: the end at which the reads are lined up.
    """
    check_table(reads, VIEWED_READS, "reads")
    check_table(bases, VIEWED_BASES, "bases")
    columns = reads["columns"].to_numpy(float)
    gaps = np.full(len(reads), np.nan)
    number = reads["number"].to_numpy(float)
    figure = go.Figure()
    figure.add_scatter(
        x=np.stack([np.full(len(reads), 0.5), columns + 0.5, gaps], axis=1).ravel(),
        y=np.stack([number, number, gaps], axis=1).ravel(), mode="lines",
        line={"color": translucent(GREY, 0.28), "width": 5}, name="match", hoverinfo="skip",
    )
    place = "from_5p" if from_end == "5p" else "from_3p"
    names = reads.set_index("number")["name"]
    for kind, colour in _COLOURS.items():
        rows = bases[bases["kind"] == kind]
        if rows.empty:
            continue
        quality = rows["quality"].map(lambda value: "none" if value != value else f"{value:.0f}")
        figure.add_scatter(
            x=rows[place], y=rows["number"], mode="markers+text", text=rows["base"], name=kind,
            marker={"symbol": "square", "size": 11, "color": colour, "line": {"width": 0}},
            textfont={"size": 9, "color": "#FFFFFF" if kind in ("damage at its end", "other mismatch", "insertion")
                      else "#1D2430"},
            customdata=np.stack([
                rows["reference"], rows["base"], rows["from_5p"], rows["from_3p"], quality, rows["number"].map(names),
            ], axis=1),
            hovertemplate="%{customdata[0]}>%{customdata[1]}<br>%{customdata[2]} from the 5′ end, %{customdata[3]} "
            "from the 3′ end<br>base quality %{customdata[4]}<extra>%{customdata[5]}</extra>",
        )
    longest = float(columns.max()) if len(reads) else 1.0
    span = [0.0, longest + 1.0] if from_end == "5p" else [longest + 1.0, 0.0]
    figure.update_layout(
        title={"text": f"{len(reads):,} of {total:,} reads, drawn at random", "font": {"size": 12}},
        xaxis={"title": f"Base from the {from_end[0]}′ end, 5′ left and 3′ right", "range": span, "showgrid": False},
        yaxis={
            "title": score, "range": [len(reads) + 0.7, 0.3], "tickvals": reads["number"].tolist(),
            "ticktext": [f"{value:.2f}" for value in reads["score"]], "tickfont": {"size": 10}, "showgrid": False,
        },
    )
    finish(figure, height=164 + _ROW * max(6, len(reads)))
    # Held to the lower edge: how many rows the legend has depends on the page's width.
    return figure.update_layout(
        margin={"b": 100}, legend={"yref": "container", "y": 0.0, "yanchor": "bottom", "font": {"size": 12}}
    )
