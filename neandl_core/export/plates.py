"""A plate: one figure ready to be printed, with its words, its table and what a methods section says of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from neandl_core.errors import OutputError
from neandl_core.figure_notes import RunNote, settings_text
from neandl_core.figures.palettes import USUAL, recolour
from neandl_core.figures.print import SLIDE_MM, Look, book_bytes, export_bytes, panel_bytes
from neandl_core.figures.style import mark_simulated
from neandl_core.presentation import Item, Presentation, Width, unmarked

SLIDE_LETTERS = 8.0
"""Size of letters, in points, on a picture as small as `SLIDE_MM`: 17 when it fills a slide."""

NARROW_MM, NARROW_LETTERS = 75.0, 5.5
"""Panels narrower than this get letters of this size; journals take no smaller ones than 5 points."""


@dataclass(frozen=True)
class Plate:
    """One figure and all that goes with it.

    Attributes
    ----------
    figure
        Drawn for paper, without the word "Simulated", which every export adds.
    table
        What was drawn; None if there is nothing to give away.
    title, caption, name, width, method, n, settings, inputs, simulated
        As of `presentation.Item`.
    """

    figure: go.Figure
    table: pd.DataFrame | None
    title: str
    caption: str = ""
    name: str = "figure"
    width: Width = "183"
    method: str = ""
    n: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    simulated: bool = False


@dataclass(frozen=True)
class Style:
    """Letters and colours of an export."""

    font: str = "Liberation Sans"
    palette: str = USUAL
    dots_per_inch: int = 300


def plates_of(presentation: Presentation, items: Iterable[Item] | None = None) -> list[Plate]:
    """Return the plates of a presentation in order, all or those of some items.

    Raises
    ------
    InputError
        If one of its files is broken.
    """
    return [
        Plate(
            presentation.figure(item.id), presentation.table(item.id), item.title, item.caption, item.name, item.width,
            item.method, item.n, item.settings, item.inputs, item.simulated,
        )
        for item in (presentation.items() if items is None else items)
    ]


def plate_of_run(note: RunNote, figure: go.Figure, table: pd.DataFrame | None, *, title: str, caption: str,
                 name: str, width: Width = "183") -> Plate:
    """Return a figure of a run as a plate."""
    return Plate(
        figure, table, title, caption, name, width, note.method, note.n, note.settings, note.inputs, note.simulated
    )


def painted(plate: Plate, palette: str = USUAL) -> go.Figure:
    """Return a plate's figure as it is exported: in the colours asked for, and saying that it is simulated if it is."""
    figure = recolour(plate.figure, palette)
    said = "Simulated" in (figure.layout.title.text or "")
    return mark_simulated(figure) if plate.simulated and not said else figure


def size_mm(width: Width) -> tuple[float, float | None]:
    """Return width and height on paper; the height is None where the figure's own shape decides."""
    return SLIDE_MM if width == "slide" else (float(width), None)


def picture(plate: Plate, file_format: str, style: Style, width: Width | None = None) -> bytes:
    """Draw a plate as PNG, SVG or PDF.

    Parameters
    ----------
    plate, style
        What to draw, and how.
    file_format
        ``png``, ``svg`` or ``pdf``.
    width
        Instead of the plate's own.

    Raises
    ------
    OutputError
        If the figure cannot be drawn.
    """
    width = width or plate.width
    across, down = size_mm(width)
    return export_bytes(
        painted(plate, style.palette), file_format, across, height_mm=down, dots_per_inch=style.dots_per_inch,
        look=_look(style, width),
    )


def panels(plates: Sequence[Plate], file_format: str, style: Style, *, width: Width = "183", columns: int = 2) -> bytes:
    """Draw several plates as one figure with letters A, B, C.

    Raises
    ------
    OutputError
        If there is none or more than 26, or one cannot be drawn.
    """
    across = size_mm(width)[0]
    return panel_bytes(
        [painted(plate, style.palette) for plate in plates], file_format, across, columns=columns,
        dots_per_inch=style.dots_per_inch,
        look=Look(style.font, NARROW_LETTERS if across / columns < NARROW_MM else Look.size),
    )


def book(plates: Iterable[Plate], style: Style) -> bytes:
    """Draw plates on the pages of one PDF, each page as large as its figure.

    Raises
    ------
    OutputError
        If there is no plate, or one cannot be drawn.
    """
    pages = [
        (painted(plate, style.palette), *size_mm(plate.width), _look(style, plate.width)) for plate in plates
    ]
    if not pages:
        raise OutputError("There is no figure to export.")
    return book_bytes(pages)


def _look(style: Style, width: Width) -> Look:
    return Look(style.font, SLIDE_LETTERS if width == "slide" else Look.size)


def details(plate: Plate) -> str:
    """Return what a slide's notes and a report say of a plate, one thing a line."""
    lines = [plate.caption, plate.method, plate.n]
    if plate.settings:
        lines.append(f"Settings: {settings_text(plate.settings)}.")
    if plate.inputs:
        lines.append(f"Inputs: {', '.join(plate.inputs)}.")
    if plate.simulated:
        lines.append("Simulated data: made by NeanDL to show the steps; nothing here was measured.")
    return "\n".join(unmarked(line) for line in lines if line)


def file_names(plates: Sequence[Plate]) -> list[str]:
    """Return a file name without ending for each plate: numbered in order, safe on every system, all different."""
    digits = max(2, len(str(len(plates))))
    return [
        f"{number:0{digits}d}-{re.sub(r'[^A-Za-z0-9._-]+', '-', plate.name).strip('-.')[:60] or 'figure'}"
        for number, plate in enumerate(plates, 1)
    ]
