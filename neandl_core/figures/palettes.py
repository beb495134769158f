"""Figures in other colours: every colour of the usual set becomes its counterpart, so that meanings stay apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from neandl_core.errors import SettingsError
from neandl_core.figures.stored import figure_of
from neandl_core.figures.style import BLUE, GREEN, ORANGE, PINK, SKY, VERMILION, YELLOW

USUAL = "Okabe-Ito"
_HUES = (BLUE, VERMILION, GREEN, PINK, ORANGE, SKY, YELLOW)
PALETTES: Mapping[str, tuple[str, ...]] = {
    USUAL: _HUES,
    "Tol bright": ("#4477AA", "#EE6677", "#228833", "#AA3377", "#CC9933", "#66CCEE", "#CCBB44"),
    "Tol muted": ("#332288", "#CC6677", "#117733", "#AA4499", "#999933", "#88CCEE", "#DDCC77"),
    "Dark and light": ("#3B4CC0", "#B40426", "#00441B", "#7B3294", "#8C510A", "#80B1D3", "#FEE08B"),
    "Greys": ("#5A5A5A", "#000000", "#8C8C8C", "#A8A8A8", "#737373", "#BFBFBF", "#D9D9D9"),
}
"""Colours in the order blue, vermilion, green, pink, orange, sky, yellow (Okabe and Ito 2008; after Tol 2021)."""
_RGBA = re.compile(r"rgba?\(\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*([,)].*)")


def recolour(figure: go.Figure, palette: str) -> go.Figure:
    """Return a copy of a figure in the colours of another set; greys, black and white stay.

    Raises
    ------
    SettingsError
        If there is no such set.
    """
    if palette not in PALETTES:
        raise SettingsError(f"There are the colours {', '.join(PALETTES)}, not {palette!r}.")
    if palette == USUAL:
        return go.Figure(figure)
    solid = {old.lower(): new for old, new in zip(_HUES, PALETTES[palette], strict=True)}
    parts = {_parts(old): _parts(new) for old, new in zip(_HUES, PALETTES[palette], strict=True)}

    def changed(value: Any) -> Any:
        if isinstance(value, str):
            if value.startswith("#"):
                return solid.get(value.lower(), value)
            found = _RGBA.fullmatch(value) if value.startswith("rgb") else None
            old = tuple(int(part) for part in found.groups()[:3]) if found else None
            if old not in parts:
                return value
            return f"{value.partition('(')[0]}({','.join(map(str, parts[old]))}{found.group(4)}"
        if isinstance(value, Mapping):
            return {key: changed(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [changed(item) for item in value]
        return value

    plain = figure.to_plotly_json()
    # The template is put on again when the figure is drawn; what is long in it and has no colours is not looked at.
    layout = {key: changed(value) for key, value in plain["layout"].items() if key != "template"}
    return figure_of({"data": [_trace(trace, changed) for trace in plain["data"]], "layout": layout})


def _trace(trace: Mapping[str, Any], changed: Any) -> dict[str, Any]:
    """Change a trace's looks; its coordinates and words are no colours, whatever they look like."""
    data = ("x", "y", "z", "text", "customdata", "name", "ids", "hovertext", "hovertemplate")
    return {key: value if key in data else changed(value) for key, value in trace.items()}


def _parts(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
