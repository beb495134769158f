"""One page of paper: a heading, numbers, a table, figures below each other, notes. Vector PDF, fonts embedded."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from neandl_core.figures.print import paint
from neandl_core.figures.style import BLUE, GREY

A4_INCHES = (210 / 25.4, 297 / 25.4)
_INK = "#17212B"
_LETTERS_A_LINE = 165


def sheet_bytes(
    heading: str, below: str, numbers: Mapping[str, str], rows: Sequence[Sequence[str]],
    figures: Sequence[tuple[str, go.Figure]], notes: Sequence[str],
) -> bytes:
    """Lay a sheet out on A4 and return the PDF's bytes.

    Parameters
    ----------
    heading, below
        What the sheet is about.
    numbers
        Name -> value, at most six, side by side.
    rows
        A small table, its head first; empty for none.
    figures
        Caption and figure, drawn in the order given, each as high as on the screen in proportion.
    notes
        Sentences at the foot.
    """
    import matplotlib
    from matplotlib.figure import Figure

    settings = {
        "font.family": "sans-serif", "font.sans-serif": ["Liberation Sans", "Arial", "DejaVu Sans"], "font.size": 7,
        "pdf.fonttype": 42, "axes.linewidth": 0.6, "axes.spines.top": False, "axes.spines.right": False,
        "text.parse_math": False,
    }
    wrapped = [line for note in notes for line in textwrap.wrap(note, _LETTERS_A_LINE)]
    heights = [0.9, 0.55, 0.18 + 0.2 * len(rows) if rows else 0.01]
    heights += [0.22 + (figure.layout.height or 340) / 150 for _, figure in figures]
    foot = 0.2 + 0.13 * len(wrapped)
    # What is too high for the page shrinks in proportion; what is too low leaves the rest of it empty.
    rest = max(0.01, A4_INCHES[1] - 0.8 - sum(heights) - foot)
    with matplotlib.rc_context(settings):
        page = Figure(figsize=A4_INCHES, layout="constrained")
        page.get_layout_engine().set(rect=(0.06, 0.03, 0.88, 0.94))
        parts = page.subfigures(len(heights) + 2, 1, height_ratios=[*heights, foot, rest])
        parts[0].text(0, 0.75, heading, fontsize=16, fontweight="bold", color=_INK, va="center")
        parts[0].text(0, 0.3, below, fontsize=8, color=GREY, va="center")
        _numbers(parts[1], numbers)
        if rows:
            _table(parts[2], rows)
        for part, (caption, figure) in zip(parts[3:], figures, strict=False):
            part.suptitle(caption, x=0, ha="left", fontsize=7.5, fontweight="bold", color=_INK)
            paint(figure, part)
        for line, text in enumerate(wrapped):
            parts[-2].text(0, 1 - (line + 1) / (len(wrapped) + 1), text, fontsize=6.5, color=GREY, va="center")
        buffer = io.BytesIO()
        page.savefig(buffer, format="pdf", facecolor="white", metadata={"CreationDate": None})
    return buffer.getvalue()


def _numbers(part: Any, numbers: Mapping[str, str]) -> None:
    shown = list(numbers.items())[:6]
    for place, (name, value) in enumerate(shown):
        across = place / max(4, len(shown))
        part.text(across, 0.75, name, fontsize=7, color=GREY, va="center")
        part.text(across, 0.25, value, fontsize=12, fontweight="bold", color=BLUE, va="center")


def _table(part: Any, rows: Sequence[Sequence[str]]) -> None:
    for line, row in enumerate(rows):
        for place, cell in enumerate(row):
            part.text(
                place / len(row), 1 - (line + 0.5) / len(rows), str(cell)[:60], fontsize=7, va="center",
                fontweight="bold" if line == 0 else "normal", color=GREY if line == 0 else _INK,
            )
