"""One look for all figures: Okabe-Ito colours, one font, quiet axes; light for print, light or dark on the screen."""

from __future__ import annotations

import plotly.graph_objects as go

BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"
PINK = "#CC79A7"
ORANGE = "#E69F00"
SKY = "#56B4E9"
YELLOW = "#F0E442"
GREY = "#8A8F98"
FAINT = "#B9BEC6"
SERIES = (BLUE, VERMILION, GREEN, PINK, ORANGE, SKY, GREY, "#44AA99", "#882255", FAINT)
"""Colours of series without a meaning of their own (Okabe and Ito 2008, then greys and Tol's muted)."""

INTROGRESSED = VERMILION
DEPLETED = BLUE
C_TO_T = VERMILION
G_TO_A = BLUE

FONT = "Inter, Liberation Sans, Arial, sans-serif"
_INK = {"light": "#1D2430", "dark": "#E6E9EF"}
_RULE = {"light": "#C9CED6", "dark": "#4A5260"}
_GRID = {"light": "#EEF0F3", "dark": "#2A303B"}


def translucent(colour: str, alpha: float) -> str:
    """Return ``#RRGGBB`` as ``rgba(...)`` with the given opacity, for bands."""
    red, green, blue = (int(colour[index : index + 2], 16) for index in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"


def _template(mode: str) -> go.layout.Template:
    axis = {
        "showline": True, "linecolor": _RULE[mode], "linewidth": 1, "ticks": "outside", "tickcolor": _RULE[mode],
        "ticklen": 4, "gridcolor": _GRID[mode], "zeroline": False, "automargin": True,
        "title": {"font": {"size": 13}, "standoff": 8},
    }
    return go.layout.Template(layout={
        "font": {"family": FONT, "size": 13, "color": _INK[mode]},
        "colorway": list(SERIES),
        "paper_bgcolor": "#FFFFFF" if mode == "light" else "rgba(0,0,0,0)",
        "plot_bgcolor": "#FFFFFF" if mode == "light" else "rgba(0,0,0,0)",
        "xaxis": axis, "yaxis": axis,
        "margin": {"l": 72, "r": 16, "t": 32, "b": 56},
        "legend": {"orientation": "h", "yanchor": "top", "y": -0.24, "xanchor": "left", "x": 0.0},
        "hoverlabel": {"font": {"family": FONT, "size": 12}},
        "title": {"font": {"size": 15}, "x": 0.0, "xref": "paper", "xanchor": "left"},
        "bargap": 0.1,
    })


LIGHT = _template("light")
DARK = _template("dark")


def finish(figure: go.Figure, *, height: int = 340) -> go.Figure:
    """Give a figure the light template and a height in pixels; every figure function ends with this."""
    # The legend stands so many pixels below the axes' labels, however high the figure is.
    figure.update_layout(template=LIGHT, height=height, legend={"y": -62 / (height - 72)})
    named = sum(trace.showlegend is not False for trace in figure.data)
    shown = named > 1 if figure.layout.showlegend is None else figure.layout.showlegend
    if shown and figure.layout.margin.b is None:
        # Room for it from the start: Plotly draws everything twice when it has to make room.
        figure.update_layout(margin={"b": 96})
    return figure


def mark_simulated(figure: go.Figure) -> go.Figure:
    """Return a copy whose title begins with "Simulated", so that the word travels with the figure."""
    title = figure.layout.title.text or ""
    text = " · ".join(part for part in ("Simulated", title) if part)
    return go.Figure(figure).update_layout(title={"text": text, "font": {"size": 12}})


def for_screen(figure: go.Figure, dark: bool, *, simulated: bool = False) -> go.Figure:
    """Return a copy of a figure for a light or dark page, without a background of its own.

    Parameters
    ----------
    figure
        Any.
    dark
        Whether the page is dark.
    simulated
        Whether its title shall say so, as `mark_simulated` does.
    """
    # A copy costs as much as drawing a small figure: one is made.
    copy = mark_simulated(figure) if simulated else go.Figure(figure)
    return copy.update_layout(
        template=DARK if dark else LIGHT, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)"
    )
