"""Figures of genes' evidence and of the overlap test: they show what the tables say, on the screen and on paper."""

import numpy as np
import pandas as pd
import pytest

from neandl_core.figures.evidence import agreement_figure, expression_figure, locus_figure
from neandl_core.figures.overlap import overlap_figure
from neandl_core.figures.print import export_bytes


def test_exons_and_segments_lie_where_they_are_in_megabases():
    exons = pd.DataFrame({"start": [1_000_000, 1_090_000], "end": [1_000_500, 1_100_000]})
    segments = pd.DataFrame({
        "map": ["a", "d"], "kind": ["map", "depleted"], "start": [900_000, 1_050_000], "end": [1_020_000, 1_060_000],
    })
    figure = locus_figure(
        (1_000_000, 1_100_000), "chr3", exons, segments, [("a", "map"), ("b", "map"), ("d", "depleted")]
    )
    by_name = {trace.name: trace for trace in figure.data}
    assert list(by_name["exon"].x[:2]) == [1.0, 1.0005]
    low = figure.layout.xaxis.range[0]
    assert low < 1.0
    assert list(by_name["published map"].x[:2]) == [low, 1.02], "a segment that begins further left is clipped"
    assert "b" in by_name["published map"].y, "a map without a segment here keeps its row"
    assert list(by_name["desert"].x[:2]) == [1.05, 1.06]
    assert figure.layout.title.text == "1 of 2 maps touch it"
    assert export_bytes(figure, "pdf").startswith(b"%PDF")


def test_expression_shows_the_highest_tissues_in_order():
    values = {f"t{i}": float(i) for i in range(30)} | {"cerebellum": 50.0}
    figure = expression_figure(values, ["cerebellum"], "ANK3")
    assert figure.layout.yaxis.categoryarray[:2] == ("cerebellum", "t29")
    assert sum(len(trace.y) for trace in figure.data) == 16
    assert "of 31 tissues" in figure.layout.title.text
    assert export_bytes(figure, "svg").lstrip().startswith(b"<?xml")


def test_agreement_leaves_out_what_has_no_auc():
    rows = [
        {"score": "this model", "truth": "x, y", "auc": 0.6, "low": 0.5, "high": 0.7},
        {"score": "published", "truth": "x, y", "auc": None, "low": None, "high": None},
    ]
    (trace,) = agreement_figure(rows).data
    assert list(trace.x) == [0.6]
    assert trace.error_x.array[0] == pytest.approx(0.1)


@pytest.mark.parametrize("statistic", ["pairs", "genic_bases"])
def test_overlap_histogram_holds_every_placement_and_the_observed_line(statistic):
    rng = np.random.default_rng(1)
    placements = pd.DataFrame({
        "null": ["rotation"] * 200 + ["naive"] * 100, "pairs": rng.normal(100, 5, 300), "genic_bases": rng.random(300),
    })
    statistics = pd.DataFrame({"null": "rotation", "statistic": ["pairs", "genic_bases"], "observed": [70.0, 0.5]})
    figure = overlap_figure(placements, statistics, statistic, "rotation")
    assert [sum(trace.y) for trace in figure.data] == [pytest.approx(1), pytest.approx(1)]
    assert figure.layout.shapes[0].x0 == {"pairs": 70.0, "genic_bases": 0.5}[statistic]
    assert "n = 200" in figure.layout.title.text
    assert export_bytes(figure, "png").startswith(b"\x89PNG")


def test_a_statistic_without_spread_is_still_drawn():
    placements = pd.DataFrame({"null": ["mask"] * 5, "pairs": 3.0})
    statistics = pd.DataFrame({"null": ["mask"], "statistic": ["pairs"], "observed": [3.0]})
    assert sum(overlap_figure(placements, statistics, "pairs", "mask").data[0].y) == pytest.approx(1)
