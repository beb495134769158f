"""The Reads page without a browser: the slider's numbers, the details, and a hundred samples at once."""

from __future__ import annotations

import gzip
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer

from neandl_core.commands.reads import reads
from neandl_core.figures.damage import Curve, composition_figure, overlay_figure, pmd_figure
from neandl_core.figures.print import export_bytes
from neandl_core.runs import list_runs, read_state
from neandl_core.workspace import Workspace
from pages.shared.read_details import again
from tests.test_app import opened, texts, workspace  # noqa: F401 - a fixture
from tests.test_tool_files import STORED


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on the 150 reads that mapDamage was given."""
    folder = tmp_path_factory.mktemp("reads")
    for name in ("reads.sam", "reference.fa"):
        (folder / name).write_bytes(gzip.decompress((STORED / f"{name}.gz").read_bytes()))
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(reads)
    words = [folder / "reads.sam", "--reference", folder / "reference.fa", "--out", folder / "out", "--quiet",
             "--pmd-threshold", 1]
    app([str(word) for word in words], standalone_mode=False)
    return folder / "out"


def put(workspace: Workspace, analysed: Path, number: int = 0, **changes: object) -> Path:  # noqa: F811
    folder = workspace.runs / f"reads-{number}"
    shutil.copytree(analysed, folder)
    state = json.loads((folder / "state.json").read_text())
    state |= {"title": f"Sample {number}", "queued": state["queued"] - number}
    (folder / "state.json").write_text(json.dumps(state))
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps(summary | changes))
    return folder


def test_the_slider_says_how_many_reads_a_threshold_keeps(workspace: Workspace, analysed: Path) -> None:  # noqa: F811
    folder = put(workspace, analysed)
    scores = pd.read_csv(folder / "pmd_scores.tsv", sep="\t")
    app = opened("reads")
    assert not app.exception
    assert not app.select_slider, "what is folded away is not worked out"
    app.session_state["reads-by-read-folded"] = True
    app.run()
    slider = next(element for element in app.select_slider if element.key == "pmd-threshold")
    slider.set_value(0.5).run()
    assert not app.exception
    cards = {metric.label: metric.value for metric in app.metric}
    assert cards["Reads kept"] == f"{scores.loc[scores['score'] >= 0.5, 'count'].sum():,}"
    assert any("are below" in element.value for element in app.success)
    assert "UDG treatment" not in texts(app), "of the tabs only the open one is worked out"
    app.session_state["reads-details"] = "Treatment and model"
    app.run()
    assert "UDG treatment" in texts(app)
    assert not app.exception


def test_single_reads_are_shown_from_the_range_that_is_chosen(workspace: Workspace, analysed: Path) -> None:  # noqa: F811
    folder = put(workspace, analysed)
    app = opened("reads")
    app.session_state["reads-by-read-folded"] = True
    app.session_state["reads-details"] = "Single reads"
    app.run()
    slider = next(element for element in app.select_slider if element.key.startswith("pmd-reads-range"))
    assert slider.label == "Reads with a PMD score from … up to"
    low, high = float(slider.options[0]), float(slider.options[-1])
    app.session_state[slider.key] = (low, high)
    app.run()
    assert not app.exception
    listed = next(table.value for table in app.dataframe if "Differences" in str(table.proto.columns))
    scores = pd.read_csv(folder / "pmd_scores.tsv", sep="\t")
    assert len(listed) == min(20, scores["count"].sum())
    assert listed["score"].is_monotonic_decreasing
    app.session_state[slider.key] = (high - 1.0, high)
    app.run()
    listed = next(table.value for table in app.dataframe if "Differences" in str(table.proto.columns))
    assert (listed["score"] >= high - 1.0).all()
    (folder / "read_sample.npz").unlink()
    app.run()
    assert "No reads were kept with this result" in texts(app)


def test_the_reads_that_a_threshold_keeps_can_be_written(workspace: Workspace, analysed: Path) -> None:  # noqa: F811
    config = json.loads((analysed / "config.json").read_text())
    words = again(config)
    assert words[0] == str(analysed.parent / "reads.sam")
    assert words[-2:] == ["--reference", str(analysed.parent / "reference.fa")]
    folder = put(workspace, analysed)
    app = opened("reads")
    app.session_state["reads-by-read-folded"] = True
    app.run()
    next(element for element in app.select_slider if element.key == "pmd-threshold").set_value(0.5).run()
    button = next(element for element in app.button if element.key == "pmd-write")
    button.click().run()
    assert "outside the data folders" in app.error[0].value, "only what the server offers is read again"
    for entry in config["inputs"]:
        shutil.copy(entry["path"], workspace.data[0])
        entry["path"] = str(workspace.data[0] / Path(entry["path"]).name)
    (folder / "config.json").write_text(json.dumps(config))
    next(element for element in app.button if element.key == "pmd-write").click().run()
    assert not app.exception
    started = next(path for path, state in list_runs(workspace.runs, "reads") if path != folder)
    deadline = time.monotonic() + 60
    while not read_state(started).ended and time.monotonic() < deadline:
        time.sleep(0.2)
    written = json.loads((started / "summary.json").read_text())["filtered"]
    scores = pd.read_csv(folder / "pmd_scores.tsv", sep="\t")
    assert written["reads_kept"] == scores.loc[scores["score"] >= 0.5, "count"].sum() > 0


def test_results_without_details_still_open(workspace: Workspace, analysed: Path) -> None:  # noqa: F811
    folder = put(workspace, analysed)
    summary = json.loads((folder / "summary.json").read_text())
    for key in ("pmd", "udg", "briggs", "groups", "filtered", "subsample"):
        del summary[key]
    (folder / "summary.json").write_text(json.dumps(summary))
    app = opened("reads")
    assert not app.exception
    assert not app.error
    assert not app.select_slider


def test_a_hundred_samples_are_one_table_and_can_be_filtered(workspace: Workspace, analysed: Path) -> None:  # noqa: F811
    for number in range(100):
        put(workspace, analysed, number, damaged="damaged" if number % 4 == 0 else "not damaged")
    app = opened("reads")
    app.session_state["reads-view"] = "All samples"
    start = time.monotonic()
    app.run()
    assert time.monotonic() - start < 10
    assert not app.exception
    assert len(app.dataframe[0].value) == 100
    app.session_state["samples-verdict"] = ["damaged"]
    app.run()
    assert len(app.dataframe[0].value) == 25
    app.text_input(key="samples-text").set_value("sample 4").run()
    assert set(app.dataframe[0].value["Sample"]) == {"Sample 4", "Sample 40", "Sample 44", "Sample 48"}
    app.text_input(key="samples-text").set_value("").run()
    app.session_state["samples-verdict"] = []
    app.selectbox(key="samples-column").set_value("Reads used").run()
    used = json.loads((workspace.runs / "reads-0" / "summary.json").read_text())["reads_used"]
    app.number_input(key="samples-low-Reads used").set_value(float(used + 1)).run()
    assert len(app.dataframe[0].value) == 0
    assert "No analysis is left" in app.info[0].value
    app.number_input(key="samples-low-Reads used").set_value(float(used)).run()
    assert len(app.dataframe[0].value) == 100


def test_an_overlay_has_one_axis_and_says_what_each_line_is() -> None:
    curves = [Curve(f"s{n}", 10 * n, [0.3 - 0.01 * n, None, 0.1], [0.2, 0.1, 0.05]) for n in range(3)]
    figure = overlay_figure(curves, y_max=0.4)
    assert figure.layout.yaxis.range == (0, 0.4)
    assert figure.layout.xaxis2.range[0] > figure.layout.xaxis2.range[1]
    assert [trace.name for trace in figure.data if trace.showlegend] == ["s0", "s1", "s2"]
    assert figure.data[0].x[0] == 1
    assert np.isnan(figure.data[0].y[1])
    assert len({trace.line.color for trace in figure.data}) == 3
    many = overlay_figure(curves * 40, y_max=0.4)
    assert not any(trace.showlegend for trace in many.data)
    assert len(many.data) == 2, "all that are grey are one line with gaps on each side"
    assert np.isnan(many.data[0].y).sum() == 120 + 120, "a gap behind each, and the rate that is not known"
    marked = overlay_figure(curves * 40, y_max=0.4, marked=[1, 5])
    assert [trace.name for trace in marked.data if trace.showlegend] == ["s1", "s2"]
    assert export_bytes(marked, "png").startswith(b"\x89PNG")
    assert "120 profiles" in many.layout.title.text


def test_scores_and_composition_are_drawn_as_tabled(analysed: Path) -> None:
    scores = pd.read_csv(analysed / "pmd_scores.tsv", sep="\t")
    below, kept = pmd_figure(scores, 0.5).data
    assert sum(below.y) + sum(kept.y) == scores["count"].sum()
    assert sum(kept.y) == scores.loc[scores["score"] >= 0.5, "count"].sum()
    composition = pd.read_csv(analysed / "composition.tsv", sep="\t")
    lines = composition_figure(composition).data
    assert {line.name for line in lines} == set("ACGT")
    assert sum(line.y[0] for line in lines[:4]) == pytest.approx(1)
    assert list(lines[0].x) == [*range(-10, 0), *range(1, 16)]
