"""Figures that all tabs share: drawn once, drawn again when the run or the choice is another, never changed."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import plotly.graph_objects as go
import pytest
from streamlit.testing.v1 import AppTest

from neandl_core.errors import InputError
from pages.shared import cached, show

ROOT = Path(__file__).resolve().parents[1]


def line(height: float) -> go.Figure:
    return go.Figure(go.Scatter(x=[0, 1], y=[0, height])).update_layout(title={"text": "n = 2"})


@pytest.fixture
def summary(tmp_path: Path) -> Path:
    path = tmp_path / "summary.json"
    path.write_text("{}")
    return path


def test_a_figure_is_drawn_once_while_run_and_choice_stay(summary: Path) -> None:
    first = cached.drawn(summary, line, 1.0, also="all")
    assert cached.drawn(summary, line, 1.0, also="all") is first
    other = cached.drawn(summary, line, 2.0, also="some")
    assert other.figure.data[0].y[1] == 2.0
    assert cached.drawn(summary, line, 1.0, also="all") is first


def test_a_run_that_was_made_again_is_drawn_again(summary: Path) -> None:
    cached.drawn(summary, line, 1.0)
    os.utime(summary, ns=(1, 1))
    assert cached.drawn(summary, line, 3.0).figure.data[0].y[1] == 3.0


def test_a_run_that_is_gone_is_refused(summary: Path) -> None:
    cached.drawn(summary, line, 1.0)
    summary.unlink()
    with pytest.raises(InputError, match="missing"):
        cached.drawn(summary, line, 1.0)


def test_what_pages_show_leaves_the_figure_for_paper_as_it_is(summary: Path) -> None:
    shared = cached.drawn(summary, line, 1.0)
    before = shared.figure.to_json()
    dark, light = shared.on_screen(True, simulated=True), shared.on_screen(False, simulated=False)
    dark_layout, light_layout = json.loads(dark)["layout"], json.loads(light)["layout"]
    assert dark_layout["title"]["text"] == "Simulated · n = 2"
    assert light_layout["title"]["text"] == "n = 2"
    assert dark_layout["template"] != light_layout["template"]
    assert shared.on_screen(True, simulated=True) is dark
    assert shared.figure.to_json() == before


@pytest.mark.parametrize(("kind", "there"), [("scatter", False), ("scattergl", True), ("scatter3d", True)])
def test_without_its_program_a_figure_is_streamlits_own(
    monkeypatch: pytest.MonkeyPatch, kind: str, there: bool
) -> None:
    """Clouds and figures with three axes are so always: the bundled part of Plotly does not know them."""
    def page(kind: str) -> None:
        import plotly.graph_objects as go

        from pages.shared import show
        from pages.shared.cached import Drawn

        trace = {"type": kind, "x": [1, 2, 3], "y": [3.0, 1.0, 2.0]}
        figure = go.Figure([trace], layout={"height": 321})
        show.on_screen(Drawn(figure), "one", "one", simulated=True)

    monkeypatch.setattr(show, "has", lambda program: there)
    app = AppTest.from_function(page, args=(kind,)).run()
    assert not app.exception
    (chart,) = app.get("plotly_chart")
    spec = json.loads(chart.proto.spec)
    assert spec["layout"]["title"]["text"] == "Simulated"
    assert spec["layout"]["height"] == 321
    assert len(spec["data"]) == 1


def test_every_kind_of_trace_is_known_to_one_of_the_two_programs() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "neandl_core" / "figures").glob("*.py"))
    drawn = set(re.findall(r"figure\.add_(\w+)\(", sources))
    drawn -= {"trace", "annotation", "shape", "vline", "hline", "vrect", "hrect", "layout_image"}
    drawn |= {name.lower() for name in re.findall(r"go\.([A-Z]\w*)", sources)} - {"figure", "layout"}
    assert "scatter" in drawn
    assert drawn - set(show.BUNDLED_TRACES) <= {"scattergl", "scatter3d"}
    bundle = ROOT / "assets" / "vendor" / "plotly" / "plotly.js"
    if bundle.exists():
        text = bundle.read_text(encoding="utf-8")
        for name in show.BUNDLED_TRACES:
            assert re.search(rf"""name:["'`]{name}["'`]""", text), name
