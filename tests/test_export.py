"""Exports: vector with fonts inside, resolution tagged, no formula, no request, and "simulated" on everything."""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from PIL import Image
from pptx import Presentation as Slides
from pptx.enum.chart import XL_CHART_TYPE
from pptx.enum.shapes import MSO_SHAPE_TYPE

from neandl_core.__main__ import main
from neandl_core.errors import OutputError, SettingsError
from neandl_core.export.bundle import archive_bytes, check_formats, files
from neandl_core.export.native import native_charts
from neandl_core.export.plates import Plate, Style, book, file_names, painted, panels, picture
from neandl_core.export.report import report_bytes
from neandl_core.export.run_figures import figures_of_run
from neandl_core.export.slides import HIGH, WIDE, deck_bytes
from neandl_core.export.tables import workbook_bytes
from neandl_core.figures.palettes import PALETTES, recolour
from neandl_core.figures.print import installed_fonts
from neandl_core.figures.style import BLUE, VERMILION, finish, translucent
from tests.test_reads_page import analysed  # noqa: F401 - a fixture


def lines(points: int = 25) -> go.Figure:
    figure = go.Figure()
    x = np.arange(points)
    figure.add_scatter(
        x=np.r_[x, x[::-1]], y=np.r_[x / 50 + 0.1, x[::-1] / 50], fill="toself", fillcolor=translucent(VERMILION, 0.2),
        line={"width": 0}, mode="lines", showlegend=False,
    )
    figure.add_scatter(x=x, y=x / 50, mode="lines", name="C>T", line={"color": VERMILION})
    figure.add_scatter(x=x, y=x / 40, mode="lines", name="G>A", line={"color": BLUE})
    figure.update_layout(xaxis={"title": "Distance (bases)", "range": [25, 0]}, yaxis={"title": "Rate"})
    return finish(figure)


def plate(**changes: object) -> Plate:
    values = {
        "figure": lines(), "table": pd.DataFrame({"position": [1, 2], "rate": [0.3, 0.1]}), "title": "Damage",
        "caption": "C\\>T by position", "name": "damage", "method": "Counted.", "n": "n = 7 reads",
        "settings": {"min_length": 30}, "inputs": ("a.bam (SHA-256 0123)",),
    }
    return Plate(**(values | changes))


