"""A deck for PowerPoint, Keynote or Impress: a title, then one figure a slide with its method in the notes."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pptx import Presentation as Deck
from pptx.chart.data import CategoryChartData, XyChartData
from pptx.dml.color import RGBColor
from pptx.enum.chart import XL_CHART_TYPE, XL_LEGEND_POSITION
from pptx.enum.text import MSO_ANCHOR, PP_ALIGN
from pptx.util import Emu, Inches, Pt

from neandl_core import __version__
from neandl_core.errors import OutputError
from neandl_core.export.native import NativeChart, native_charts
from neandl_core.export.plates import SLIDE_LETTERS, Plate, Style, details, painted
from neandl_core.figures.print import SLIDE_MM, Look, export_bytes
from neandl_core.presentation import unmarked

WIDE, HIGH = Inches(13.333), Inches(7.5)
_MARGIN = Inches(0.55)
_PICTURE = (_MARGIN, Inches(1.2), WIDE - 2 * _MARGIN, Inches(5.35))
_CAPTION = (_MARGIN, Inches(6.62), WIDE - 2 * _MARGIN, Inches(0.62))
_INK, _QUIET, _SIMULATED = RGBColor(0x1D, 0x24, 0x30), RGBColor(0x5B, 0x64, 0x72), RGBColor(0xB4, 0x53, 0x09)
_LONGEST_CAPTION = 260
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def deck_bytes(
    plates: Sequence[Plate], style: Style, *, title: str, subtitle: str = "", editable: bool = False
) -> bytes:
    """Return a PPTX file: a title slide, then a slide for each plate with its figure, caption and notes.

    Parameters
    ----------
    plates
        In order.
    style
        Letters and colours; pictures have 300 dots to the inch on the slide.
    title, subtitle
        On the first slide.
    editable
        Draw lines, points and bars as charts of PowerPoint, where `native.native_charts` can; else as pictures.

    Raises
    ------
    OutputError
        If there is no plate, or one cannot be drawn.
    """
    if not plates:
        raise OutputError("There is no figure to export.")
    deck = Deck()
    deck.slide_width, deck.slide_height = WIDE, HIGH
    deck.core_properties.title, deck.core_properties.author = _plain(title), f"NeanDL {__version__}"
    _title_slide(deck, title, subtitle, plates, style)
    for plate in plates:
        _figure_slide(deck, plate, style, editable)
    buffer = io.BytesIO()
    deck.save(buffer)
    return buffer.getvalue()


def _title_slide(deck: Any, title: str, subtitle: str, plates: Sequence[Plate], style: Style) -> None:
    slide = deck.slides.add_slide(deck.slide_layouts[0])
    simulated = sum(plate.simulated for plate in plates)
    lines = [subtitle] if subtitle else []
    lines.append(f"{len(plates)} figure{'s' * (len(plates) != 1)} · NeanDL {__version__}")
    if simulated:
        of = "All" if simulated == len(plates) else f"{simulated} of {len(plates)}"
        lines.append(f"Simulated data: {of} of these figures show what NeanDL made up" if of == "All"
                     else f"Simulated data in {of} figures")
    for shape, text, place, size, colour in (
        (slide.shapes.title, title, (_MARGIN, Inches(2.3), WIDE - 2 * _MARGIN, Inches(1.4)), 40, _INK),
        (slide.placeholders[1], "\n".join(lines), (_MARGIN, Inches(3.8), WIDE - 2 * _MARGIN, Inches(1.6)), 20, _QUIET),
    ):
        shape.left, shape.top, shape.width, shape.height = place
        _write(shape.text_frame, text, style.font, size, colour, bold=size == 40)


def _figure_slide(deck: Any, plate: Plate, style: Style, editable: bool) -> None:
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    heading = slide.shapes.title
    wide = WIDE - 2 * _MARGIN - (Inches(1.9) if plate.simulated else 0)
    heading.left, heading.top, heading.width, heading.height = _MARGIN, Inches(0.35), wide, Inches(0.75)
    _write(heading.text_frame, plate.title, style.font, 28, _INK, bold=True)
    figure = painted(plate, style.palette)
    found = native_charts(figure) if editable else None
    left_out = ""
    if found is not None:
        charts, missing = found
        _charts(slide, charts, style)
        left_out = f" Not in this editable chart: {', '.join(missing)}." if missing else ""
    else:
        _picture(slide, replace(plate, figure=figure), style)
    caption = slide.shapes.add_textbox(*_CAPTION)
    text = " ".join(filter(None, (unmarked(plate.caption), f"{plate.n}." if plate.n else "")))
    if len(text) > _LONGEST_CAPTION:
        text = text[:_LONGEST_CAPTION].rsplit(" ", 1)[0] + " …"
    _write(caption.text_frame, text + left_out, style.font, 13, _QUIET)
    if plate.simulated:
        badge = slide.shapes.add_textbox(WIDE - _MARGIN - Inches(1.8), Inches(0.45), Inches(1.8), Inches(0.45))
        _write(badge.text_frame, "SIMULATED", style.font, 14, _SIMULATED, bold=True)
        badge.text_frame.paragraphs[0].alignment = PP_ALIGN.RIGHT
    slide.notes_slide.notes_text_frame.text = _plain(f"{plate.title}\n{details(plate)}{left_out}")


def _picture(slide: Any, plate: Plate, style: Style) -> None:
    left, top, wide, high = _PICTURE
    across = SLIDE_MM[0]
    down = across * high / wide
    dots = round(300 * Emu(wide).mm / across)
    drawn = export_bytes(
        plate.figure, "png", across, height_mm=down, dots_per_inch=dots, look=Look(style.font, SLIDE_LETTERS)
    )
    shape = slide.shapes.add_picture(io.BytesIO(drawn), left, top, wide, high)
    shape.name = _plain(plate.title)
    # What screen readers say.
    shape._element.nvPicPr.cNvPr.set("descr", _plain(f"{plate.title}. {unmarked(plate.caption)}"))


def _charts(slide: Any, charts: list[NativeChart], style: Style) -> None:
    left, top, wide, high = _PICTURE
    each = wide // len(charts)
    for place, chart in enumerate(charts):
        frame = slide.shapes.add_chart(_kind(chart), left + place * each, top, each, high, _data(chart))
        _dress(frame.chart, chart, style, legend=place == 0)


def _kind(chart: NativeChart) -> Any:
    if chart.kind == "xy":
        return XL_CHART_TYPE.XY_SCATTER_LINES if any(one.lines for one in chart.series) else XL_CHART_TYPE.XY_SCATTER
    return XL_CHART_TYPE.BAR_CLUSTERED if chart.kind == "barh" else XL_CHART_TYPE.COLUMN_CLUSTERED


def _data(chart: NativeChart) -> Any:
    if chart.kind == "xy":
        data = XyChartData()
        for one in chart.series:
            series = data.add_series(_plain(one.name))
            for x, y in zip(one.x, one.y, strict=True):
                if y is not None:
                    series.add_data_point(x, y)
        return data
    data = CategoryChartData()
    names = list(dict.fromkeys(name for one in chart.series for name in one.x))
    data.categories = [_plain(name) for name in names]
    for one in chart.series:
        known = dict(zip(one.x, one.y, strict=True))
        data.add_series(_plain(one.name), [known.get(name) for name in names])
    return data


def _dress(drawn: Any, chart: NativeChart, style: Style, *, legend: bool) -> None:
    drawn.font.size, drawn.font.name = Pt(14), style.font
    drawn.has_title = False
    drawn.has_legend = legend and len({one.name for one in chart.series}) > 1
    if drawn.has_legend:
        drawn.legend.position, drawn.legend.include_in_layout = XL_LEGEND_POSITION.BOTTOM, False
    names, values = drawn.category_axis, drawn.value_axis
    values.major_gridlines.format.line.color.rgb = RGBColor(0xE3, 0xE6, 0xEA)
    titles = (chart.y_title, chart.x_title) if chart.kind == "barh" else (chart.x_title, chart.y_title)
    for axis, text in zip((names, values), titles, strict=True):
        axis.has_title = bool(text)
        if text:
            axis.axis_title.text_frame.text = _plain(text)
            axis.axis_title.text_frame.paragraphs[0].runs[0].font.size = Pt(14)
    values.tick_labels.number_format, values.tick_labels.number_format_is_linked = chart.y_format, False
    if chart.kind == "barh":
        names.reverse_order = False
    for axis, ends in ((names, chart.x_range if chart.kind == "xy" else None), (values, chart.y_range)):
        if ends is not None:
            axis.minimum_scale, axis.maximum_scale = min(ends), max(ends)
            axis.reverse_order = ends[0] > ends[1]
    for shown, one in zip(drawn.plots[0].series, chart.series, strict=True):
        colour = RGBColor.from_string(one.colour)
        if chart.kind != "xy":
            shown.format.fill.solid()
            shown.format.fill.fore_color.rgb = colour
            continue
        shown.smooth = False
        if one.lines:
            shown.format.line.color.rgb, shown.format.line.width = colour, Pt(2.25)
        else:
            shown.format.line.fill.background()
        _markers(shown.marker, colour, one.markers)


def _markers(marker: Any, colour: RGBColor, there: bool) -> None:
    from pptx.enum.chart import XL_MARKER_STYLE

    marker.style = XL_MARKER_STYLE.CIRCLE if there else XL_MARKER_STYLE.NONE
    if there:
        marker.size = 6
        marker.format.fill.solid()
        marker.format.fill.fore_color.rgb = colour
        marker.format.line.fill.background()


def _write(frame: Any, text: str, font: str, size: float, colour: RGBColor, *, bold: bool = False) -> None:
    frame.text = _plain(text)
    frame.word_wrap, frame.vertical_anchor = True, MSO_ANCHOR.TOP
    for paragraph in frame.paragraphs:
        paragraph.alignment = PP_ALIGN.LEFT
        for run in paragraph.runs:
            run.font.name, run.font.size, run.font.bold, run.font.color.rgb = font, Pt(size), bold, colour


def _plain(text: str) -> str:
    """Return text without the signs that XML cannot hold."""
    return _UNPRINTABLE.sub("", text)
