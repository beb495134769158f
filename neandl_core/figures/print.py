"""The same figures on paper: a Plotly figure drawn by matplotlib, without a browser.

Vector PDF and SVG with embedded or real text, PNG tagged with its resolution, at journal widths. Only the parts that
NeanDL's figures use are drawn: scatter, bar, lines and boxes across the axes, annotations, and by `print_maps.py`
clouds of points and heatmaps. Anything else is refused, so that an export never silently lacks something.
"""

from __future__ import annotations

import io
import math
import string
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from neandl_core.errors import OutputError
from neandl_core.figures.print_maps import POINT_TRACES, draw_cloud, draw_solid, draw_table, is_cloud
from neandl_core.figures.style import LIGHT, SERIES

SINGLE_COLUMN_MM = 89.0
DOUBLE_COLUMN_MM = 183.0
FORMATS = ("png", "svg", "pdf")
_DASHES = {"dot": ":", "dash": "--", "dashdot": "-.", "solid": "-", None: "-"}
SLIDE_MM = (160.0, 90.0)
"""Width and height of a slide's picture, 16:9: small, so that letters are large when it fills a screen."""
FONTS = (
    "Liberation Sans", "Arial", "Helvetica", "Inter", "Open Sans", "Roboto", "Lato", "DejaVu Sans", "Liberation Serif",
    "Times New Roman", "DejaVu Serif",
)
"""Fonts that may be chosen where they are installed: they hold every sign that the figures use."""
_LETTERS = string.ascii_uppercase


@dataclass(frozen=True)
class Look:
    """Letters of a printed figure.

    Attributes
    ----------
    font
        Name of an installed font; another stands in where a sign is missing in it.
    size
        In points.
    """

    font: str = "Liberation Sans"
    size: float = 7.0


def installed_fonts() -> list[str]:
    """Return those of `FONTS` that this machine has as TrueType, which a PDF holds as letters, the usual one first."""
    from matplotlib.font_manager import fontManager

    there = {font.name for font in fontManager.ttflist if font.fname.lower().endswith(".ttf")}
    return [name for name in FONTS if name in there]


def export_bytes(
    figure: go.Figure,
    file_format: str,
    width_mm: float = DOUBLE_COLUMN_MM,
    *,
    dots_per_inch: int = 300,
    height_mm: float | None = None,
    look: Look | None = None,
) -> bytes:
    """Draw a figure for print and return the file's bytes.

    Parameters
    ----------
    figure
        A figure of `neandl_core.figures`; it is not changed.
    file_format
        ``png``, ``svg`` or ``pdf``.
    width_mm
        Width on paper.
    dots_per_inch
        Resolution of a PNG, also written into the file.
    height_mm
        Height on paper; it follows from the figure's shape on the screen if None.
    look
        Font and size of letters; the usual ones if None.

    Raises
    ------
    OutputError
        If the format is unknown, or the figure holds a kind of trace that cannot be drawn.
    """
    look = look or Look()
    with _page(file_format, *_inches(figure, width_mm, height_mm), look) as page:
        _Painter(figure, page, look.size).paint()
        return _file(page, file_format, dots_per_inch)


def panel_bytes(
    figures: Sequence[go.Figure],
    file_format: str,
    width_mm: float = DOUBLE_COLUMN_MM,
    *,
    columns: int = 2,
    dots_per_inch: int = 300,
    look: Look | None = None,
) -> bytes:
    """Draw several figures as one with the letters A, B, C, row by row, and return the file's bytes.

    Parameters
    ----------
    figures
        At most 26; they are not changed.
    file_format, width_mm, dots_per_inch, look
        As of `export_bytes`, for the whole.
    columns
        Figures side by side. One that stands alone in the last row gets its whole width.

    Raises
    ------
    OutputError
        If there is no figure or more than 26, the format is unknown or a figure cannot be drawn.
    """
    if not 0 < len(figures) <= len(_LETTERS):
        raise OutputError(f"A figure of several panels holds 1 to {len(_LETTERS)} figures, not {len(figures)}.")
    look = look or Look()
    columns = min(columns, len(figures))
    rows = [figures[at : at + columns] for at in range(0, len(figures), columns)]
    heights = [
        max(_shape(figure, width_mm / len(row)) for figure in row) * width_mm / len(row) / 25.4 for row in rows
    ]
    heights = [max(1.4, height) + 0.15 for height in heights]
    letters = iter(_LETTERS)
    with _page(file_format, width_mm / 25.4, sum(heights), look) as page:
        grid = page.add_gridspec(len(rows), columns, height_ratios=heights)
        for down, row in enumerate(rows):
            for right, figure in enumerate(row):
                place = grid[down, :] if len(row) == 1 else grid[down, right]
                panel = page.add_subfigure(place)
                panel.suptitle(next(letters), x=0.005, ha="left", fontsize=look.size + 2, fontweight="bold")
                _Painter(figure, panel, look.size).paint()
        return _file(page, file_format, dots_per_inch)


