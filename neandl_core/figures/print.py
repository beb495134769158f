"""The same figures on paper: a Plotly figure drawn by matplotlib, without a browser.

Vector PDF and SVG with embedded or real text, PNG tagged with its resolution, at journal widths. Only the parts that
NeanDL's figures use are drawn: scatter, bar, lines and boxes across the axes, annotations, and by `print_maps.py`
clouds of points and heatmaps. Anything else is refused, so that an export never silently lacks something.
"""

from __future__ import annotations

import io
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
_FONT_SIZE = 7.0


def export_bytes(
    figure: go.Figure, file_format: str, width_mm: float = DOUBLE_COLUMN_MM, *, dots_per_inch: int = 300
) -> bytes:
    """Draw a figure for print and return the file's bytes.

    Parameters
    ----------
    figure
        A figure of `neandl_core.figures`; it is not changed.
    file_format
        ``png``, ``svg`` or ``pdf``.
    width_mm
        Width on paper; the height follows from the figure's shape on the screen.
    dots_per_inch
        Resolution of a PNG, also written into the file.

    Raises
    ------
    OutputError
        If the format is unknown, or the figure holds a kind of trace that cannot be drawn.
    """
    if file_format not in FORMATS:
        raise OutputError(f"Figures are written as {', '.join(FORMATS)}, not as {file_format!r}.")
    import matplotlib
    from matplotlib.figure import Figure

    settings = {
        "font.family": "sans-serif", "font.sans-serif": ["Liberation Sans", "Arial", "DejaVu Sans"],
        "font.size": _FONT_SIZE, "pdf.fonttype": 42, "svg.fonttype": "none", "axes.linewidth": 0.6,
        "xtick.major.width": 0.6, "ytick.major.width": 0.6, "xtick.major.size": 2.5, "ytick.major.size": 2.5,
        "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "neandl",
    }
    with matplotlib.rc_context(settings):
        width = width_mm / 25.4
        ratio = (figure.layout.height or 340) / (900 if width_mm > 120 else 560)
        page = Figure(figsize=(width, max(1.4, width * ratio)), layout="constrained")
        _Painter(figure, page).paint()
        buffer = io.BytesIO()
        metadata: dict[str, Any] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[file_format]
        page.savefig(buffer, format=file_format, dpi=dots_per_inch, facecolor="white", metadata=metadata)
    return buffer.getvalue()


class _Painter:
    """Draws one Plotly figure onto one matplotlib page."""

    def __init__(self, figure: go.Figure, page: Any) -> None:
        self.figure = figure
        self.page = page
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
            self.legend = draw_solid(self.page, self.figure, self.layout, _FONT_SIZE)
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
                ncols=min(5, len(self.legend)), fontsize=_FONT_SIZE - 0.5, handlelength=1.4, columnspacing=1.0,
            )

    def _by_colour(self, axes: Any, trace: Any) -> None:
        x, y = self._numbers(trace.x, trace.xaxis or "x"), self._numbers(trace.y, trace.yaxis or "y")
        if trace.type == "heatmap":
            draw_table(self.page, axes, trace, x, y, _FONT_SIZE)
        else:
            self._remember(trace, draw_cloud(self.page, axes, trace, [x, y], _FONT_SIZE))

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
            axes.bar_label(handle, labels=[str(text) for text in trace.text], padding=2, fontsize=_FONT_SIZE - 0.5)
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
                ticks(list(axis.tickvals), None if axis.ticktext is None else list(axis.ticktext))
            if axis.tickformat and axis.tickformat.endswith("%"):
                from matplotlib.ticker import PercentFormatter

                (axes.xaxis if letter == "x" else axes.yaxis).set_major_formatter(PercentFormatter(1.0))
        axes.grid(axis="both", linewidth=0.3, color="#E3E6EA")
        axes.set_axisbelow(True)

    def _shapes_and_words(self) -> None:
        title = self.layout.title.text
        first = next(iter(self.axes.values()))
        if title:
            first.set_title(title, loc="left", fontsize=_FONT_SIZE)
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
            text = words.text.replace("<br>", "\n")
            text = text if across == "center" else f" {text}"
            size = min(_FONT_SIZE, (words.font.size or 12) * 0.55)
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
