"""Figures: what they show is what the tables say, and what is printed is what is shown."""

from __future__ import annotations

import io
import re

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from PIL import Image

from neandl_core.errors import InputError, OutputError
from neandl_core.figures.damage import damage_figure, length_figure
from neandl_core.figures.genes import evidence_figure, gene_track_figure
from neandl_core.figures.print import export_bytes
from neandl_core.figures.style import SERIES, for_screen, translucent
from neandl_core.figures.training import ScoreRow, curve_figure, score_figure
from neandl_core.figures.windows import audit_figure


@pytest.fixture
def rates():
    rows = []
    for end in ("5p", "3p"):
        for substitution in ("C>T", "G>A", "A>G"):
            for position in range(70):
                high = (substitution, end) in {("C>T", "5p"), ("G>A", "3p")}
                rate = 0.3 * 0.7**position + 0.01 if high else 0.01
                rows.append((end, position, substitution, 1000, int(1000 * rate), rate, rate * 0.9, rate * 1.1))
    names = ["end", "position", "substitution", "n_ref", "n_observed", "rate", "low", "high"]
    return pd.DataFrame(rows, columns=names)


def test_damage_is_drawn_at_its_position_counted_from_one(rates):
    figure = damage_figure(rates, 1234)
    line = next(trace for trace in figure.data if trace.name == "C>T")
    assert (line.x[0], line.y[0]) == (1, pytest.approx(0.31))
    assert len(line.x) == 25
    assert "n = 1,234 reads" in figure.layout.title.text
    assert figure.layout.yaxis.range == (0, pytest.approx(0.31 * 1.08))
    # The 3' end runs towards the right edge.
    assert figure.layout.xaxis2.range[0] > figure.layout.xaxis2.range[1]


def test_a_flat_profile_keeps_the_common_scale_so_samples_compare(rates):
    flat = rates.assign(rate=0.004, low=0.003, high=0.005)
    assert damage_figure(flat, 10).layout.yaxis.range == (0, 0.3)
    assert damage_figure(flat, 10, y_max=0.01).layout.yaxis.range == (0, 0.01)


def test_a_table_that_breaks_its_contract_is_not_drawn(rates):
    with pytest.raises(InputError, match="lacks the column rate"):
        damage_figure(rates.drop(columns="rate"), 5)
    with pytest.raises(InputError, match="rate of the damage rates table is out of range in 1 rows"):
        damage_figure(rates.assign(rate=[2.0, *rates["rate"][1:]]), 5)


def test_lengths_of_both_strands_are_added():
    table = pd.DataFrame({
        "strand": ["+", "-", "+"], "measure": ["span", "span", "query"], "length": [40, 40, 41], "count": [3, 4, 9],
    })
    assert list(length_figure(table, 7).data[0].y) == [7]


SCORES = [
    ScoreRow("BiLSTM, chromosome", 0.5, 0.48, 0.52, "result"), ScoreRow("BiLSTM, random", 0.99, 0.98, 0.995, "leaky"),
]
RECORDS = [
    {"kind": "epoch", "run": "main", "epoch": epoch, "train_loss": 0.7 / epoch, "val_loss": 0.7, "val_auc": 0.5}
    for epoch in (1, 2, 3)
] + [{"kind": "batch", "run": "main", "epoch": 1, "done": 0.5, "loss": 0.69}]
AUDIT = {
    "split": "random", "leaking": True, "overlap_150": 0.79, "identical": 0.4, "near_identical": 0.0,
    "test_windows": 500,
}


def all_figures(rates):
    track = pd.DataFrame({"start": np.arange(0, 20_000, 200), "probability": np.linspace(0, 1, 100)})
    maps = pd.DataFrame({
        "map": ["one_2018", "deserts", "two_2020"], "kind": ["map", "depleted", "map"], "share": [0.5, 0.1, 0.0],
    })
    return {
        "damage": damage_figure(rates, 99),
        "scores": score_figure(SCORES, 1000, "bilstm"),
        "curves": curve_figure(RECORDS),
        "audit": audit_figure([AUDIT, AUDIT | {"split": "locus", "leaking": False}]),
        "track": gene_track_figure(track, 0.5, 200, "chr1", span=(0, 20_000)),
        "maps": evidence_figure(maps, "ANK3"),
    }


def test_every_figure_prints_in_every_format_at_its_width(rates):
    for name, figure in all_figures(rates).items():
        for width in (89, 183):
            picture = Image.open(io.BytesIO(export_bytes(figure, "png", width)))
            assert picture.width == pytest.approx(width / 25.4 * 300, abs=2), name
            assert picture.info["dpi"][0] == pytest.approx(300, abs=1)
            assert len(set(picture.convert("RGB").resize((60, 30)).get_flattened_data())) > 5, f"{name} is blank"
        pdf = export_bytes(figure, "pdf", 89)
        assert pdf.startswith(b"%PDF")
        assert b"/FontFile2" in pdf, f"{name}: no TrueType font embedded"
        assert b"/Subtype /Image" not in pdf, f"{name}: not vector"
        svg = export_bytes(figure, "svg").decode()
        assert "<text" in svg
        assert "<image" not in svg


def test_printed_words_are_the_figures_words(rates):
    svg = export_bytes(all_figures(rates)["scores"], "svg").decode()
    words = re.findall(r"<text[^>]*>([^<]+)</text>", svg)
    for expected in ("BiLSTM, chromosome", "BiLSTM, random", "AUC, with 95% interval", "held out", "leaking split"):
        assert expected in words


def test_the_same_figure_prints_to_the_same_bytes(rates):
    for file_format in ("png", "svg", "pdf"):
        assert export_bytes(damage_figure(rates, 9), file_format) == export_bytes(damage_figure(rates, 9), file_format)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(OutputError, match="pie"):
        export_bytes(go.Figure(go.Pie(values=[1])), "png")
    with pytest.raises(OutputError, match="bmp"):
        export_bytes(go.Figure(), "bmp")


def test_a_dark_screen_does_not_change_the_printed_figure(rates):
    figure = damage_figure(rates, 9)
    before = export_bytes(figure, "svg")
    dark = for_screen(figure, True)
    assert export_bytes(figure, "svg") == before
    assert export_bytes(dark, "svg") == before
    assert dark.layout.template.layout.font.color != figure.layout.template.layout.font.color


def test_there_are_ten_series_colours():
    # With fewer than ten the dashboard silently falls back to another palette.
    assert len(set(SERIES)) >= 10
    assert translucent("#0072B2", 0.2) == "rgba(0,114,178,0.2)"