def book_bytes(pages: Sequence[tuple[go.Figure, float, float | None, Look]]) -> bytes:
    """Draw figures on the pages of one PDF, each page as large as its figure, and return the file's bytes.

    Parameters
    ----------
    pages
        Figure, width and height in mm, and look, as of `export_bytes`.

    Raises
    ------
    OutputError
        If a figure cannot be drawn.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_pdf import PdfPages

    buffer = io.BytesIO()
    # Fonts are written when the book is closed, and then as the settings say.
    with rc_context({"pdf.fonttype": 42}), PdfPages(buffer, metadata={"CreationDate": None}) as book:
        for figure, width_mm, height_mm, look in pages:
            with _page("pdf", *_inches(figure, width_mm, height_mm), look) as page:
                _Painter(figure, page, look.size).paint()
                book.savefig(page, facecolor="white", dpi=300)
    return buffer.getvalue()


def _inches(figure: go.Figure, width_mm: float, height_mm: float | None) -> tuple[float, float]:
    width = width_mm / 25.4
    return width, max(1.4, width * _shape(figure, width_mm)) if height_mm is None else height_mm / 25.4


def _shape(figure: go.Figure, width_mm: float) -> float:
    """Height of a figure on the screen over the width that it has there in so wide a column."""
    return (figure.layout.height or 340) / (900 if width_mm > 120 else 560)


@contextmanager
def _page(file_format: str, width: float, height: float, look: Look) -> Iterator[Any]:
    if file_format not in FORMATS:
        raise OutputError(f"Figures are written as {', '.join(FORMATS)}, not as {file_format!r}.")
    import matplotlib
    from matplotlib.figure import Figure

    # matplotlib warns of every font that it does not find, and then takes the next.
    names = dict.fromkeys((look.font, "Liberation Sans", "Arial", "DejaVu Sans"))
    there = installed_fonts()
    settings = {
        "font.family": [name for name in names if name in there], "font.size": look.size, "pdf.fonttype": 42,
        "svg.fonttype": "none", "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6,
        "xtick.major.size": 2.5, "ytick.major.size": 2.5, "axes.spines.top": False, "axes.spines.right": False,
        "svg.hashsalt": "neandl",
    }
    with matplotlib.rc_context(settings):
        yield Figure(figsize=(width, height), layout="constrained")


def _file(page: Any, file_format: str, dots_per_inch: int) -> bytes:
    buffer = io.BytesIO()
    metadata: dict[str, Any] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[file_format]
    page.savefig(buffer, format=file_format, dpi=dots_per_inch, facecolor="white", metadata=metadata)
    return buffer.getvalue()


class _Painter:
    """Draws one Plotly figure onto one matplotlib page."""

    def __init__(self, figure: go.Figure, page: Any, size: float) -> None:
        self.figure = figure
        self.page = page
        self.size = size
        self.layout = go.Figure(figure).update_layout(template=LIGHT).layout
        self.axes: dict[str, Any] = {}
        self.legend: dict[str, Any] = {}
        self.colours = iter(SERIES * 4)
        self.categories: dict[str, list[str]] = {}
        self.bars: dict[str, int] = {}

    def paint(self) -> None:
        for trace in self.figure.data:
            if trace.type not in ("scatter", "bar", "heatmap", *POINT_TRACES):
                raise OutputError(f"A figure with a {trace.type} trace cannot be drawn for print yet.")
        if any(trace.type == "scatter3d" for trace in self.figure.data):
            self.legend = draw_solid(self.page, self.figure, self.layout, self.size)
            self._draw_legend()
            return
        names = sorted({trace.xaxis or "x" for trace in self.figure.data}, key=lambda name: int(name[1:] or 1))
        share = any(self._layout_axis(f"y{name[1:]}").matches for name in names)
        grid = self.page.subplots(1, len(names), squeeze=False, sharey=share)[0]
        for name, axes in zip(names, grid, strict=True):
            self.axes[name] = axes
        for trace in self.figure.data:
            axes = self.axes[trace.xaxis or "x"]
            if trace.type == "heatmap" or is_cloud(trace):
                self._by_colour(axes, trace)
            elif trace.type == "scatter":
                self._scatter(axes, trace, self._colour_of(trace))
            else:
                self._bar(axes, trace, self._colour_of(trace))
        for name, axes in self.axes.items():
            self._finish_axes(name, axes)
        self._shapes_and_words()
        self._draw_legend()

    def _draw_legend(self) -> None:
        if len(self.legend) > 1:
            self.page.legend(
                list(self.legend.values()), list(self.legend), loc="outside upper right", frameon=False,
                ncols=self._legend_columns(), fontsize=self.size - 0.5, handlelength=1.4, columnspacing=1.0,
            )

    def _legend_columns(self) -> int:
        """How many entries stand side by side without leaving the page; letters are about half as wide as high."""
        widest = max(map(len, self.legend)) * 0.5 + 3.6
        room = self.page.bbox.width / self.page.dpi * 72 - 3 * self.size
        return max(1, min(5, len(self.legend), int(room / (widest * self.size))))

    def _by_colour(self, axes: Any, trace: Any) -> None:
        x, y = self._numbers(trace.x, trace.xaxis or "x"), self._numbers(trace.y, trace.yaxis or "y")
        if trace.type == "heatmap":
            draw_table(self.page, axes, trace, x, y, self.size)
        else:
            self._remember(trace, draw_cloud(self.page, axes, trace, [x, y], self.size))

    def _layout_axis(self, name: str) -> Any:
        return self.layout[f"{name[0]}axis{name[1:]}"]

    def _colour_of(self, trace: Any) -> Any:
        for part in (trace.line if trace.type == "scatter" else None, trace.marker):
            colour = getattr(part, "color", None)
            if colour is not None:
                return _rgba(colour) if isinstance(colour, str) else colour
        return next(self.colours)

    def _remember(self, trace: Any, handle: Any) -> None:
        if trace.showlegend is not False and trace.name and trace.name not in self.legend:
            self.legend[trace.name] = handle

    def _scatter(self, axes: Any, trace: Any, colour: Any) -> None:
        x, y = self._numbers(trace.x, trace.xaxis or "x"), self._numbers(trace.y, trace.yaxis or "y")
        mode = trace.mode or "lines"
        if trace.fill == "toself":
            # Outlines are separated by gaps, and each is filled by itself, as on the screen.
            whole = ~(np.isnan(x) | np.isnan(y))
            for part in np.split(np.arange(len(x)), np.flatnonzero(~whole)):
                part = part[whole[part]]
                if len(part) > 2:
                    (handle,) = axes.fill(x[part], y[part], color=_rgba(trace.fillcolor or colour), linewidth=0)
                    self._remember(trace, handle)
            return
        if _invisible(trace.marker.color) and "lines" not in mode:
            return
        line_width = (trace.line.width if trace.line.width is not None else 2) * 0.55
        marker_size = (trace.marker.size if isinstance(trace.marker.size, (int, float)) else 6) * 0.5
        shown = {
            "color": colour, "linewidth": line_width if "lines" in mode else 0,
            "linestyle": _DASHES.get(trace.line.dash, "-"),
            "marker": {"square": "s"}.get(trace.marker.symbol, "o") if "markers" in mode else None,
            "markersize": marker_size, "markeredgewidth": 0,
            "drawstyle": "steps-mid" if trace.line.shape == "hvh" else "default",
            "rasterized": len(x) > 20_000,
        }
        (handle,) = axes.plot(x, y, **shown)
        if trace.error_x.array is not None:
            spread = np.array([trace.error_x.arrayminus, trace.error_x.array], dtype=float)
            axes.errorbar(x, y, xerr=spread, fmt="none", ecolor=colour, elinewidth=0.9, capsize=2)
        if "text" in mode and trace.text is not None:
            size = 0.45 * (trace.textfont.size or 12)
            for right, up, word in zip(x, y, trace.text, strict=True):
                axes.text(right, up, word, ha="center", va="center", fontsize=size, color=trace.textfont.color)
        self._remember(trace, handle)

    def _bar(self, axes: Any, trace: Any, colour: Any) -> None:
        flat = trace.orientation == "h"
        along, values = (trace.y, trace.x) if flat else (trace.x, trace.y)
        name = (trace.yaxis or "y") if flat else (trace.xaxis or "x")
        place = self._numbers(along, name)
        beside = self.layout.barmode != "overlay"
        here = trace.xaxis or "x"
        bars = sum(other.type == "bar" and (other.xaxis or "x") == here for other in self.figure.data)
        total = bars if beside else 1
        step = float(np.diff(np.unique(place)).min()) if len(np.unique(place)) > 1 else 1.0
        thickness = step * (1 - (self.layout.bargap or 0)) / total
        turn = self.bars.get(name, 0) if beside else 0
        self.bars[name] = turn + 1
        place = place + (turn - (total - 1) / 2) * thickness
        draw = axes.barh if flat else axes.bar
        handle = draw(place, np.asarray(values, float), thickness, color=colour, linewidth=0)
        if trace.text is not None and flat:
            axes.bar_label(handle, labels=[str(text) for text in trace.text], padding=2, fontsize=self.size - 0.5)
        self._remember(trace, handle)

    def _numbers(self, values: Any, axis: str) -> np.ndarray:
        """Return coordinates as numbers; names become 0, 1, 2 … in the order of the axis."""
        values = np.asarray(values)
        if values.dtype.kind in "fiub":
            return values.astype(float)
        try:
            return values.astype(float)
        except (TypeError, ValueError):
            known = self.categories.setdefault(axis, list(self._layout_axis(axis).categoryarray or ()))
            known.extend(name for name in dict.fromkeys(values) if name not in known)
            return np.array([known.index(name) for name in values], float)

    def _finish_axes(self, name: str, axes: Any) -> None:
        for letter, limits, label, ticks in (
            ("x", axes.set_xlim, axes.set_xlabel, axes.set_xticks),
            ("y", axes.set_ylim, axes.set_ylabel, axes.set_yticks),
        ):
            full = f"{letter}{name[1:]}"
            axis = self._layout_axis(full)
            if axis.title.text:
                label(axis.title.text.replace("′", "'"))
            if full in self.categories:
                known = self.categories[full]
                ticks(range(len(known)), known)
                limits((len(known) - 0.4, -0.6) if axis.autorange == "reversed" else (-0.6, len(known) - 0.4))
            elif axis.range is not None:
                limits(*axis.range)
            elif axis.rangemode == "tozero":
                limits(0, None) if letter == "x" else axes.set_ylim(bottom=0)
            if axis.tickvals is not None:
                # Of more rows than lines of letters go beside each other, some are named.
                room = max(2.0, 0.6 * self.page.bbox.height / self.page.dpi * 72 / self.size)
                every = slice(None, None, max(1, math.ceil(len(axis.tickvals) / room)) if letter == "y" else 1)
                ticks(list(axis.tickvals)[every], None if axis.ticktext is None else list(axis.ticktext)[every])
            if axis.tickformat and axis.tickformat.endswith("%"):
                from matplotlib.ticker import PercentFormatter

                (axes.xaxis if letter == "x" else axes.yaxis).set_major_formatter(PercentFormatter(1.0))
        axes.grid(axis="both", linewidth=0.3, color="#E3E6EA")
        axes.set_axisbelow(True)

    def _shapes_and_words(self) -> None:
        title = self.layout.title.text
        first = next(iter(self.axes.values()))
        if title:
            first.set_title(title, loc="left", fontsize=self.size)
        for shape in self.layout.shapes:
            axes = self.axes.get((shape.xref or "x").split(" ")[0], first)
            style = {
                "color": shape.line.color, "linewidth": (shape.line.width or 1) * 0.6,
                "linestyle": _DASHES.get(shape.line.dash, "-"),
            }
            if shape.x0 == shape.x1:
                axes.axvline(shape.x0, **style)
            elif shape.y0 == shape.y1:
                axes.axhline(shape.y0, **style)
        for words in self.layout.annotations:
            axes = self.axes.get((words.xref or "x").split(" ")[0], first)
            transform = axes.get_xaxis_transform() if words.yref == "paper" else axes.transData
            across = {"center": "center", "right": "right"}.get(words.xanchor, "left")
            up = {"bottom": "bottom", "middle": "center"}.get(words.yanchor, "top")
            if title and words.yref == "paper" and words.y >= 1:
                up = "top"  # Above the axes stands the title.
            text = words.text.replace("<br>", "\n")
            text = text if across == "center" else f" {text}"
            size = min(self.size, (words.font.size or 12) * 0.55 * self.size / Look.size)
            axes.text(words.x, words.y, text, transform=transform, ha=across, va=up, fontsize=size)


def _invisible(colour: Any) -> bool:
    """Whether a colour is wholly transparent, as that of points which only carry what the mouse shows."""
    return isinstance(colour, str) and colour.replace(" ", "") == "rgba(0,0,0,0)"


def _rgba(text: str) -> Any:
    """Return ``rgba(r,g,b,a)`` as matplotlib takes it; other colours as they are."""
    if not text.startswith("rgba("):
        return text
    red, green, blue, alpha = (float(part) for part in text[5:-1].split(","))
    return (red / 255, green / 255, blue / 255, alpha)


def paint(figure: go.Figure, page: Any) -> None:
    """Draw a figure onto a part of a matplotlib page that holds more than one.

    Parameters
    ----------
    figure
        A figure of `neandl_core.figures`.
    page
        An empty matplotlib figure or subfigure in constrained layout.
    """
    _Painter(figure, page).paint()