def page_mm(pdf: bytes) -> list[tuple[float, float]]:
    boxes = re.findall(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", pdf)
    return [(float(wide) / 72 * 25.4, float(high) / 72 * 25.4) for wide, high in boxes]


@pytest.mark.parametrize("width", ["89", "183", "slide"])
def test_a_pdf_is_vector_with_its_fonts_inside_at_the_width_asked_for(width: str) -> None:
    drawn = picture(plate(width=width), "pdf", Style())
    assert b"/FontFile2" in drawn  # TrueType, so that letters stay letters
    assert b"/Subtype /Type3" not in drawn
    assert b"/Subtype /Image" not in drawn
    ((wide, high),) = page_mm(drawn)
    assert wide == pytest.approx(160 if width == "slide" else float(width), abs=0.2)
    if width == "slide":
        assert wide / high == pytest.approx(16 / 9, rel=0.01)


@pytest.mark.parametrize("dots", [300, 600])
def test_a_png_has_its_resolution_and_the_pixels_for_it(dots: int) -> None:
    image = Image.open(io.BytesIO(picture(plate(width="89"), "png", Style(dots_per_inch=dots))))
    assert image.info["dpi"] == pytest.approx((dots, dots), abs=0.1)
    assert image.width == pytest.approx(89 / 25.4 * dots, abs=2)
    assert image.convert("RGB").getpixel((1, 1)) == (255, 255, 255)


def test_the_chosen_font_and_colours_are_in_the_file() -> None:
    font = installed_fonts()[-1]
    drawn = picture(plate(), "svg", Style(font, "Tol bright")).decode()
    assert font in drawn
    assert VERMILION.lower() not in drawn.lower()
    assert PALETTES["Tol bright"][1].lower() in drawn.lower()
    assert re.search(rb"/BaseFont /\S*" + font.split()[0].encode(), picture(plate(), "pdf", Style(font)))


def test_colours_are_exchanged_and_numbers_and_words_are_not() -> None:
    figure = lines()
    figure.data[1].name = VERMILION
    other = recolour(figure, "Greys")
    assert other.data[1].line.color == PALETTES["Greys"][1]
    assert other.data[1].name == VERMILION
    assert other.data[0].fillcolor == "rgba(0,0,0,0.2)"
    assert np.allclose(other.data[2].y, figure.data[2].y)
    assert figure.data[1].line.color == VERMILION
    with pytest.raises(SettingsError, match="There are the colours"):
        recolour(figure, "Rainbow")
    for name, colours in PALETTES.items():
        assert len({colour.upper() for colour in colours}) == 7, name


def test_panels_carry_letters_and_stay_vector() -> None:
    drawn = panels([plate(), plate(), plate()], "svg", Style()).decode()
    letters = re.findall(r"<text[^>]*>([A-Z])</text>", drawn)
    assert letters == ["A", "B", "C"]
    pdf = panels([plate(), plate(), plate()], "pdf", Style(), width="89", columns=1)
    assert page_mm(pdf)[0][0] == pytest.approx(89, abs=0.2)
    assert b"/Subtype /Image" not in pdf
    assert b"/FontFile2" in pdf
    with pytest.raises(OutputError, match="1 to 26 figures, not 0"):
        panels([], "pdf", Style())


def test_a_book_has_a_page_for_each_figure_as_large_as_the_figure() -> None:
    drawn = book([plate(width="89"), plate(width="slide")], Style())
    assert [round(wide) for wide, _ in page_mm(drawn)] == [89, 160]
    assert b"/Subtype /Type3" not in drawn
    assert b"/FontFile2" in drawn


def test_what_is_simulated_says_so_everywhere() -> None:
    simulated = plate(simulated=True)
    assert painted(simulated).layout.title.text.startswith("Simulated")
    assert painted(plate()).layout.title.text is None
    assert "Simulated" in picture(simulated, "svg", Style()).decode()
    slides = Slides(io.BytesIO(deck_bytes([simulated], Style(), title="T"))).slides
    words = [shape.text_frame.text for slide in slides for shape in slide.shapes if shape.has_text_frame]
    assert any("SIMULATED" in text for text in words)
    assert any("Simulated data" in text for text in words)
    assert "Simulated data" in slides[1].notes_slide.notes_text_frame.text
    assert "Simulated" in report_bytes([simulated], Style(), title="T").decode()


def test_a_deck_opens_with_titles_pictures_captions_and_notes() -> None:
    second = plate(title="Second <b> \x01 title")
    deck = Slides(io.BytesIO(deck_bytes([plate(), second], Style(), title="My talk", subtitle="Me")))
    assert (deck.slide_width, deck.slide_height) == (WIDE, HIGH)
    assert deck.slide_width / deck.slide_height == pytest.approx(16 / 9, rel=1e-3)
    first, one, two = deck.slides
    assert first.shapes.title.text == "My talk"
    assert [slide.shapes.title.text for slide in (one, two)] == ["Damage", "Second <b>  title"]
    (shape,) = [shape for shape in one.shapes if shape.shape_type == MSO_SHAPE_TYPE.PICTURE]
    image = Image.open(io.BytesIO(shape.image.blob))
    assert image.width / (shape.width / 914_400) == pytest.approx(300, rel=0.01)
    # Not pulled out of shape, and inside the slide.
    assert image.width / image.height == pytest.approx(shape.width / shape.height, rel=0.01)
    assert shape.left >= 0
    assert shape.left + shape.width <= WIDE
    assert shape.top + shape.height <= HIGH
    notes = one.notes_slide.notes_text_frame.text
    for text in ("Counted.", "n = 7 reads", "min length 30", "a.bam", "C>T by position"):
        assert text in notes


def test_few_lines_become_a_chart_that_can_be_edited_and_bands_are_said_to_be_missing() -> None:
    slide = Slides(io.BytesIO(deck_bytes([plate()], Style(), title="T", editable=True))).slides[1]
    (shape,) = [shape for shape in slide.shapes if shape.has_chart]
    plot = shape.chart.plots[0]
    assert [series.name for series in plot.series] == ["C>T", "G>A"]
    assert list(plot.series[0].values) == pytest.approx(list(np.arange(25) / 50))
    # The 3' end is drawn towards the right edge on the slide, too.
    assert shape.chart.category_axis.reverse_order is True
    assert "Not in this editable chart: shaded bands" in slide.notes_slide.notes_text_frame.text
    assert any("shaded bands" in one.text_frame.text for one in slide.shapes if one.has_text_frame)


def test_bars_become_bars_and_what_no_chart_can_hold_stays_a_picture() -> None:
    bars = go.Figure(go.Bar(x=["a", "b"], y=[1, 2], marker={"color": BLUE}, name="n"))
    slide = Slides(io.BytesIO(deck_bytes([plate(figure=finish(bars))], Style(), title="T", editable=True))).slides[1]
    (chart,) = [shape.chart for shape in slide.shapes if shape.has_chart]
    assert chart.chart_type == XL_CHART_TYPE.COLUMN_CLUSTERED
    assert list(chart.plots[0].categories) == ["a", "b"]
    assert list(chart.plots[0].series[0].values) == [1, 2]
    assert native_charts(lines(5_000)) is None
    assert native_charts(go.Figure(go.Heatmap(z=[[1, 2]]))) is None
    errors = go.Figure(go.Scatter(x=[1], y=[1], error_x={"array": [1]}, marker={"color": BLUE}))
    assert native_charts(errors) is None


def test_the_workbook_holds_no_formula_and_a_sheet_for_each_figure() -> None:
    evil = pd.DataFrame({"=cmd": ["=1+1", "+2", "@SUM(A1)", "-", "ok"], "n": [1, -2, 3, 4, 5]})
    made = workbook_bytes([("a/b" * 20, evil), ("a/b" * 20, evil), ("x", evil)])
    with zipfile.ZipFile(io.BytesIO(made)) as book_file:
        sheets = [name for name in book_file.namelist() if name.startswith("xl/worksheets/sheet")]
        assert len(sheets) == 3
        assert all(b"<f>" not in book_file.read(name) for name in sheets)
        strings = book_file.read("xl/sharedStrings.xml").decode()
    assert "'=1+1" in strings
    assert "<t>=1+1" not in strings
    back = pd.read_excel(io.BytesIO(made), sheet_name=None)
    assert len(back) == 3
    assert back["x"]["n"].tolist() == [1, -2, 3, 4, 5]


class Loads(HTMLParser):
    """Everything in a page that a browser would fetch, and every script."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag in ("script", "iframe", "object", "embed", "link")
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "data", "srcset", "poster")]


def test_the_report_is_one_file_that_asks_nothing_of_anybody() -> None:
    sly = plate(title='<script src="http://x.org/a.js">', caption="<img src=http://x.org/b.png>",
                table=pd.DataFrame({"gene": ["<b>ANK3</b>"]}))
    page = report_bytes([plate(), sly], Style(), title="R <i>").decode()
    loads = Loads()
    loads.feed(page)
    assert loads.scripts == 0
    assert all(value.startswith(("data:", "#")) for value in loads.fetched)
    assert "default-src 'none'" in page
    assert "<b>ANK3" not in page
    pictures = [value for value in loads.fetched if value.startswith("data:image/svg+xml;base64,")]
    assert len(pictures) == 2
    drawn = base64.b64decode(pictures[0].partition(",")[2]).decode()
    # Names of formats look like addresses; nothing is fetched by them.
    assert re.findall(r'(?:href|src)="(?!#)[^"]*"', drawn) == []
    assert "Counted." in page
    assert "n = 7 reads" in page
    assert "min length 30" in page


def test_files_are_named_in_order_and_never_alike() -> None:
    names = file_names([plate(), plate(), plate(name="../..//etc")])
    assert names == ["01-damage", "02-damage", "03-etc"]
    made = archive_bytes([plate(), plate(table=None)], ["tsv", "svg"], Style(), title="T")
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.namelist() == ["figures/01-damage.svg", "figures/02-damage.svg", "data/01-damage.tsv"]
    with pytest.raises(OutputError, match="no figure"):
        list(files([], ["svg"], Style(), title="T"))
    with pytest.raises(SettingsError, match="not as 'doc'"):
        check_formats(["doc"])


def test_the_command_makes_everything_of_a_run(tmp_path: Path, analysed: Path) -> None:  # noqa: F811
    out = tmp_path / "out"
    words = ["export", analysed, "--out", out, "--format", "xlsx,pptx,pdf,html", "--width", "89", "--quiet"]
    assert main([str(word) for word in words]) == 0
    summary = json.loads((out / "summary.json").read_text())
    assert summary["figures"] == 2
    assert summary["simulated"] is False
    assert summary["files"] == [
        "figures/01-damage.pdf", "figures/02-lengths.pdf", "slides.pptx", "report.html", "data.xlsx",
    ]
    assert all((out / name).stat().st_size > 1000 for name in summary["files"])
    assert len(Slides(out / "slides.pptx").slides) == 3
    back = pd.read_excel(out / "data.xlsx", sheet_name="01-damage")
    rates = pd.read_csv(analysed / "damage_rates.tsv", sep="\t")
    assert np.allclose(back["rate"], rates["rate"], equal_nan=True)


def test_the_command_says_what_it_cannot_do(tmp_path: Path, analysed: Path, capsys) -> None:  # noqa: F811
    for words, said in (
        ([], "needs the folders of runs"), ([tmp_path], "holds no run"), ([tmp_path / "x"], "no such folder"),
        ([analysed, "--format", "docx"], "not as 'docx'"), ([analysed, "--font", "Comic Sans"], "not installed"),
        ([analysed, "--palette", "Rainbow"], "There are the colours"),
        (["--presentation", tmp_path], "holds no presentation"),
    ):
        assert main(["export", *map(str, words), "--out", str(tmp_path / "out"), "--quiet"]) == 1
        assert said in capsys.readouterr().err
        assert not (tmp_path / "out").exists()


def test_figures_of_a_run_say_what_they_rest_on(analysed: Path) -> None:  # noqa: F811
    damage, lengths = figures_of_run(analysed)
    assert damage.title == "Damage: out"
    assert damage.n.startswith("n = ")
    assert damage.method
    assert len(lengths.table)
